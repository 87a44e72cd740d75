# Django: the files of doc/tools/django.md, from the first release to the fourth.
# Hazard: a framework that keeps a state of its own of what the schema is, and saves whole rows.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use ToolTest;
use Test::More;

my $python = '/usr/bin/python3';

plan skip_all => 'Django and psycopg2 are needed' if system("$python -c 'import django, psycopg2' 2>/dev/null") != 0;

# The command with the models of a release.
sub with_release
{
	my ($release, @command) = @_;

	return ('env', "PYTHONPATH=.:release_$release", @command);
}

my $tool = ToolTest->new('django',
	deploy => sub { with_release(44, $python, 'manage.py', 'migrate', 'shop', $_[0]) },
	undeploy => sub { with_release(44, $python, 'manage.py', 'migrate', 'shop', 'name_contract') },
	app => sub { with_release($_[0], 'env', "RELEASE=$_[0]", $python, 'main.py') },
	# the state is that of all migrations that are there, so of the last release
	difference => sub { $_[0] == 44 ? with_release(44, $python, 'manage.py', 'makemigrations', '--check', '--dry-run') : () },
	no_difference => sub { $_[0] =~ /^No changes detected/ });

$tool->walk;
$tool->{node}->stop;

done_testing();
