# Sqitch: the files of doc/tools/sqitch.md, from the first release to the fourth; the application writes with psql.
# Hazard: a tool whose scripts are run once, by several nodes, some of which die.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use ToolTest;
use Test::More;

plan skip_all => 'sqitch is needed' if system('sqitch --version >/dev/null 2>&1') != 0;
plan skip_all => 'DBD::Pg is needed' if !eval { require DBD::Pg };

# What each release writes and reads; it ends with an error where that is not what it wrote.
my %statements = (
	41 => [ q(INSERT INTO products (sku, price) VALUES ('%s', 12.34)), q(UPDATE products SET price = price + 0.01 WHERE sku = '%s'),
		q(SELECT 1 / (price = 12.35)::int FROM products WHERE sku = '%s'), q(INSERT INTO customers (name) VALUES ('Ada %s')) ],
	42 => [ q(INSERT INTO products (sku, price) VALUES ('%s', 1234)), q(UPDATE products SET price = price + 1 WHERE sku = '%s'),
		q(SELECT 1 / (price = 1235)::int FROM products WHERE sku = '%s'), q(INSERT INTO customers (name) VALUES ('Ada %s')) ],
	43 => [ q(INSERT INTO products (sku, price) VALUES ('%s', 1234)), q(INSERT INTO customers (first_name, last_name) VALUES ('Ada', '%s')),
		q(SELECT 1 / (count(*) > 0)::int FROM customers WHERE last_name = '%s' AND first_name = 'Ada') ],
	44 => [ q(INSERT INTO products (code, price) VALUES ('%s', 1234)), q(SELECT 1 / (price = 1234)::int FROM products WHERE code = '%s'),
		q(INSERT INTO customers (first_name, last_name) VALUES ('Ada', '%s')) ]);
my $number = 0;

# As a program of that release, which has its views in the path.
sub app
{
	my ($release) = @_;
	my @commands = map { my $row = ++$number; map { ('-c', sprintf $_, "r${release}_$row") } @{ $statements{$release} } } 1 .. 20;

	return ('psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-d', "user=app options=-csearch_path=release_$release", @commands);
}

my $tool = ToolTest->new('sqitch',
	deploy => sub { ('sqitch', 'deploy', '--to', $_[0]) },
	undeploy => sub { ('sqitch', 'revert', '-y', '--to', 'name_contract') },
	app => \&app);

$tool->walk;
$tool->{node}->stop;

done_testing();
