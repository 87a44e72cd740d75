# A dump made in mid-migration is restored whole, though a restore alters tables whose sync trigger
# is not there yet; and the restored database guards its syncs like the first one.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('restored');
my $dump = "${PostgreSQL::Test::Utils::tmp_check}/dump.sql";
$node->init;
$node->start;
$node->safe_psql('postgres', q{
	CREATE EXTENSION pg_tandem;
	CREATE SCHEMA lib;
	CREATE FUNCTION lib.up(text) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $1::integer';
	CREATE FUNCTION lib.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
	CREATE TABLE t (id integer PRIMARY KEY, a text UNIQUE, b integer);
	CREATE TABLE p (k integer PRIMARY KEY REFERENCES t, a text, b integer) PARTITION BY LIST (k);
	CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
	CREATE INDEX t_b_idx ON t (b);
	CREATE TRIGGER audit AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION lib.note();
	ALTER TABLE t ENABLE REPLICA TRIGGER audit;
	INSERT INTO t VALUES (1, '1');
	INSERT INTO p VALUES (1, '1');
	SELECT tandem.create_migration('m');
	SELECT tandem.sync_column('m', 't', 'a', 'b', 'lib.up(a)', 'b::text');
	SELECT tandem.sync_column('m', 'p', 'a', 'b', 'lib.up(a)', 'b::text');});
command_ok([ 'pg_dump', '-f', $dump, '-d', $node->connstr('postgres') ], 'dump');
$node->safe_psql('postgres', 'CREATE DATABASE again');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('again'), '-f', $dump ],
	'restore, without an error');

my $constraints = q{SELECT conrelid::regclass, conname FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY conrelid::regclass::text, conname};
is($node->safe_psql('again', $constraints), $node->safe_psql('postgres', $constraints), 'every constraint is there');
is($node->safe_psql('again', 'SELECT DISTINCT health FROM tandem.syncs'), 'healthy', 'the syncs are healthy');
$node->safe_psql('again', q{INSERT INTO t VALUES (2, '2'); UPDATE p SET a = '5'});
is($node->safe_psql('again', 'SELECT b FROM t WHERE id = 2 UNION ALL SELECT b FROM p'), "2\n5", 'and work');
for my $command (
	'ALTER TABLE t DISABLE TRIGGER "~tandem_sync"',
	'ALTER TABLE t RENAME a TO c',
	'ALTER TABLE t DROP COLUMN a CASCADE',
	'DROP TRIGGER "~tandem_sync" ON p',
	'DROP FUNCTION lib.up(text) CASCADE',
	'ALTER FUNCTION lib.up(text) RENAME TO other',
	'ALTER SCHEMA lib RENAME TO other',
	'ALTER TABLE p1 DISABLE TRIGGER "~tandem_sync"')
{
	my ($status, $stdout, $stderr) = $node->psql('again', $command);
	like($stderr, qr/would break migration "m"/, "refused: $command");
}
$node->safe_psql('again', q{CALL tandem.migrate('m')});
is($node->safe_psql('again', 'SELECT count(*) FROM t WHERE b IS DISTINCT FROM a::integer'), 0, 'and filled');
$node->stop;
done_testing();
