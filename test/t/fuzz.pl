# Every SQL function meets random and hostile arguments, and the parsers of expressions, index and
# constraint definitions random soups: errors only, never an internal one, never a crash.
# TANDEM_SEED repeats a run, TANDEM_FUZZ sets the number of calls.

use strict;
use warnings;
no warnings 'qw';

use FindBin;
use lib "$FindBin::Bin/lib";
use List::Util qw(sum0);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $seed = $ENV{TANDEM_SEED} || int(rand(1_000_000));
my $calls = $ENV{TANDEM_FUZZ} || 2000;
my $per_database = 500;
my @settings = qw(batch_target batch_lock_timeout lock_timeout lock_retry_time fire_triggers vacuum_every max_rows_per_second
	max_wal_rate max_lag_size max_lag_time lag_sources hold_function release undeclared);

srand($seed);
diag("TANDEM_SEED=$seed");

sub pick { return $_[ int(rand(@_)) ]; }

sub literal
{
	my ($text) = @_;

	$text =~ s/'/''/g;
	$text =~ s/\\/\\\\/g;
	return "E'$text'";
}

my @expressions = ('price * 100', 'cents / 100', 'price', 'id + price', 'note::int', 'length(note)', 'price::numeric(4,1)', 'kind::text', 'doc->>$$a$$');
my @tables = qw(items public.items parts part_1 "Odd ""one" pg_catalog.pg_class tandem.migration a_view seq tandem no.where "", a.b.c.d .);
my @columns = ('price', 'cents', 'id', 'note', 'kind', 'doc', 'tags', 'size', 'Sum % of', 'gone', '', 'ctid', 'tableoid', 'xmin', 'x' x 70, 'pg_dropped.1', '*', '1');
my @migrations = ('m', 'n', 'done', 'nobody', '', 'm ', 'M', 'x' x 5000);
my @tokens = (
	@columns, qw(( ( ) ) , . ; :: [ ] + - * / % = <> < || -> ->> :=), '"', q('), '$1', '$$', '--', '/*', '*/', "\n", 'SELECT', 'FROM items', 'CASE', 'WHEN', 'THEN',
	'ELSE', 'END', 'NULL', 'true', 'AND', 'NOT', 'IN', 'IS DISTINCT FROM', 'count(*)', 'sum(price) OVER ()', 'generate_series(1, 3)', '(SELECT 1)', 'ARRAY[',
	'ROW(', 'items', 'items.*', 'COLLATE "C"', '::public.mood', '::int', '::text', 'random()', 'now()', 'nextval($$seq$$)', '1e400', '99999999999999999999', q(U&'\0061'),
	'GROUPING(price)', 'DEFAULT', 'CURRENT_USER', 'EXISTS', 'VARIADIC', 'price', 'cents', 'id', 'note',
	'coalesce(', 'CREATE', 'UNIQUE', 'INDEX', 'CONCURRENTLY', 'ON', 'items', 'USING', 'btree', 'gin', 'WHERE', 'INCLUDE', 'WITH (fillfactor = 3)', 'TABLESPACE x',
	'CHECK', 'FOREIGN KEY', 'REFERENCES', 'PRIMARY KEY', 'NO INHERIT', 'DEFERRABLE', 'EXCLUDE', 'NULLS NOT DISTINCT', 'ON DELETE CASCADE', 'NOT VALID', 'NOT NULL',
	'USING INDEX items_pkey', 'IF NOT EXISTS', 'ONLY');
my @texts = (
	'', ' ', "\t\n", 'x' x 100_000, "\x{1}\x{7f}", '%s%n%d', '\\', q('), q("), '$$', '$1', 'NULL', '0', '-1', '{}', '{"a": 1}', '[[[', '{a,b,NULL}', '{{a},{b}}',
	'int', 'text', 'bigint', 'public.mood', 'items', 'void', 'record', 'int[]', 'varchar(0)', 'numeric(1001)', 'setof int', 'serial', 'tsvector', 'cstring', 'anyelement',
	'error', 'new', 'old', 'quarantine', 'refuse', 'ignore', 'wait', 'return', 'on', '5s', '1h', '99999999999999', '-5ms', '10MB',
	(map { "tandem.$_" } @settings), 'work_mem', 'search_path', 'role', 'session_authorization');

my @scripts = (
	'ALTER TABLE items ADD COLUMN more int; UPDATE items SET more = 1', 'BEGIN; DROP TABLE items CASCADE; COMMIT; SELECT 1', 'DROP EXTENSION pg_tandem CASCADE',
	'SET ROLE pg_monitor; SELECT 1', 'SELECT 1; SELECT (', 'COPY items FROM stdin;', '\\gexec', 'SELECT :a', 'DO $$BEGIN COMMIT; END$$', 'VACUUM', 'SAVEPOINT a; ROLLBACK TO a',
	'DECLARE c CURSOR FOR SELECT 1; FETCH c', 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'ALTER TABLE items ALTER price TYPE bigint; TRUNCATE items', 'DISCARD ALL',
	'SET tandem.release = 42; SELECT * FROM items', 'LISTEN a; NOTIFY a', 'LOCK TABLE pg_class', 'CREATE TEMP TABLE t (a int) ON COMMIT DROP', ';;;');

sub soup
{
	return '(' x 20000 if rand() < 0.002;
	return join ' + ', ('price') x 20000 if rand() < 0.002;
	return pick(@expressions) if rand() < 0.3;
	return join ' ', pick('CREATE INDEX', 'CREATE UNIQUE INDEX'), pick('i', '', 'i2', '"i ""3"'), 'ON', pick(@tables),
	  pick('(price)', '(cents, note)', 'USING gin (tags)', '(lower(note))', soup()), pick('', '', 'WHERE price > 0', 'INCLUDE (note)', soup())
	  if rand() < 0.2;
	return join ' ', pick('CHECK (', 'FOREIGN KEY (', 'UNIQUE (', 'PRIMARY KEY (', 'EXCLUDE ('), pick(@columns, soup()), ')',
	  pick('', '', 'REFERENCES items', 'NOT VALID', 'DEFERRABLE', soup())
	  if rand() < 0.2;
	return join ' ', map { pick(@tokens) } 1 .. 1 + rand(12);
}

sub text_for
{
	my ($name) = @_;

	return soup() if rand() < 0.05;
	return pick(@texts) if rand() < 0.1;
	return pick(@migrations[ (0) x 6, 1 .. $#migrations ]) if $name eq 'migration' || $name eq 'name';
	return pick(@tables[ (0) x 8, 1 .. $#tables ]) if $name eq 'relation';
	return pick(@columns) if $name =~ /^(old|new|column_name)$/;
	return pick('tandem.' . pick(@settings), pick(@texts)) if $name eq 'setting';
	return pick('error', 'new', 'old', 'quarantine', 'refuse', 'ignore', 'wait', 'return') if $name =~ /^(on_|if_|undeclared)/ && rand() < 0.8;
	return pick(qw(int bigint text), 'numeric(5,2)', 'public.mood', pick(@texts)) if $name eq 'type';
	return soup() if $name =~ /^(up|down|definition)$/;
	return pick(@scripts) if $name eq 'script' && rand() < 0.8;
	return pick(@texts);
}

# An argument of that name and type, as SQL.
sub argument
{
	my ($name, $type) = @_;

	return 'NULL' if rand() < 0.05;
	# what a script drops, and is asked to keep, is gone
	return 'false' if $name eq 'keep';
	return literal(text_for($name)) . "::$type" if $type =~ /^(text|name)$/;
	return 'ARRAY[' . join(', ', map { rand() < 0.03 ? 'NULL' : literal(text_for($name)) } 1 .. rand(4)) . "]::$type" if $type =~ /^(text|name)\[\]$/;
	return pick(qw(0 1 2 3 42 43 -1 2147483647 -2147483648)) if $type eq 'integer';
	return pick(qw(0 1 2 -1 32767)) . '::smallint' if $type eq 'smallint';
	return pick(q('{}'), q('{=r/postgres}'), 'NULL') . '::aclitem[]' if $type eq 'aclitem[]';
	return pick(qw(0 1 5 -1 9223372036854775807 -9223372036854775808)) . '::bigint' if $type eq 'bigint';
	return pick(q('pg_class'), (q('items')) x 4, q('parts'), q('a_view'), q('seq'), 0, 4294967295) . '::regclass' if $type eq 'regclass';
	return pick(qw(true false)) if $type eq 'boolean';
	return pick(q('pg_class'::regclass), q('items'::regclass), 10, 0, 4294967295) . '::oid' if $type eq 'oid';
	return pick(q('{}'), q('{0,1259,NULL}'), q('{{1,2},{3,4}}'), q(ARRAY['items'::regclass::oid])) . '::oid[]' if $type eq 'oid[]';
	return literal(pick('{}', '[]', '1', 'null', '"x"', '{"search": 7}', '{"search": "7"}', '{"a": {"b": 1}}', '{"": 1e9}', '{"search": -1}', '{"search": 1.5}',
			'{"search": 99999999999999999999}')) . '::jsonb' if $type eq 'jsonb';
	return literal(pick('0', '1 ms', '-1 s', '178000000 years', '10 ms')) . '::interval' if $type eq 'interval';
	return pick(q(ROW(10, 'postgres', '1')), q(ROW(0, '', '')), q(ROW(NULL, NULL, NULL)), q(ROW(4294967295, 'x', 'y'))) . "::$type" if $type eq 'tandem.role_reference';
	return pick(q('{}'), q('{0,1,-5,NULL}'), q('{{1,2},{3,4}}')) . '::integer[]' if $type eq 'integer[]';
	return pick(qw(0 -1 0.5 59.9 60 3600 1e300 'NaN' 'Infinity')) . '::float8' if $type eq 'double precision';
	return pick(qw('0/0' 'FFFFFFFF/FFFFFFFF' '0/1')) . '::pg_lsn' if $type eq 'pg_lsn';
	return pick('NULL::tandem.step', '(SELECT t FROM tandem.step t ORDER BY t.id LIMIT 1)') if $type eq 'tandem.step';
	die "no arguments are known of type $type";
}

my $node = new_server('main');
$node->append_conf('postgresql.conf', <<'CONF');
statement_timeout = 10s
tandem.lock_timeout = 20ms
tandem.lock_retry_time = 100ms
client_min_messages = error
CONF
$node->reload;

my @functions = map { [ split /\|/ ] } split /\n/, $node->safe_psql('postgres', <<'SQL');
SELECT proname, prokind, array_to_string(proargnames[:pronargs], ','), array_to_string(proargtypes::regtype[], ',')
FROM pg_proc WHERE pronamespace = 'tandem'::regnamespace AND pronargs > 0
	-- these run what they are given, or end the migration that the others need
	AND proname NOT IN ('plain_run', 'plain_pass', 'once_create_migration') ORDER BY oid::regprocedure::text
SQL

sub call
{
	my ($name, $kind, $names, $types) = @{ pick(@functions) };
	my @names = split /,/, $names;
	my @types = split /,/, $types;
	my @given;

	foreach my $i (0 .. $#names)
	{
		# a few are left at their defaults
		next if $i > 1 && rand() < 0.3;
		push @given, (@names ? "$names[$i] => " : '') . argument($names[$i], $types[$i]);
	}
	my $call = ($kind eq 'p' ? 'CALL' : 'SELECT * FROM') . " tandem.$name(" . join(', ', @given) . ')';
	return $kind eq 'p' || rand() < 0.3 ? "$call;\n" : "BEGIN; $call; ROLLBACK;\n";
}

# Something of every kind to work on, and migrations in several phases.
sub make_database
{
	my ($database) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, <<'SQL');
CREATE EXTENSION pg_tandem;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE SEQUENCE seq;
CREATE TABLE items (id int PRIMARY KEY, price int DEFAULT 7, note text, kind mood, doc jsonb, tags int[], "Sum % of" numeric, gone int,
	size int GENERATED ALWAYS AS (id * 2) STORED);
ALTER TABLE items DROP COLUMN gone;
INSERT INTO items SELECT i, i, i::text FROM generate_series(1, 50) i;
ALTER TABLE items ADD COLUMN cents int;
CREATE VIEW a_view AS SELECT * FROM items;
CREATE TABLE parts (id int, price int, cents int, note text) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF parts FOR VALUES IN (1, 2, 3);
CREATE TABLE "Odd ""one" (price int, cents int);
SELECT tandem.create_migration('m');
SELECT tandem.create_migration('n', 42);
SELECT tandem.sync_column('n', 'parts', 'price', 'cents', 'price * 100', 'cents / 100');
SELECT tandem.create_migration('done');
CALL tandem.migrate('done');
CALL tandem.contract('done');
SQL
	return;
}

my %states;
my $number = 0;
for (my $done = 0; $done < $calls; $done += $per_database)
{
	my $database = 'fuzz_' . ++$number;
	my $script = "\\set VERBOSITY verbose\n" . join '', map { call() } 1 .. $per_database;

	make_database($database);
	my ($status, $out, $err) = $node->psql($database, $script, on_error_stop => 0);
	is($status, 0, "$per_database calls, and the session is there") or note(substr($err, -2000));
	$states{$_}++ foreach $err =~ /ERROR:  (\w{5}):/g;
	my @internal = grep { /ERROR:  XX/ } split /\n(?=psql:)/, $err;
	is_deeply(\@internal, [], 'no internal error') or write_script("failed-$database", $script);
	is($node->safe_psql($database, 'SELECT count(*) FROM items'), '50', 'no row is gone');
	# what runs in the background has its own time
	$node->safe_psql('postgres', "DROP DATABASE $database WITH (FORCE)");
}
note(join ', ', map { "$_: $states{$_}" } sort { $states{$b} <=> $states{$a} } keys %states);
cmp_ok(sum0(values %states), '<', $calls, 'some calls did their work');
cmp_ok(scalar keys %states, '>', 10, 'others failed in many ways');
unlike(slurp_file($node->logfile), qr/was terminated by signal|PANIC|TRAP:/, 'no process crashed');

done_testing();
