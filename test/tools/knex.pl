# Knex: the files of doc/tools/knex.md, from the first release to the fourth.
# Hazard: a tool with a lock of its own, which a deploy that is killed leaves behind.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use ToolTest;
use Test::More;

plan skip_all => 'npm is needed' if system('npm --version >/dev/null 2>&1') != 0;

my $number = 0;
my %file = map { $_ => ++$number . "_$_.js" } qw(shop price_expand price_contract name_expand name_contract code_expand code_contract);
my @knex = ('env', 'node_modules/.bin/knex', '--knexfile', 'knexfile.js');
my $tool = ToolTest->new('knex',
	deploy => sub { (@knex, 'migrate:up', $file{ $_[0] }) },
	undeploy => sub { (@knex, 'migrate:down', $file{code_expand}) },
	recover => sub { (@knex, 'migrate:unlock') },
	app => sub { ('node', 'main.js', $_[0]) });

$tool->install_node_modules or plan skip_all => 'the registry of npm is needed';
$tool->walk;
$tool->{node}->stop;

done_testing();
