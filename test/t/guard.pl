# The guard, beyond what one session can show: data restored with all triggers disabled, an extension whose update
# renames what a rule uses, and a rule of a stranger that never returns.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');
my $dump = "${PostgreSQL::Test::Utils::tmp_check}/data.sql";

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

# Rows that know the old column alone, others that hold both, into tables that are synced meanwhile.
sub test_data_restored
{
	ask(<<'SQL');
CREATE TABLE d (id int PRIMARY KEY, price int, parent int REFERENCES d);
CREATE TABLE p (id int, price int) PARTITION BY LIST (id);
CREATE TABLE p_1 PARTITION OF p FOR VALUES IN (1);
INSERT INTO d SELECT i, i, 3001 - i FROM generate_series(1, 3000) i;
INSERT INTO p VALUES (1, 1);
SQL
	command_ok([ 'pg_dump', '--data-only', '--disable-triggers', '-t', 'd', '-t', 'p_1', '-f', $dump, '-d', $node->connstr('postgres') ],
		'dump of the old shape');
	ask(<<'SQL');
SELECT tandem.create_migration('m');
SELECT tandem.add_column('m', 'd', 'cents', 'bigint');
SELECT tandem.sync_column('m', 'd', 'price', 'cents', 'price * 100', 'cents / 100');
SELECT tandem.add_column('m', 'p', 'cents', 'bigint');
SELECT tandem.sync_column('m', 'p', 'price', 'cents', 'price * 100', 'cents / 100');
CALL tandem.migrate('m');
DELETE FROM d;
DELETE FROM p;
SQL
	my @restore = ('psql', '-X', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $dump);
	command_ok(\@restore, 'data of the old shape, all triggers disabled');
	is(ask('SELECT count(*), count(*) FILTER (WHERE cents = price * 100) FROM d'), '3000|3000', 'each row has both shapes');
	is(ask('SELECT cents FROM p'), 100, 'in a partition, too');
	is(ask(q(SELECT DISTINCT tgenabled FROM pg_trigger WHERE tgname = '~tandem_sync')), 'A', 'no trigger is out of force');
	command_ok([ 'pg_dump', '--data-only', '--disable-triggers', '-t', 'd', '-t', 'p_1', '-f', $dump, '-d', $node->connstr('postgres') ],
		'dump of both shapes');
	ask('UPDATE d SET cents = 7 WHERE id = 5');
	ask('DELETE FROM d; DELETE FROM p');
	command_ok(\@restore, 'data of both shapes');
	is(ask('SELECT count(*), count(*) FILTER (WHERE cents = price * 100) FROM d'), '3000|3000', 'is what it was');
	ask(q(CALL tandem.contract('m')));
	is(ask('SELECT count(cents) FROM d'), 3000, 'and what was proved has stayed proved');
	return;
}

# What the script of another extension does is DDL as well.
sub test_extension_script
{
	chomp(my $folder = `$ENV{PG_CONFIG} --sharedir`);
	my $path = "$folder/extension/guard_probe";

	append_to_file("$path.control", "default_version = '1'\nrelocatable = true\n");
	append_to_file("$path--1.sql", q(CREATE FUNCTION probe(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';) . "\n");
	append_to_file("$path--1--2.sql", "ALTER FUNCTION probe(int) RENAME TO probed;\n");
	append_to_file("$path--1--3.sql", "ALTER FUNCTION probe(int) COST 5;\n");
	ask(<<'SQL');
CREATE EXTENSION guard_probe;
CREATE TABLE e (a int, b int);
SELECT tandem.create_migration('e');
SELECT tandem.sync_column('e', 'e', 'a', 'b', 'probe(a)');
SQL
	is_refused($node, q(ALTER EXTENSION guard_probe UPDATE TO '2'), qr/ERROR:  ALTER FUNCTION would break migration "e"/,
		'extension: an update that renames a function');
	ask(q(ALTER EXTENSION guard_probe UPDATE TO '3'));
	is(ask('INSERT INTO e VALUES (1) RETURNING b'), 1, 'extension: another update');
	ask(q(CALL tandem.abort('e')));
	unlink glob "$path*";
	return;
}

# Neither DDL of others nor the views wait for it.
sub test_rule_that_sleeps
{
	ask(<<'SQL');
CREATE ROLE mallory LOGIN;
CREATE SCHEMA mallory AUTHORIZATION mallory;
CREATE FUNCTION shared(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
SET ROLE mallory;
CREATE TABLE mallory.awake (yes bool);
CREATE FUNCTION mallory.sleeps(int) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM mallory.awake) THEN RETURN true; END IF;
	PERFORM pg_sleep(1000);
	RETURN true;
END $$;
CREATE DOMAIN mallory.d AS int CHECK (mallory.sleeps(VALUE));
CREATE TYPE mallory.row AS (d mallory.d);
CREATE FUNCTION mallory.pass(mallory.d[], mallory.row, int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $3';
INSERT INTO mallory.awake VALUES (true);
CREATE TABLE mallory.t (a int, b int);
SELECT tandem.create_migration('mallory');
SELECT tandem.sync_column('mallory', 'mallory.t', 'a', 'b', $$mallory.pass('{1}', '(1)', public.shared(a))$$);
DELETE FROM mallory.awake;
SQL
	my ($status, $out, $err) = $node->psql('postgres', q(SET statement_timeout = '1s'; INSERT INTO mallory.t VALUES (1)));
	like($err, qr/statement timeout/, 'sleeper: it sleeps where it is parsed');
	foreach my $sql (
		'SELECT health FROM tandem.syncs',
		'SELECT problem FROM tandem.migrations',
		'ALTER FUNCTION shared(int) COST 7',
		'CREATE FUNCTION mine(int) RETURNS int LANGUAGE sql AS $$SELECT 1$$; ALTER FUNCTION mine(int) RENAME TO ours',
		'CREATE TYPE mine AS (a int); ALTER TYPE mine RENAME TO ours',
		'CREATE SCHEMA mine; ALTER SCHEMA mine RENAME TO ours',
		'CREATE DOMAIN my_domain AS int; ALTER DOMAIN my_domain ADD CHECK (VALUE > 0)',
		'CREATE TABLE mine (a int); ALTER TABLE mine RENAME TO our_table',
		'ALTER TABLE mallory.t ADD c int')
	{
		($status, $out, $err) = $node->psql('postgres', "SET statement_timeout = '20s'; $sql");
		is($status, 0, "sleeper: $sql") or note($err);
	}
	is(ask(q(SELECT health FROM tandem.syncs WHERE migration = 'mallory')), 'healthy', 'sleeper: shown as healthy');
	is_refused($node, 'ALTER FUNCTION shared(int) RENAME TO other', qr/ERROR:  ALTER FUNCTION would break migration "mallory"/,
		'sleeper: who can end her migration is told');
	ask(q(CALL tandem.abort('mallory', force => true)));
	ask('ALTER FUNCTION shared(int) RENAME TO other');
	return;
}

test_data_restored();
test_extension_script();
test_rule_that_sleeps();
$node->stop;
done_testing();
