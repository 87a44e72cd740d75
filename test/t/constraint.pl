# Constraints and NOT NULL through migrate, while an application writes: they end exactly as ALTER
# TABLE by hand makes them, no row is read under a strong lock, and no writer waits for long.  Rows
# in the way are told, and once they are mended the migration goes on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');

# Tables of the application, plain and partitioned at two levels, the leaves with columns of another
# order; and what both refer to.
my $tables = <<'SQL';
CREATE TYPE pair AS (a integer, b integer);
CREATE TABLE customers (id integer PRIMARY KEY);
CREATE TABLE regions (id integer PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE regions_1 PARTITION OF regions FOR VALUES FROM (0) TO (5);
CREATE TABLE regions_2 PARTITION OF regions FOR VALUES FROM (5) TO (10);
CREATE TABLE plain (id integer, customer integer, region integer, amount integer, code integer,
	both_of pair, parent integer);
CREATE TABLE parted (LIKE plain) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (1000);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (1000) TO (MAXVALUE)
	PARTITION BY RANGE (id);
CREATE TABLE parted_2a PARTITION OF parted_2 FOR VALUES FROM (1000) TO (2000);
CREATE TABLE parted_2b (parent integer, gone text, code integer, both_of pair, amount integer,
	region integer, id integer, customer integer);
ALTER TABLE parted_2b DROP COLUMN gone;
ALTER TABLE parted_2 ATTACH PARTITION parted_2b FOR VALUES FROM (2000) TO (MAXVALUE);
INSERT INTO customers SELECT generate_series(0, 99);
INSERT INTO regions SELECT generate_series(0, 9);
INSERT INTO plain
	SELECT n, n % 100, n % 10, 1 + n % 7, n, ROW(NULL, n)::pair, n FROM generate_series(0, 2999) n;
INSERT INTO parted SELECT * FROM plain;
CREATE SEQUENCE ids START 10000;
SQL

# Of each table: name, definition; and the columns that are to be NOT NULL.
my @constraints = (
	[ 'amount_positive', 'CHECK (amount > 0)' ],
	[ 'customer_fkey', 'FOREIGN KEY (customer) REFERENCES customers ON DELETE CASCADE' ],
	[ 'region_fkey', 'FOREIGN KEY (region) REFERENCES regions (id) DEFERRABLE' ],
	[ 'code_key', 'UNIQUE NULLS NOT DISTINCT (code, id) INCLUDE (amount) WITH (fillfactor = 70) DEFERRABLE INITIALLY DEFERRED' ],
	[ 'pkey', 'PRIMARY KEY (id)' ]);
my @not_null = ('code', 'both_of');

# All constraints; those of partitions, whose names no one chooses, without name where they are keys.
my $catalog = <<'SQL';
SELECT c.conrelid::regclass,
	CASE WHEN c.conparentid = 0 OR c.contype NOT IN ('p', 'u') THEN c.conname END, c.contype,
	pg_get_constraintdef(c.oid), c.convalidated, c.condeferrable, c.condeferred, c.conislocal,
	c.coninhcount, c.connoinherit, p.conrelid::regclass, p.conname,
	i.indisvalid, i.indisunique, i.indisprimary, x.reloptions, c.confrelid::regclass,
	(SELECT string_agg(t.tgrelid::regclass::text || ' ' || t.tgtype || t.tgenabled || (t.tgparentid <> 0)::text,
		',' ORDER BY t.tgrelid::regclass::text, t.tgtype) FROM pg_trigger t WHERE t.tgconstraint = c.oid)
FROM pg_constraint c LEFT JOIN pg_constraint p ON p.oid = c.conparentid
LEFT JOIN pg_index i ON i.indexrelid = c.conindid AND c.contype IN ('p', 'u')
LEFT JOIN pg_class x ON x.oid = i.indexrelid
WHERE c.conrelid::regclass::text ~ '^(plain|parted)'
UNION ALL
SELECT attrelid::regclass, attname, 'N', attnotnull::text, NULL, NULL, NULL, attislocal, NULL, NULL,
	NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
FROM pg_attribute WHERE attrelid::regclass::text ~ '^(plain|parted)[_12ab]*$' AND attnum > 0 AND attnotnull
ORDER BY 1, 2, 3, 4
SQL

sub catalog
{
	my ($database) = @_;

	return $node->safe_psql($database, $catalog);
}

sub literal
{
	my ($text) = @_;

	$text =~ s/'/''/g;
	return "'$text'";
}

# By hand
$node->safe_psql('postgres', 'CREATE DATABASE by_hand');
$node->safe_psql('by_hand', $tables);
foreach my $table ('plain', 'parted')
{
	$node->safe_psql('by_hand', "ALTER TABLE $table ALTER $_ SET NOT NULL") foreach @not_null;
	$node->safe_psql('by_hand', "ALTER TABLE $table ADD CONSTRAINT ${table}_$_->[0] $_->[1]")
	  foreach @constraints;
	$node->safe_psql('by_hand',
		"ALTER TABLE $table ADD CONSTRAINT ${table}_parent_fkey FOREIGN KEY (parent) REFERENCES $table (id)");
}

# By us
$node->safe_psql('postgres', $tables);
my $before = catalog('postgres');
my $load = write_script('load', <<'SQL');
\set id random(0, 2999)
\set n random(0, 99)
UPDATE plain SET amount = amount + 1, customer = :n WHERE id = :id;
UPDATE parted SET amount = amount + 1, region = :n % 10 WHERE id = :id;
SELECT nextval('ids') AS new \gset
INSERT INTO plain VALUES (:new, :n, :n % 10, 1, :new, ROW(1, NULL), :id);
INSERT INTO parted VALUES (:new, :n, :n % 10, 1, :new, ROW(1, NULL), :id);
DELETE FROM parted WHERE id = :new;
SQL

# Adds all of it to a new migration.
sub expand
{
	my ($migration) = @_;
	my $sql = "SELECT tandem.create_migration('$migration');";

	foreach my $table ('plain', 'parted')
	{
		$sql .= "SELECT tandem.add_constraint('$migration', '$table', '${table}_$_->[0]', "
		  . literal($_->[1]) . ');' foreach @constraints;
		$sql .= "SELECT tandem.add_not_null('$migration', '$table', '$_');" foreach @not_null;
	}
	$node->safe_psql('postgres', $sql);
	return;
}

expand('m');
is(catalog('postgres'), $before, 'expand adds nothing yet');

my $clients = start_pgbench($node, '-c', '3', '-T', '12', '-f', $load);
wait_for_running($node, 'SELECT last_value > 10100 FROM ids');
my $stderr;
# a NOTICE or DEBUG1 tells of each table that is read
is($node->psql('postgres', "CALL tandem.migrate('m')",
	stderr => \$stderr, extra_params => [ '-v', 'VERBOSITY=terse' ],
	connstr => $node->connstr('postgres') . q{ options='-c client_min_messages=debug1'}), 0, 'migrate');
unlike($stderr, qr/verifying table/, 'no table is read under a lock');
unlike($stderr, qr/validating foreign key/, 'nor for a foreign key');
unlike($stderr, qr/building index "(plain|parted)/, 'no index is built under a lock');
if ($node->pg_version < 18)
{
	like($stderr, qr/existing constraints on column "$_" are sufficient/, "SET NOT NULL of $_ believes the check")
	  foreach map { ("plain.$_", "parted_2b.$_") } @not_null;
}
like($node->safe_psql('postgres', 'SELECT last_value FROM ids'), qr/^\d{5}/, 'clients were at work');
ok(finish($clients), 'clients end well');
my ($done, $failed) = pgbench_counts($clients);
cmp_ok($done, '>', 100, 'clients did their transactions');
is($failed, 0, 'no transaction failed');

# A key that refers to another of the migration comes after it, so in the next one.
$node->safe_psql('postgres', "CALL tandem.contract('m')");
$node->safe_psql('postgres', <<'SQL');
SELECT tandem.create_migration('self');
SELECT tandem.add_constraint('self', 'plain', 'plain_parent_fkey', 'FOREIGN KEY (parent) REFERENCES plain (id)');
SELECT tandem.add_constraint('self', 'parted', 'parted_parent_fkey', 'FOREIGN KEY (parent) REFERENCES parted (id)');
SQL
$node->safe_psql('postgres', "CALL tandem.migrate('self')");
is(catalog('postgres'), catalog('by_hand'), 'the catalog is as if built by hand');
is($node->safe_psql('postgres', "SELECT count(*) FROM pg_constraint WHERE NOT convalidated"), '0',
	'every constraint is validated');

done_testing();
