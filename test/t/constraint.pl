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
# Before server 18 VALIDATE forgets the entries of a foreign key for each partition of the table that
# it refers to: they only carry triggers, and that is left out here.  So is, from server 18 on, whether
# a NOT NULL is a partition's own: a primary key from an index makes it so.
my $catalog = <<'SQL';
SELECT c.conrelid::regclass::text,
	CASE WHEN c.conparentid = 0 OR c.contype NOT IN ('p', 'u') THEN c.conname END, c.contype,
	replace(pg_get_constraintdef(c.oid), ' NOT VALID', ''), c.convalidated OR c.conrelid = p.conrelid, c.condeferrable, c.condeferred,
	c.contype <> 'n' AND c.conislocal,
	c.coninhcount, c.contype = 'c' AND c.connoinherit, p.conrelid::regclass, p.conname,
	i.indisvalid, i.indisunique, i.indisprimary, x.reloptions, c.confrelid::regclass,
	(SELECT string_agg(concat(t.tgrelid::regclass, ' ', t.tgtype, t.tgenabled, t.tgparentid <> 0),
		',' ORDER BY t.tgrelid::regclass::text, t.tgtype) FROM pg_trigger t WHERE t.tgconstraint = c.oid)
FROM pg_constraint c LEFT JOIN pg_constraint p ON p.oid = c.conparentid
LEFT JOIN pg_index i ON i.indexrelid = c.conindid AND c.contype IN ('p', 'u')
LEFT JOIN pg_class x ON x.oid = i.indexrelid
WHERE c.conrelid::regclass::text ~ '^(plain|parted)'
UNION ALL
SELECT attrelid::regclass::text, attname, 'N', attnotnull::text, NULL, NULL, NULL, attislocal, NULL, NULL,
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
	my ($database, $migration) = @_;
	my $sql = "SELECT tandem.create_migration('$migration');";

	foreach my $table ('plain', 'parted')
	{
		$sql .= "SELECT tandem.add_constraint('$migration', '$table', '${table}_$_->[0]', "
		  . literal($_->[1]) . ');' foreach @constraints;
		$sql .= "SELECT tandem.add_not_null('$migration', '$table', '$_');" foreach @not_null;
	}
	$node->safe_psql($database, $sql);
	return;
}

expand('postgres', 'm');
is(catalog('postgres'), $before, 'expand adds nothing yet');

my $clients = start_pgbench($node, '-c', '3', '-T', '600', '-f', $load);
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
ok(end_pgbench($clients), 'clients end well');
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


# Hazard: rows lost when a unique key is added.
# Rows in the way: the step says so, with a query that shows them.
$node->safe_psql('postgres', 'CREATE DATABASE mend');
$node->safe_psql('mend', $tables);
$node->safe_psql('mend', <<'SQL');
CREATE EXTENSION pg_tandem;
UPDATE parted SET code = NULL WHERE id = 2001;
UPDATE plain SET amount = 0 WHERE id = 7;
UPDATE parted SET amount = -1 WHERE id = 1001;
UPDATE parted SET customer = 1000 WHERE id = 1002;
UPDATE plain SET region = 1000 WHERE id = 8;
INSERT INTO parted SELECT * FROM parted WHERE id = 2002;
SELECT tandem.create_migration('m');
SELECT tandem.add_not_null('m', 'parted', 'code');
SELECT tandem.add_constraint('m', 'plain', 'positive', 'CHECK (amount > 0)');
SELECT tandem.add_constraint('m', 'parted', 'positive', 'CHECK (amount > 0)');
SELECT tandem.add_constraint('m', 'parted', 'customer_fkey', 'FOREIGN KEY (customer) REFERENCES customers');
SELECT tandem.add_constraint('m', 'plain', 'region_fkey', 'FOREIGN KEY (region) REFERENCES regions MATCH FULL');
SELECT tandem.add_constraint('m', 'parted', 'parted_key', 'UNIQUE (id)');
SQL
foreach (
	[ 'NOT NULL', qr/violated by some row|contains null values/, qr/^2001\|/, 'UPDATE parted SET code = 1 WHERE id = 2001' ],
	[ 'CHECK', qr/"positive" of relation "plain" is violated/, qr/^7\|/, 'UPDATE plain SET amount = 1 WHERE id = 7' ],
	[ 'CHECK of a partition', qr/"positive" of relation "parted_2a" is violated/, qr/^1001\|/,
		'UPDATE parted SET amount = 1 WHERE id = 1001' ],
	[ 'UNIQUE', qr/could not create unique index/, qr/^2002\|2$/,
		'DELETE FROM parted WHERE ctid = (SELECT max(ctid) FROM parted WHERE id = 2002)' ],
	# these come last: they may refer to a key of the migration
	[ 'FOREIGN KEY of a partition', qr/violates foreign key constraint "customer_fkey"/, qr/^1002\|/,
		'UPDATE parted SET customer = 1 WHERE id = 1002' ],
	[ 'FOREIGN KEY', qr/violates foreign key constraint "region_fkey"/, qr/^8\|/,
		'UPDATE plain SET region = 1 WHERE id = 8' ])
{
	my ($kind, $error, $row, $mend) = @$_;
	my ($status, $out, $err) = $node->psql('mend', "CALL tandem.migrate('m')");
	my $failed = $node->safe_psql('mend', "SELECT error FROM tandem.progress WHERE error IS NOT NULL");
	my ($query) = $node->safe_psql('mend', "SELECT hint FROM tandem.progress WHERE error IS NOT NULL") =~ /See the rows: (.*?;)/s;

	isnt($status, 0, "$kind: migrate fails");
	like($err, $error, "$kind: with the server's error");
	like($failed, $error, "$kind: which progress shows");
	like($node->safe_psql('mend', $query || 'SELECT 0'), $row, "$kind: the hint's query shows the row");
	$node->safe_psql('mend', $mend);
}
$node->safe_psql('mend', "CALL tandem.migrate('m')");
is($node->safe_psql('mend', "SELECT count(*) FROM pg_constraint WHERE conname ~ 'tandem'"), '0', 'no helper is left');
is($node->safe_psql('mend', "SELECT count(*) FROM pg_constraint WHERE NOT convalidated AND conparentid = 0"), '0',
	'once the rows are mended all is valid');

