# Attempts of a role without rights to become more, to see more, or to stop others: each has worked on 1.0.
# See test/faults.md, A1 to A9.  The tables of roles and of stored texts are tests of their own:
# authority_table.pl, text_table.pl.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => "shared_preload_libraries = 'pg_tandem'\nmax_worker_processes = 12\ntandem.lock_retry_time = 2s");

sub ask
{
	my ($sql, $database) = @_;

	return $node->safe_psql($database || 'postgres', $sql);
}

# Statements of a role; returns what it is told.
sub as
{
	my ($role, $sql, $database) = @_;
	my ($status, $out, $err) = $node->psql($database || 'postgres', "SET SESSION AUTHORIZATION $role;\n$sql", on_error_stop => 0);

	return "$out\n$err";
}

sub is_super
{
	return ask(q(SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'));
}

ask(<<'SQL');
CREATE ROLE mallory LOGIN;
CREATE ROLE app LOGIN;
CREATE ROLE deployer LOGIN IN ROLE app;
GRANT EXECUTE ON FUNCTION tandem.switch_release, tandem.register_release TO app, deployer;
GRANT CREATE ON DATABASE postgres TO app, deployer, mallory;
CREATE SCHEMA evil AUTHORIZATION mallory;
CREATE SCHEMA shop AUTHORIZATION app;
SET ROLE mallory;
CREATE FUNCTION evil.hold() RETURNS boolean LANGUAGE plpgsql AS $$BEGIN EXECUTE 'ALTER ROLE mallory SUPERUSER'; RETURN false; END$$;
CREATE TABLE evil.t (id int PRIMARY KEY, price int);
INSERT INTO evil.t VALUES (1, 1);
SET ROLE app;
CREATE TABLE shop.orders (id int PRIMARY KEY, price int);
INSERT INTO shop.orders SELECT i, i FROM generate_series(1, 1000) i;
SQL

# What a release's script of the application does, as whoever runs it.
my $script = <<'SQL';
SELECT tandem.create_migration('visibility', release => 42);
SELECT tandem.add_column('visibility', 'shop.orders', 'cents', 'int');
SELECT tandem.sync_column('visibility', 'shop.orders', 'price', 'cents', 'price * 100', 'cents / 100');
CALL tandem.migrate('visibility');
SQL

# A1: a name taken first
{
	my $taken = qr/ERROR:  migration "visibility" .*mallory.*HINT:  .*SET ROLE/s;
	my ($status, $out, $err);

	as('mallory', q(SELECT tandem.create_migration('visibility'); SELECT tandem.configure('visibility', 'tandem.hold_function', 'evil.hold')));
	foreach my $role ('postgres', 'deployer')
	{
		$err = as($role, "\\set ON_ERROR_STOP 1\n$script");
		like($err, $taken, "A1: a name that a stranger has taken is an error for $role, which says whose it is");
		is(is_super(), 'f', 'A1: and mallory is no superuser');
	}
	$err = as('postgres', q(CALL tandem.abort('visibility')));
	is(ask(q(SELECT phase FROM tandem.migrations WHERE name = 'visibility')), 'aborted', 'A1: a superuser may end it') or diag($err);

	# the same of one that has ended
	as('mallory', q(SELECT tandem.create_migration('visibility'); SELECT tandem.add_column('visibility', 'evil.t', 'a1', 'int');
		SELECT tandem.sync_column('visibility', 'evil.t', 'price', 'a1', 'price', keep_old => true);
		CALL tandem.migrate('visibility')));
	as('mallory', q(CALL tandem.contract('visibility', undeclared => 'ignore')));
	is(ask(q(SELECT phase FROM tandem.migrations WHERE name = 'visibility' AND phase <> 'aborted')), 'done', 'A1: it has ended');
	$err = as('deployer', "\\set ON_ERROR_STOP 1\n$script");
	like($err, qr/ERROR:  migration "visibility"/, 'A1: a name that a stranger has used up is an error too');
	as('mallory', q(SELECT tandem.forget('visibility')));

	# a transaction of hers that has the name and does not end
	my $holder = $node->background_psql('postgres', on_error_stop => 0);
	$holder->query_safe(q(SET SESSION AUTHORIZATION mallory));
	$holder->query_safe('BEGIN');
	$holder->query(q(SELECT tandem.create_migration('prices')));
	$err = as('deployer', q(SELECT tandem.create_migration('prices')));
	like($err, qr/ERROR:  .*"prices"/, 'A1: nobody waits for ever for a transaction that has the name');
	like(as('deployer', q(SELECT tandem.create_migration('other name'); SELECT 'made')), qr/^made$/m, 'A1: nor at all under another name');
	$holder->query(q(ROLLBACK));
	$holder->quit;
}

# A4: a schema that was there before
{
	my $err;

	ask('CREATE DATABASE before');
	ask('GRANT CREATE ON DATABASE before TO mallory');
	as('mallory', 'CREATE SCHEMA tandem', 'before');
	(undef, undef, $err) = $node->psql('before', 'CREATE EXTENSION pg_tandem');
	like($err, qr/ERROR:  .*schema "tandem".*exists/, 'A4: a schema that was there before is refused');
	is(ask(q(SELECT count(*) FROM pg_extension WHERE extname = 'pg_tandem'), 'before'), 0, 'A4: and nothing is made');

	# what she puts there is believed by nobody
	as('mallory', <<'SQL', 'before');
CREATE SCHEMA evil;
CREATE FUNCTION evil.say() RETURNS integer LANGUAGE plpgsql AS $$
BEGIN RAISE LOG 'A4: read as %', current_user; EXECUTE 'ALTER ROLE mallory SUPERUSER'; RETURN 1000; END $$;
CREATE VIEW tandem.registry AS SELECT true AS one, evil.say() AS current, NULL::timestamptz AS current_since, evil.say() AS lowest,
	NULL::timestamptz AS lowest_since, 0 AS contracting;
CREATE VIEW tandem.migration AS SELECT 1 AS id, 'm' AS name, evil.say() AS release, true AS registered, 'done' AS phase;
CREATE VIEW tandem.release AS SELECT evil.say() AS release;
GRANT USAGE ON SCHEMA tandem, evil TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA tandem TO PUBLIC;
SQL
	$err = as('postgres', "SET tandem.release = 41; SELECT 'served'; CREATE TABLE made (); BEGIN; SELECT 1; COMMIT", 'before');
	like($err, qr/^served$/m, 'A4: a session that declares a release is served where there is no extension');
	unlike($err, qr/ERROR/, 'A4: with all its statements');
	unlike(slurp_file($node->logfile), qr/LOG:  A4: read as/, 'A4: and nothing of a schema that is not ours is read');
	is(is_super(), 'f', 'A4: mallory is no superuser');
	like(as('mallory', 'CREATE FUNCTION tandem.add_column(text, text, text, text) RETURNS void LANGUAGE sql AS $$$$'),
		qr/ERROR:  permission denied for schema tandem/, 'A4: nobody puts a function beside ours');
}

# A5: create_views by a superuser
{
	my $err;

	ask(q(SET ROLE app; SELECT tandem.create_migration('shop', release => 43); SELECT tandem.add_column('shop', 'shop.orders', 'total', 'int');
		SELECT tandem.sync_column('shop', 'shop.orders', 'price', 'total', 'price', 'total')));
	as('mallory', <<'SQL');
CREATE TABLE evil.orders (id int, price int);
SELECT tandem.create_migration('of mallory');
SELECT tandem.add_column('of mallory', 'evil.orders', 'total', 'int');
SELECT tandem.sync_column('of mallory', 'evil.orders', 'price', 'total', 'price', 'total');
CREATE SCHEMA release_43;
GRANT ALL ON SCHEMA release_43 TO PUBLIC;
SQL
	foreach my $role ('postgres', 'app')
	{
		$err = as($role, q(SELECT tandem.create_views(43, relations => '{shop.orders}')));
		like($err, qr/ERROR:  schema "release_43".*mallory.*HINT:  /s, "A5: $role uses no schema that a stranger has made");
	}
	as('mallory', 'DROP SCHEMA release_43');
	$err = as('app', 'SELECT tandem.create_views(43)');
	unlike($err, qr/ERROR/, 'A5: where a name is in two schemas, views are made');
	is(ask(q(SELECT string_agg(viewname, ' ') FROM pg_views WHERE schemaname LIKE '%release_43')), 'orders', 'A5: of the tables of the caller');
	$err = as('postgres', 'SELECT tandem.create_views(43)');
	is(ask(q(SELECT count(*) FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class c ON c.oid = r.ev_class
		WHERE d.refobjid = 'evil.orders'::regclass AND c.relnamespace::regnamespace::text LIKE '%release_43%')), 0,
		"A5: a superuser publishes no stranger's table");
	like(as('mallory', 'CREATE VIEW release_43.customers AS SELECT 1'), qr/ERROR:  permission denied for schema release_43/,
		'A5: nobody puts a view beside them');
	as('app', q(CALL tandem.abort('shop')));
}

# A6: who stops others
{
	my ($status, $out, $err);

	# the workers of the server
	foreach my $i (1 .. 6)
	{
		as('mallory', <<"SQL");
CREATE TABLE evil.big$i (id int PRIMARY KEY, price int);
INSERT INTO evil.big$i SELECT i, i FROM generate_series(1, 200000) i;
SELECT tandem.create_migration('big$i');
SELECT tandem.add_column('big$i', 'evil.big$i', 'cents', 'int');
SELECT tandem.sync_column('big$i', 'evil.big$i', 'price', 'cents', 'price * 100', 'cents / 100');
SELECT tandem.configure('big$i', 'tandem.max_rows_per_second', '100');
CALL tandem.migrate('big$i', background => true, workers => 4);
SQL
	}
	ask(q(SET ROLE app; SELECT tandem.create_migration('indexed'); SELECT tandem.add_index('indexed', 'CREATE INDEX orders_price ON shop.orders (price)')));
	$err = as('app', q(CALL tandem.migrate('indexed')));
	unlike($err, qr/ERROR/, 'A6: whatever a stranger runs, a worker is left for others');
	is(ask(q(SELECT count(*) FROM pg_indexes WHERE indexname = 'orders_price')), 1, 'A6: and the index is built');
	$err = as('app', q(CALL tandem.migrate('indexed', background => true)));
	unlike($err, qr/ERROR/, 'A6: one for a run in the background, too');
	as('mallory', "CALL tandem.abort('big$_')") foreach 1 .. 6;

	# a rule whose text fails, or does not end, after it was accepted
	as('mallory', <<'SQL');
CREATE FUNCTION evil.check_value(integer) RETURNS boolean LANGUAGE sql AS 'SELECT true';
CREATE DOMAIN evil.d AS integer CHECK (evil.check_value(VALUE));
CREATE FUNCTION evil.pass(evil.d[], integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $2';
CREATE TABLE evil.trap (id int PRIMARY KEY, price int, cents int);
SELECT tandem.create_migration('trap');
SELECT tandem.sync_column('trap', 'evil.trap', 'price', 'cents', $$ evil.pass('{1}'::evil.d[], price) + length(upper('x')) $$);
SQL
	foreach my $trap ([ 'fails', q(BEGIN RAISE 'trapped'; END) ], [ 'does not end', q(BEGIN PERFORM pg_sleep(3600); RETURN true; END) ])
	{
		my ($how, $body) = @$trap;

		as('mallory', "CREATE OR REPLACE FUNCTION evil.check_value(integer) RETURNS boolean LANGUAGE plpgsql AS \$\$$body\$\$");
		foreach my $statement (
			'CREATE FUNCTION shop.f(int) RETURNS int LANGUAGE sql AS $$SELECT 1$$',
			'ALTER FUNCTION shop.f(int) RENAME TO g',
			q(CREATE TYPE shop.mood AS ENUM ('good')),
			'ALTER TYPE shop.mood RENAME TO state',
			'CREATE DOMAIN shop.price AS int',
			'ALTER DOMAIN shop.price RENAME TO cost',
			'ALTER TABLE shop.orders ADD COLUMN note text',
			'ALTER TABLE shop.orders DROP COLUMN note',
			'CREATE SCHEMA shop_two',
			'ALTER SCHEMA shop_two RENAME TO shop_three',
			'DROP SCHEMA shop_three',
			'DROP FUNCTION shop.g(int)',
			'DROP TYPE shop.state',
			'DROP DOMAIN shop.cost',
			'SELECT count(*) FROM tandem.syncs',
			'SELECT count(problem) FROM tandem.migrations')
		{
			$err = as('app', "SET statement_timeout = '10s'; $statement");
			unlike($err, qr/ERROR/, "A6: a rule of a stranger that $how does not stop: $statement");
		}
	}
	as('postgres', q(CALL tandem.abort('trap', force => true)));
	is(ask(q(SELECT phase FROM tandem.migrations WHERE name = 'trap')), 'aborted', 'A6: nor its abort');

	# the change lock: the names 'f1' ... of a stranger, held open, against the abort of others
	as('app', q(SELECT tandem.create_migration('stuck')));
	my $holder = $node->background_psql('postgres', on_error_stop => 0);
	$holder->query(q(SET SESSION AUTHORIZATION mallory));
	$holder->query('BEGIN');
	$holder->query(q(SELECT tandem.create_migration('stuck')));
	$holder->query('ROLLBACK');
	$holder->query('BEGIN');
	$holder->query(q(SELECT tandem.pause('stuck')));
	$holder->query('SAVEPOINT s');
	$err = as('app', q(CALL tandem.abort('stuck')));
	unlike($err, qr/ERROR/, 'A6: a stranger that has asked for a migration does not stop its abort');
	$holder->query('ROLLBACK');

	# a session that declares an old release, and may do nothing with the tables
	as('app', <<'SQL');
SELECT tandem.create_migration('contracted', release => 44);
SELECT tandem.add_column('contracted', 'shop.orders', 'sum', 'int');
SELECT tandem.sync_column('contracted', 'shop.orders', 'price', 'sum', 'price', 'sum', keep_old => true);
CALL tandem.migrate('contracted');
SELECT tandem.switch_release(44);
SQL
	$holder->quit;
	$holder = $node->background_psql('postgres', on_error_stop => 0, extra_params => [ '-U', 'mallory' ]);
	$holder->query('SET tandem.release = 43');
	$holder->query('BEGIN');
	$holder->query('SELECT 1');
	$err = as('app', q(SET statement_timeout = '60s'; CALL tandem.contract('contracted', undeclared => 'ignore')));
	unlike($err, qr/ERROR/, 'A6: a session that may do nothing with the tables does not make contract wait');
	is(ask(q(SELECT phase FROM tandem.migrations WHERE name = 'contracted')), 'done', 'A6: contract comes to its end');
	$holder->query('ROLLBACK');
	$holder->quit;
}

# A7: what is seen and kept of others
{
	as('app', <<'SQL');
CREATE TABLE shop.secrets (word text PRIMARY KEY, price text);
INSERT INTO shop.secrets VALUES ('hush', 'x');
SELECT tandem.create_migration('secrets');
SELECT tandem.add_column('secrets', 'shop.secrets', 'cents', 'int');
SELECT tandem.sync_column('secrets', 'shop.secrets', 'price', 'cents', 'price::int', on_error => 'quarantine', keep_old => true);
CALL tandem.migrate('secrets');
SQL
	like(as('app', 'SELECT key FROM tandem.quarantine'), qr/hush/, 'A7: the owner sees the key');
	my $told = as('mallory', 'SELECT * FROM tandem.quarantine; SELECT * FROM tandem.progress; SELECT * FROM tandem.migrations; SELECT * FROM tandem.history; SELECT * FROM tandem.sessions');
	unlike($told, qr/hush|invalid input syntax/, 'A7: a stranger sees neither key nor value');

	my $writer = $node->background_psql('postgres', on_error_stop => 0);
	$writer->query_safe(q(SET application_name = 'payroll of bob'));
	$writer->query_safe('BEGIN');
	$writer->query_safe('LOCK TABLE shop.orders');
	# PostgreSQL itself shows to all that there is a session, but not what it does
	unlike(as('mallory', 'SELECT * FROM tandem.sessions'), qr/idle in transaction/, 'A7: of sessions no more than pg_stat_activity shows');
	my $run = start_psql($node, 'postgres', 'SET ROLE app', 'SET tandem.lock_retry_time = \'60s\'',
		q(BEGIN; SELECT tandem.create_migration('waits'); SELECT tandem.add_column('waits', 'shop.orders', 'w', 'int'); COMMIT;));
	my $err = as('app', q(SET tandem.lock_retry_time = '1s'; SELECT tandem.create_migration('told'); SELECT tandem.add_column('told', 'shop.orders', 'w2', 'int')));
	like($err, qr/ERROR:  .*orders/, 'A7: an expand that meets a lock says so');
	unlike($err, qr/idle in transaction|open for \d/, 'A7: without the transaction of a session that the caller may not see');
	$writer->query_safe('ROLLBACK');
	$writer->quit;
	finish($run);
	as('app', q(CALL tandem.abort('waits'); CALL tandem.abort('told')));

	as('app', q(CALL tandem.abort('secrets')));
	like(as('app', q(SELECT tandem.forget('secrets'); SELECT 'forgotten')), qr/^forgotten$/m, 'A7: what is kept of an ended migration is forgotten');
	unlike(ask('SELECT * FROM tandem.step; SELECT * FROM tandem.quarantined_row; SELECT * FROM tandem.event'), qr/hush|invalid input syntax/,
		'A7: with every value of a row');
}

# A8: the conflict error
{
	as('app', <<'SQL');
CREATE TABLE shop.people (id int PRIMARY KEY, first text, last text, name text);
GRANT UPDATE (first, name), SELECT (id, first) ON shop.people TO mallory;
GRANT USAGE ON SCHEMA shop TO mallory;
INSERT INTO shop.people VALUES (1, 'Bob', 'Hush', NULL);
SELECT tandem.create_migration('people');
SELECT tandem.sync_columns('people', 'shop.people', '{first,last}', '{name}', '{first || '' '' || last}', '{split_part(name\, '' ''\, 1),split_part(name\, '' ''\, 2)}', keep_old => true);
CALL tandem.migrate('people');
SQL
	my $err = as('mallory', q(UPDATE shop.people SET first = 'Eve', name = 'Tom Thumb' WHERE id = 1));
	like($err, qr/ERROR:  .*people|ERROR:  .*conflict|ERROR:  .*differ|ERROR:  /, 'A8: two values that disagree are an error');
	unlike($err, qr/Hush/, 'A8: which shows no column that the writer may not read');
	like($err, qr/first/, 'A8: but names the columns');
	as('app', q(CALL tandem.abort('people')));
}

# A9: text that was not stored by the owner of the table, and would be read with the rights of that role
{
	my $sync = q(tandem.sync_row('2', '1', 'm', '0', 'error', 'error', 'x', '{a}', '{b}', '{evil.fold(1)}', '{evil.fold(1)}', 'public'));
	my ($err, $reader);

	as('mallory', <<'SQL');
CREATE FUNCTION evil.grab() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	RAISE LOG 'A9: read as %', current_user;
	IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN ALTER ROLE mallory SUPERUSER; END IF;
END $$;
CREATE FUNCTION evil.fold(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$BEGIN PERFORM evil.grab(); RETURN i; END $$;
CREATE TABLE evil.attached (id int, a int, b int);
SQL
	ask(<<'SQL');
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE TABLE plain (id int PRIMARY KEY, a int, b int);
GRANT SELECT, INSERT, UPDATE, TRIGGER ON plain TO mallory;
CREATE TABLE root (id int, a int, b int) PARTITION BY RANGE (id);
CREATE TABLE leaf PARTITION OF root FOR VALUES FROM (0) TO (10);
ALTER TABLE leaf OWNER TO mallory;
SQL

	foreach my $name ('zz', '"~tandem_sync"')
	{
		$err = as('mallory', "CREATE TRIGGER $name BEFORE INSERT OR UPDATE ON plain FOR EACH ROW EXECUTE FUNCTION $sync; INSERT INTO plain VALUES (1, 1)");
		like($err, qr/ERROR:  permission denied to create a sync trigger on table public\.plain/, "A9: TRIGGER on a table is no right to make $name");
		$err = as('mallory', "CREATE TRIGGER $name BEFORE INSERT OR UPDATE ON leaf FOR EACH ROW EXECUTE FUNCTION $sync; INSERT INTO leaf VALUES (1, 1)");
		like($err, qr/ERROR:  permission denied to create a sync trigger on table public\.leaf/, "A9: nor is a partition to its owner, for $name");
	}
	like(as('mallory', "CREATE TRIGGER zz BEFORE INSERT OR UPDATE ON evil.attached FOR EACH ROW EXECUTE FUNCTION $sync; SELECT 'made'"),
		qr/^made$/m, 'A9: a table of her own is hers');
	ask('ALTER TABLE root ATTACH PARTITION evil.attached FOR VALUES FROM (10) TO (20)');
	like(as('postgres', 'INSERT INTO root VALUES (11, 1)'), qr/ERROR:  sync trigger "zz" of partition "attached" was not created on its partitioned table/,
		'A9: once it is a partition its trigger is not read as another owner');
	ask('DROP TRIGGER zz ON evil.attached');

	# a default of a partition, which its owner says
	ask(<<'SQL');
TRUNCATE leaf;
SELECT tandem.create_migration('leaf');
SELECT tandem.add_column('leaf', 'root', 'c', 'int');
SELECT tandem.sync_column('leaf', 'root', 'a', 'c', 'a', 'c');
SQL
	unlike(as('mallory', 'ALTER TABLE leaf ALTER a SET DEFAULT evil.fold(7); INSERT INTO leaf (id) VALUES (1)'), qr/ERROR/, 'A9: a default of a partition works');
	is(ask('SELECT a, c FROM leaf'), '7|7', 'A9: and is followed');
	as('postgres', q(CALL tandem.abort('leaf')));

	# a partition of a superuser that is being detached belongs to its table still
	as('mallory', <<'SQL');
CREATE TABLE evil.tree (id int, a int) PARTITION BY RANGE (id);
CREATE TABLE evil.branch PARTITION OF evil.tree FOR VALUES FROM (0) TO (10);
SELECT tandem.create_migration('branch');
SELECT tandem.add_column('branch', 'evil.tree', 'b', 'int');
SELECT tandem.sync_column('branch', 'evil.tree', 'a', 'b', 'a + evil.fold(1)');
SQL
	ask('ALTER TABLE evil.branch OWNER TO postgres');
	$reader = $node->background_psql('postgres');
	$reader->query_safe('BEGIN; SELECT count(*) FROM evil.tree');
	as('mallory', "SET statement_timeout = '1s'; ALTER TABLE evil.tree DETACH PARTITION evil.branch CONCURRENTLY");
	is(ask('SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = \'evil.branch\'::regclass'), 't', 'A9: a partition is being detached');
	ask('INSERT INTO evil.branch (id, a) VALUES (1, 1)');
	$reader->query_safe('COMMIT');
	$reader->quit;

	unlike(slurp_file($node->logfile), qr/LOG:  A9: read as postgres/, 'A9: nothing of hers is read as the owner of the table');
	is(is_super(), 'f', 'A9: mallory is no superuser');
	as('mallory', q(ALTER TABLE evil.tree DETACH PARTITION evil.branch FINALIZE; CALL tandem.abort('branch')));
}

# what the owner of the database loads into the tables of state runs as nobody else
{
	my $err;

	ask('CREATE DATABASE loaded OWNER mallory');
	ask('CREATE EXTENSION pg_tandem', 'loaded');
	as('mallory', <<'SQL', 'loaded');
CREATE SCHEMA evil;
CREATE TABLE evil.t (id int PRIMARY KEY, price int);
INSERT INTO evil.t SELECT i, i FROM generate_series(1, 1000) i;
CREATE FUNCTION evil.hold() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN RAISE LOG 'loaded: held as %', current_user; EXECUTE 'ALTER ROLE mallory SUPERUSER'; RETURN false; END $$;
INSERT INTO tandem.migration (name, created_by, settings) SELECT 'loaded', ROW (oid, rolname, '')::tandem.role_reference,
	'{"tandem.hold_function": "evil.hold", "TANDEM.Hold_Function": "evil.hold", "tandem.batch_target": "50", "TANDEM.batch_target": "60",
	"tandem.release": "7", "tandem.undeclared": "refuse", "session_replication_role": "replica", "log_statement": "none"}' FROM pg_roles WHERE rolname = 'mallory';
INSERT INTO tandem.migration (name, created_by, settings) SELECT 'no object', ROW (oid, rolname, '')::tandem.role_reference, '17' FROM pg_roles WHERE rolname = 'mallory';
SELECT tandem.add_column('loaded', 'evil.t', 'cents', 'int');
SELECT tandem.sync_column('loaded', 'evil.t', 'price', 'cents', 'price * 100', 'cents / 100');
SQL
	is(ask('SELECT name, settings FROM tandem.migrations ORDER BY name', 'loaded'), qq(loaded|{"tandem.batch_target": "50"}\nno object|{}),
		'of settings that are loaded those stay which tandem.configure would have stored');
	# a row that a superuser has restored as it was dumped
	ask(q(UPDATE tandem.migration SET settings = settings || '{"TANDEM.Hold_Function": "evil.hold", "session_replication_role": "replica"}'
		WHERE name = 'loaded'), 'loaded');
	$err = as('postgres', q(CALL tandem.migrate('loaded')), 'loaded');
	like($err, qr/ERROR:  .*hold_function/s, 'a hold function of which nobody knows who configured it is not called');
	unlike(slurp_file($node->logfile), qr/LOG:  loaded: held as/, 'and under no other spelling of its name');
	is(is_super(), 'f', 'mallory is no superuser by what she has loaded');
	as('postgres', q(CALL tandem.abort('loaded')), 'loaded');
}

is(is_super(), 'f', 'mallory is what she was');
$node->stop;
done_testing();
