# ActiveRecord: the files of doc/tools/rails.md, from the first release to the fourth.
# Hazard: statements that an ORM has prepared over all columns.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use ToolTest;
use Test::More;

plan skip_all => 'ActiveRecord and pg are needed' if system(q(ruby -e 'require "active_record"; require "pg"' 2>/dev/null)) != 0;

# What "rails db:migrate" is, without the rest of Rails; 0: what "rails db:schema:dump" writes.
my $migrate = <<'RB';
require "active_record"
require "pg"
ActiveRecord::Base.establish_connection(adapter: "postgresql", username: "deployer", host: ENV["PGHOST"], port: ENV["PGPORT"], database: ENV["PGDATABASE"])
if ARGV[0] == "0"
  ActiveRecord::SchemaDumper.dump(ActiveRecord::Base.connection, $stdout)
else
  ActiveRecord::MigrationContext.new("db/migrate", ActiveRecord::SchemaMigration).migrate(Integer(ARGV[0]))
end
RB
my $number = 0;
my %version = map { $_ => sprintf '202601%02d000000', ++$number } qw(shop price_expand price_contract name_expand name_contract code_expand code_contract);

# The dump as it is to be after each contract.
sub is_dump
{
	my ($dump) = @_;

	return $dump =~ /create_table "products".*^    t\.(?:decimal|bigint) "price"/ms && $dump !~ /__4\d|release_|tandem(?!")/;
}

my $tool = ToolTest->new('rails',
	deploy => sub { ('ruby', '-e', $migrate, $version{ $_[0] }) },
	undeploy => sub { ('ruby', '-e', $migrate, $version{name_contract}) },
	app => sub { ('ruby', 'main.rb', $_[0]) },
	difference => sub { $_[1] ? ('ruby', '-e', $migrate, '0') : () },
	no_difference => \&is_dump);

$tool->walk;
$tool->{node}->stop;

done_testing();