# Hazard: a lock queue behind a long transaction.
# A transaction that holds the table for long: migrate waits for it, but nobody waits for migrate.
$node->safe_psql('mend', <<'SQL');
CALL tandem.contract('m');
SELECT tandem.create_migration('wait');
SELECT tandem.add_constraint('wait', 'plain', 'late', 'CHECK (code::text <> ''\b"'')');
SELECT tandem.add_constraint('wait', 'plain', 'late_key', 'UNIQUE (amount, id)');
BEGIN;
UPDATE plain SET amount = amount WHERE id = 1;
PREPARE TRANSACTION 'long';
SQL
my $before_19 = $node->safe_psql('postgres', 'SHOW server_version_num') < 190000;
my $migrate = start_psql($node, 'mend', "SET tandem.lock_timeout = '200ms'",
	($before_19 ? 'SET standard_conforming_strings = off; SET escape_string_warning = off' : ()),
	'SET quote_all_identifiers = on',
	"CALL tandem.migrate('wait')");
my $writers = 0;
foreach (1 .. 5)
{
	wait_for_running($node, "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'",
		'mend');
	$writers += $node->psql('mend', 'UPDATE plain SET amount = amount WHERE id = 2',
		connstr => $node->connstr('mend') . q{ options='-c statement_timeout=5s'}) == 0;
}
is($writers, 5, 'writers go on behind a strong lock that cannot be had');
is($node->safe_psql('mend', "SELECT count(*) FROM pg_constraint WHERE conname = 'late'"), '0', 'it waits still');
$node->safe_psql('mend', "COMMIT PREPARED 'long'");
ok(finish($migrate), 'and is done when the transaction ends');
is($node->safe_psql('mend', "SELECT convalidated, pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'late'"),
	q{t|CHECK (((code)::text <> '\b"'::text))}, 'with its constraint, whatever the settings of the session');

# Abort takes away what is there, wherever it has come to; what was there before stays.
sub objects
{
	return catalog('undo') . "\n" . $node->safe_psql('undo',
		"SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1");
}

$node->safe_psql('postgres', 'CREATE DATABASE undo');
$node->safe_psql('undo', $tables);
$node->safe_psql('undo', 'CREATE EXTENSION pg_tandem');
$node->safe_psql('undo', 'ALTER TABLE plain ALTER region SET NOT NULL, ADD CHECK (amount < 1000)');
my $untouched = objects();
foreach (
	[ 'at a foreign key of a partition', 'UPDATE parted SET customer = 1000 WHERE id = 1002',
		'UPDATE parted SET customer = 2 WHERE id = 1002' ],
	[ 'at a unique index of a partition', 'INSERT INTO parted SELECT * FROM parted WHERE id = 2002',
		'DELETE FROM parted WHERE ctid = (SELECT max(ctid) FROM parted WHERE id = 2002)' ],
	[ 'at NOT NULL', 'UPDATE parted SET both_of = NULL WHERE id = 1', 'UPDATE parted SET both_of = ROW(1, 1) WHERE id = 1' ])
{
	my ($where, $spoil, $mend) = @$_;

	$node->safe_psql('undo', $spoil);
	expand('undo', $where);
	isnt($node->psql('undo', "CALL tandem.migrate('$where')"), 0, "migrate fails $where");
	isnt(objects(), $untouched, 'something is there by then');
	$node->safe_psql('undo', "CALL tandem.abort('$where')");
	is(objects(), $untouched, "abort $where leaves nothing");
	$node->safe_psql('undo', $mend);
}
expand('undo', 'before it began');
$node->safe_psql('undo', "CALL tandem.abort('before it began')");
is(objects(), $untouched, 'abort in phase expand leaves nothing');
expand('undo', 'done');
$node->safe_psql('undo', "CALL tandem.migrate('done')");
$node->safe_psql('undo', "CALL tandem.abort('done')");
is(objects(), $untouched, 'abort when all is there leaves nothing');


# The usual case: of a new column, which goes as well.
$node->safe_psql('undo', <<'SQL');
BEGIN;
SELECT tandem.create_migration('cents');
SELECT tandem.add_column('cents', t, 'cents', 'bigint'),
	tandem.sync_column('cents', t, 'amount', 'cents', 'amount * 100::bigint', '(cents / 100)::int'),
	tandem.add_constraint('cents', t, 'cents_positive', 'CHECK (cents > 0)'),
	tandem.add_constraint('cents', t, t || '_cents_key', 'UNIQUE (cents, id)'),
	tandem.add_not_null('cents', t, 'cents')
FROM unnest('{plain,parted}'::text[]) t;
COMMIT;
SQL
$node->safe_psql('undo', "CALL tandem.migrate('cents')");
is($node->safe_psql('undo', "SELECT count(*) FROM pg_attribute WHERE attname = 'cents' AND attnotnull"), '6',
	'a new column is NOT NULL, on each partition');
$node->safe_psql('undo', "CALL tandem.abort('cents')");
is(objects(), $untouched, 'abort takes a new column with its constraints');

done_testing();
