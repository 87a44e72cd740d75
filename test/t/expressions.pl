# Expressions keep their meaning: up, CHECKs, index expressions, predicates and the columns of views
# mean to every session what they mean to the one that expands, or are refused at expand with the form
# that works.  The expressions are those of lib/expressions.txt, of every kind that the parser makes.
# Whoever writes, migrates and reads has a search_path under which the same texts mean something else.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

# reltuples is that of the build
my $node = new_server('main', conf => "autovacuum = off\n");
my $version = $node->safe_psql('postgres', 'SHOW server_version_num') / 10000;

sub ask
{
	my ($query) = @_;

	return $node->safe_psql('postgres', $query);
}

# Under the search_path of the session that expands.
my $expander = 'SET search_path = app, ext;';

# Under that of the others: what it finds before pg_catalog is something else.
my $other = 'SET search_path = decoy, pg_catalog;';

ask(<<'SQL');
CREATE ROLE keeper LOGIN;
GRANT EXECUTE ON FUNCTION tandem.switch_release(integer) TO keeper;
GRANT CREATE ON DATABASE postgres TO keeper;
CREATE SCHEMA ext;
GRANT USAGE ON SCHEMA ext TO PUBLIC;
CREATE EXTENSION citext SCHEMA ext;
CREATE EXTENSION hstore SCHEMA ext;
CREATE EXTENSION ltree SCHEMA ext;
CREATE EXTENSION cube SCHEMA ext;
CREATE EXTENSION intarray SCHEMA ext;
CREATE SCHEMA app AUTHORIZATION keeper;
CREATE SCHEMA decoy;
GRANT USAGE ON SCHEMA app, decoy TO PUBLIC;
SET ROLE keeper;
SET search_path = app, ext;
CREATE TYPE pair AS (a integer, b text);
CREATE TYPE nest AS (inner_pair pair, k integer);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN pos AS integer CHECK (VALUE > 0);
CREATE DOMAIN amount AS numeric(8,2);
CREATE DOMAIN code AS varchar(3);
CREATE DOMAIN word AS text;
CREATE DOMAIN cidom AS citext;
CREATE FUNCTION plus(a integer, step integer DEFAULT 1) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT a + step';
CREATE FUNCTION joined(VARIADIC parts text[]) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT array_to_string(parts, '/') $$;
CREATE FUNCTION same(v anyelement) RETURNS anyelement IMMUTABLE LANGUAGE sql AS 'SELECT v';
CREATE FUNCTION first_of(v anyarray) RETURNS anyelement IMMUTABLE LANGUAGE sql AS 'SELECT v[1]';
CREATE FUNCTION inlined(v integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT v * 2';
CREATE FUNCTION is_admin(who citext) RETURNS boolean IMMUTABLE LANGUAGE sql SET search_path = ext
	AS $$ SELECT CASE who WHEN 'ABC' THEN true ELSE false END $$;
CREATE FUNCTION pick(p pair) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT p.b';
CREATE FUNCTION overloaded(integer) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'integer' $$;
CREATE FUNCTION overloaded(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'text' $$;
CREATE FUNCTION overloaded(citext) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'citext' $$;
CREATE FUNCTION same_word(citext, text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1::text = $2';
CREATE FUNCTION add_twice(integer, integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 2 * $2';
CREATE FUNCTION add_twice(text, text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1 || $2 || $2';
CREATE OPERATOR <+> (LEFTARG = integer, RIGHTARG = integer, FUNCTION = add_twice);
CREATE OPERATOR <+> (LEFTARG = text, RIGHTARG = text, FUNCTION = add_twice);
CREATE TABLE base (
	id integer PRIMARY KEY, src integer,
	i integer, b bigint, s smallint, n numeric(10,2), n0 numeric, f float8, r real, bo boolean,
	tx text, v varchar(10), c char(5), nm name, ch "char",
	d date, ts timestamp, tz timestamptz, tm time, iv interval,
	by bytea, bt bit(4), vb varbit(8), u uuid, ip inet, mc macaddr,
	ia integer[], ta text[], va varchar(5)[], j json, jb jsonb, x xml,
	r4 int4range, nr numrange, mr int4multirange, tr tstzrange,
	en mood, co pair, cos pair[], nested nest, dt word, di pos, dn amount, dci cidom,
	ci citext, ci2 citext, cia citext[], h hstore, l ltree, cu cube,
	tc text COLLATE "C", pt point, bx box, tv tsvector, tq tsquery, m money, lsn pg_lsn, o oid);
INSERT INTO base VALUES
	(1, 1, 1, 1, 1, 1.5, 1.50, 2.25, 0.5, true, 'abc', 'abc', 'abc', 'name', 'a',
	'2024-01-01', '2024-01-01 10:11:12.345678', '2024-01-01 10:11:12.345678+02', '10:11:12.5', '1 day 02:03:04.56',
	'\x616263', B'1010', B'101', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.1.2.3', '08:00:2b:01:02:03',
	'{1,2}', '{a,b}', '{abc,b}', '{"a": {"b": 1}}', '{"a": {"b": "xyz"}, "n": 5, "list": [1, 2]}', '<a>1</a>',
	'[1,5)', '[1.5,2.5]', '{[1,2),[5,7)}', '["2024-01-01 00:00+00",)', 'ok', '(1,a)', '{"(1,a)","(2,b)"}', '("(3,c)",4)',
	'abc', 3, 1.5, 'abc', 'abc', 'ABC', '{abc,x}', 'a=>1, b=>2', 'Top.Science', '(1,2)',
	'abc', '(1,2)', '(1,2),(3,4)', 'a fat cat', 'fat & cat', '12.34', '16/B374D848', 10),
	(2, 2, 2, 5, 0, 0, 2, 0, 1, false, '', 'def', 'de', 'x', 'b',
	'2024-02-01', '2024-02-01', '2024-02-01 00:00+00', '00:00', '-3 days',
	'\x', B'0000', B'', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a12', '192.168.0.1/24', '08:00:2b:01:02:04',
	'{}', '{}', '{}', '{"a": {"b": "z"}}', '{"a": {"b": null}, "n": 0, "list": []}', '<b/>',
	'empty', '(,2)', '{}', 'empty', 'sad', '(,)', '{}', '(,)',
	'ABC', 4, 0, 'ABC', 'ABC', 'abc', '{ABC}', '', 'A.B', '(0,0)',
	'B', '(0,0)', '(0,0),(0,0)', '', 'rat', '0', '0/0', 0),
	(3, 3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
	NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
	NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
	NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
	NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(4, 4, 7, -7, 1, 999.99, -3, 100, -1, NULL, 'Abcd', 'ABC', 'x', 'NAME', 'z',
	'1999-12-31', 'infinity', '1999-12-31 23:59:59+00', '23:59:59.999999', '1 year 2 mons',
	'\x00ff', B'1111', B'11111111', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a13', '::1', '08:00:2b:01:02:05',
	'{7,8,9}', '{x,NULL}', '{x}', '[1]', '{"z": 1}', '<a><b>x</b></a>',
	'[,10)', 'empty', '{[,3)}', NULL, 'happy', '(7,z)', '{"(7,z)"}', NULL,
	'x', 7, 99.99, 'x', 'B', 'b', '{}', 'c=>3', 'Top', '(1,1),(2,2)',
	'a', '(-1,3)', '(1,1),(0,0)', 'rat', 'rat | cat', '-5', '0/1', 1),
	(5, 5, 2, 2, 2, 2, 2, 2, 2, true, 'b', 'x', 'abc', 'y', 'a',
	'2024-01-02', '2024-01-02', '2024-01-02 00:00+00', '12:00', '0',
	'\x01', B'0101', B'01', NULL, '10.0.0.0/8', NULL,
	'{5}', '{abc}', '{x,NULL}', '{}', '{}', '<a/>',
	'[2,2]', '[0,)', '{[3,5)}', NULL, 'sad', '(2,b)', NULL, '("(,)",)',
	'def', 2, 2, 'def', 'a', NULL, NULL, 'a=>2', 'X.Y', '(3,4)',
	'b', '(5,5)', NULL, NULL, NULL, '1', NULL, 5);
RESET ROLE;

-- In the way of whoever does not say which one he means: what answers otherwise.
SET search_path = decoy, ext, pg_catalog;
CREATE FUNCTION yes(text, text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION yes(integer, integer) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION yes(citext, citext) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION yes(hstore, hstore) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true';
CREATE FUNCTION plus(integer, integer DEFAULT 1) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT -1';
CREATE FUNCTION lower(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT 'decoy' $$;
CREATE FUNCTION abs(integer) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT -1';
DO $$
DECLARE
	operator text;
	argument text;
BEGIN
	FOREACH operator IN ARRAY ARRAY['=', '<>', '<', '<=', '>', '>=', '~~', '!~~', '||']
	LOOP
		FOREACH argument IN ARRAY ARRAY['pg_catalog.text', 'integer', 'ext.citext', 'ext.hstore']
		LOOP
			EXECUTE format('CREATE OPERATOR decoy.%s (LEFTARG = %s, RIGHTARG = %2$s, FUNCTION = decoy.yes)', operator, argument);
		END LOOP;
	END LOOP;
END $$;
CREATE DOMAIN citext AS pg_catalog.text;
CREATE DOMAIN text AS pg_catalog.text CHECK (VALUE OPERATOR(pg_catalog.=) 'decoy');

CREATE TABLE app.corpus (n integer PRIMARY KEY, refuse boolean, given pg_catalog.text, target pg_catalog.text,
	type pg_catalog.text, refused boolean DEFAULT false, message pg_catalog.text, detail pg_catalog.text, form pg_catalog.text);
GRANT ALL ON app.corpus TO keeper;
SQL

my $count = 0;

foreach my $line (split /\n/, slurp_file("$FindBin::Bin/lib/expressions.txt"))
{
	next if $line eq '' || $line =~ /^# /;
	my $from = $line =~ s/^>=(\d+) // ? $1 : 0;
	my $refuse = $line =~ s/^! // ? 'true' : 'false';
	my $target = $line =~ s/ ==> (\S+)$// ? "'$1'" : 'NULL';

	next if $version < $from;
	$count++;
	ask("INSERT INTO app.corpus (n, refuse, given, target) VALUES ($count, $refuse, \$corpus\$$line\$corpus\$, $target)");
}
cmp_ok($count, '>', 300, 'expressions of every kind');

# Which of them are refused, and with which form in their place.
ask(<<"SQL");
$expander
SELECT tandem.create_migration('probe');
DO \$\$
DECLARE
	one app.corpus;
	hint text;
BEGIN
	FOR one IN SELECT * FROM corpus ORDER BY n
	LOOP
		BEGIN
			EXECUTE format('CREATE VIEW probe AS SELECT (%s) AS c FROM base', replace(one.given, '\$t', 'base'));
			one.type := coalesce(one.target, (SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'probe'::regclass));
			DROP VIEW probe;
			EXECUTE format('ALTER TABLE base ADD COLUMN probe %s', one.type);
			PERFORM tandem.sync_column('probe', 'base', 'src', 'probe', replace(one.given, '\$t', 'base'));
			RAISE EXCEPTION 'accepted' USING ERRCODE = 'TEST1';
		EXCEPTION
			WHEN SQLSTATE 'TEST1' THEN NULL;
			WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS one.message = MESSAGE_TEXT, one.detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
				one.refused := true;
				one.form := substring(hint FROM '^Write it with its operators named: (.*)\$');
		END;
		UPDATE corpus SET type = one.type, refused = one.refused, message = one.message, detail = one.detail,
			form = replace(one.form, 'base.', '\$t.') WHERE n = one.n;
	END LOOP;
END \$\$;
SQL
is(ask("SELECT given, message, detail FROM app.corpus WHERE refused AND NOT refuse ORDER BY n"), '', 'none is refused without need');
is(ask("SELECT given FROM app.corpus WHERE refuse AND NOT refused ORDER BY n"), '', 'none is accepted that could change its meaning');
is(ask("SELECT given, message FROM app.corpus WHERE refuse AND message NOT LIKE 'up of column \"probe\" would not keep its meaning%'"),
	'', 'what is refused is told why');
is(ask("SELECT given, detail FROM app.corpus WHERE refuse AND form IS NULL"), '', 'each one with the form that works');
ask("DELETE FROM app.corpus WHERE type IS NULL OR (refused AND form IS NULL)");

# The text that is used: the one given, or the form that works.
sub written
{
	my ($one, $table) = @_;
	my $text = $one->{form} ne '' ? $one->{form} : $one->{given};

	return $text =~ s/\$t\b/$table/gr;
}

sub given
{
	my ($one, $table) = @_;

	return $one->{given} =~ s/\$t\b/$table/gr;
}

my @corpus = map {
	my %one;

	@one{qw(n type given target form)} = split /\x01/, $_;
	$one{$_} //= '' foreach qw(target form);
	\%one;
} split /\n/, ask("SELECT concat_ws(E'\\x01', n, type, given, coalesce(target, ''), coalesce(form, '')) FROM app.corpus ORDER BY n");

my $columns = ask("SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'app.base'::regclass AND attnum > 1 AND NOT attisdropped");

# What the texts mean to the session that expands, in table want_NAME.
sub want
{
	my ($name, @batch) = @_;
	my $declared = join ', ', map { "c$_->{n} $_->{type}" } @batch;
	my $values = join ', ', map { '(' . given($_, "t_$name") . ')' } @batch;

	ask("$expander CREATE TABLE app.want_$name (id integer, $declared); INSERT INTO want_$name SELECT id, $values FROM t_$name; GRANT SELECT ON want_$name TO PUBLIC");
	return;
}

# Those whose value differs in a table or view; rows of the same source have ids with the same last digit.
sub differences
{
	my ($name, $from, @batch) = @_;

	return ask("SET search_path = ''; " . join ' UNION ALL ', map {
		"SELECT t.id, \$corpus\$$_->{given}\$corpus\$, w.c$_->{n}::text, t.c$_->{n}::text FROM $from t JOIN app.want_$name w ON t.id % 100 = w.id "
		  . "WHERE t.c$_->{n}::text COLLATE \"C\" IS DISTINCT FROM w.c$_->{n}::text COLLATE \"C\""
	} @batch);
}

sub make_table
{
	my ($name, @batch) = @_;
	my $declared = join ', ', map { "c$_->{n} $_->{type}" } @batch;

	ask("SET ROLE keeper; $expander CREATE TABLE app.t_$name AS TABLE base; ALTER TABLE app.t_$name ADD PRIMARY KEY (id)");
	want($name, @batch) if @batch;
	ask("SET ROLE keeper; $expander " . join '; ', map { "ALTER TABLE t_$name ADD COLUMN c$_->{n} $_->{type}" } @batch) if @batch;
	return;
}

# up: written by a trigger, filled, shown by a view.
my $batches = 0;

my @rest = @corpus;

while (my @batch = splice(@rest, 0, 40))
{
	my $name = ++$batches;
	my $as_owner = $name % 2 ? 'SET ROLE keeper;' : '';
	my $in_worker = $name % 3 == 0 ? 'true' : 'false';
	my $new = join ', ', map { "c$_->{n}" } @batch;
	my $up = join ', ', map { '$up$' . written($_, "t_$name") . '$up$' } @batch;

	make_table($name, @batch);
	ask("${as_owner}SELECT tandem.create_migration('batch_$name', 1)");
	ask("$as_owner $expander SELECT tandem.sync_columns('batch_$name', 't_$name', old => '{src}', new => '{$new}', up => ARRAY[$up])");
	ask("$other INSERT INTO app.t_$name (id, $columns) SELECT id OPERATOR(pg_catalog.+) 100, $columns FROM app.base");
	is(differences($name, "(SELECT * FROM app.t_$name WHERE id > 100)", @batch), '', "batch $name: a writer stores what is meant");
	ask("$other UPDATE app.t_$name SET src = 9 WHERE id OPERATOR(pg_catalog.=) 2");
	is(differences($name, "(SELECT * FROM app.t_$name WHERE id = 2)", @batch), '', "batch $name: and by UPDATE");
	ask("SET ROLE keeper; $other SELECT tandem.create_views(1, ARRAY['app.t_$name'])");
	is(differences($name, "release_1.t_$name", @batch), '', "batch $name: the view reads through");
	ask("$other CALL tandem.migrate('batch_$name', background => $in_worker)");
	wait_for_running($node, "SELECT phase = 'contract' OR error IS NOT NULL FROM tandem.migrations WHERE name = 'batch_$name'");
	is(ask("SELECT error FROM tandem.migrations WHERE name = 'batch_$name'"), '', "batch $name: filled and verified");
	is(differences($name, "app.t_$name", @batch), '', "batch $name: the fill stores what is meant");
	is(differences($name, "release_1.t_$name", @batch), '', "batch $name: and the view shows it");
	is(ask("SELECT rows_unfilled, rows_mismatched, sample FROM tandem.verify('batch_$name')"), '0|0|[]', "batch $name: and verify agrees in a session");
}

# A part of them, and all that are refused, as CHECKs, index expressions and predicates; the text of a
# regclass has a schema or not by the search_path of whoever asks.
my @definitions = grep { ($_->{n} % 4 == 0 || $_->{form} ne '') && $_->{type} !~ /^reg/ } @corpus;

make_table('built');
make_table('by_hand');

# CHECKs compare with what the text means, as text: written so, each is refused or not like up.
ask("$expander " . join '; ', map {
	"ALTER TABLE t_built ADD COLUMN w$_->{n} text; UPDATE t_built SET w$_->{n} = (" . given($_, 't_built') . ')::text'
} @definitions);
ask("SELECT tandem.create_migration('built')");
ask(<<'SQL');
CREATE TABLE app.outcome (name pg_catalog.text PRIMARY KEY, given pg_catalog.text, refuse boolean, refused boolean DEFAULT false, message pg_catalog.text, form pg_catalog.text);
CREATE FUNCTION app.try(call pg_catalog.text, one app.outcome) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	hint pg_catalog.text;
BEGIN
	BEGIN
		EXECUTE format(call, one.given);
	EXCEPTION WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS one.message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
		one.refused := true;
		one.form := substring(hint FROM '^Write it with its operators named: (.*)$');
		EXECUTE format(call, one.form);
	END;
	INSERT INTO app.outcome SELECT one.*;
END $$;
CREATE FUNCTION app.by_hand(statement pg_catalog.text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RETURN true;
EXCEPTION WHEN OTHERS THEN
	RETURN false;
END $$;
SQL

# A query that adds a definition; if it is refused, that with the form which the hint tells.  %s in the
# call is the text.
sub trying
{
	my ($name, $refuse, $text, $call) = @_;

	return "SELECT app.try(\$call\$$call\$call\$, ROW('$name', \$corpus\$$text\$corpus\$, $refuse, false, NULL, NULL)::app.outcome)";
}

foreach my $one (@definitions)
{
	my $refuse = $one->{form} ne '' ? 'true' : 'false';
	my $text = given($one, 't_built');
	my @queries = trying("check_$one->{n}", $refuse, "(($text)::text) IS NOT DISTINCT FROM w$one->{n}",
		"SELECT tandem.add_constraint('built', 't_built', 'check_$one->{n}', \$d\$CHECK (%s)\$d\$)");

	# what the server takes as an index by hand
	foreach my $kind ([ 'index', '((%s))' ], [ 'predicate', '(id) WHERE (%s)' ])
	{
		my $written = written($one, 't_by_hand');
		my $by_hand = "CREATE INDEX by_hand_$kind->[0]_$one->{n} ON t_by_hand $kind->[1]" =~ s/%s/$written/r;

		push @queries, trying("$kind->[0]_$one->{n}", $refuse, $text,
			"SELECT tandem.add_index('built', \$d\$CREATE INDEX built_$kind->[0]_$one->{n} ON t_built $kind->[1]\$d\$)")
		  . " WHERE app.by_hand(\$hand\$$by_hand\$hand\$)";
	}
	ask("$expander " . join '; ', @queries);
}
is(ask('SELECT name, given, message FROM app.outcome WHERE refused <> refuse ORDER BY 1'), '', 'the same ones are refused as definitions');
cmp_ok(ask("SELECT count(*) FROM app.outcome WHERE refused"), '>', 50, 'and work in the form of the hint');
ask("SET ROLE keeper; $other CALL tandem.migrate('built')");
is(ask("SELECT phase FROM tandem.migrations WHERE name = 'built'"), 'contract', 'all are built, by workers');
is( ask(<<'SQL'), '', 'each CHECK means what was given: it takes the value, and no other');
CREATE FUNCTION app.not_checked() RETURNS SETOF pg_catalog.text LANGUAGE plpgsql AS $$
DECLARE
	name pg_catalog.text;
	column_name pg_catalog.text;
BEGIN
	FOR name IN SELECT o.name FROM app.outcome o WHERE o.name LIKE 'check%' ORDER BY 1
	LOOP
		column_name := replace(name, 'check_', 'w');
		BEGIN
			EXECUTE format('UPDATE app.t_built SET %I = %1$I', column_name);
			EXECUTE format('UPDATE app.t_built SET %I = concat(%1$I, ''?'')', column_name);
			RETURN NEXT name;
		EXCEPTION WHEN check_violation THEN
			CONTINUE WHEN SQLERRM LIKE '%' || name || '"';
			RETURN NEXT name || ': ' || SQLERRM;
		END;
	END LOOP;
END $$;
SELECT app.not_checked();
SQL

# Built by workers as by hand: the trees that the server has stored are the same, but for locations, whether
# a cast was written, lists of values, inner parentheses of AND and OR, and what JSON_QUERY does by default.
my $tree = q{regexp_replace(%s::text, ':(location|list_start|list_end|\w+format) -?\d+', '', 'g')};
my $same = join ' AND ', map { sprintf("$tree IS NOT DISTINCT FROM $tree", "h.$_", "b.$_") } qw(indexprs indpred);

is( ask(<<"SQL"), '', 'each index means what was given');
SELECT o.name, o.given FROM app.outcome o JOIN pg_index h ON h.indexrelid = ('app.by_hand_' || o.name)::regclass
JOIN pg_index b ON b.indexrelid = ('app.built_' || o.name)::regclass
JOIN pg_class hc ON hc.oid = h.indexrelid JOIN pg_class bc ON bc.oid = b.indexrelid
WHERE o.name NOT LIKE 'check%' AND (NOT b.indisvalid OR b.indclass <> h.indclass OR b.indcollation <> h.indcollation
	OR bc.reltuples <> hc.reltuples OR (NOT ($same) AND o.given !~ ' (IN|ANY|OR) |JSON_QUERY')) ORDER BY 1
SQL
cmp_ok(ask("SELECT count(*) FROM app.outcome WHERE name LIKE 'index%'"), '>', 50, 'indexes');
cmp_ok(ask("SELECT count(*) FROM app.outcome WHERE name LIKE 'predicate%'"), '>', 30, 'and predicates');

# Columns that only views show; these have no type but that of the expression.
@definitions = grep { $_->{target} eq '' } @definitions;
make_table('shown');
ask("GRANT SELECT ON app.t_shown TO PUBLIC; SET ROLE keeper; SELECT tandem.create_migration('shown', 1)");
want('shown', @definitions);
ask("SET ROLE keeper; $expander " . join '; ', map {
	"SELECT tandem.sync_column('shown', 't_shown', 'src', 'c$_->{n}', \$up\$" . written($_, 't_shown') . '$up$, stored => false)'
} @definitions);
ask("SET ROLE keeper; $other SELECT tandem.create_views(1, ARRAY['app.t_shown'])");
is(differences('shown', 'release_1.t_shown', @definitions), '', 'columns that only views show');

# Who expands may mean what hides pg_catalog.
my @hidden = map { { n => $_->[0], given => $_->[1], type => $_->[2], form => '' } } (
	[ 1, "tx = 'A'", 'boolean' ],
	[ 2, 'i < 3', 'boolean' ],
	[ 3, 'lower(tx)', 'pg_catalog.text' ],
	[ 4, 'abs(i) + plus(i)', 'integer' ],
	[ 5, "CASE tx WHEN 'none' THEN lower(tx) ELSE 'other' END", 'pg_catalog.text' ],
	[ 6, "NULLIF(i, 12345)", 'integer' ],
	[ 7, "tx IS DISTINCT FROM 'none'", 'boolean' ],
	[ 9, "tx IN ('none', 'neither')", 'boolean' ],
	[ 10, "i BETWEEN 100 AND 200", 'boolean' ],
	[ 11, "tx LIKE 'none'", 'boolean' ],
	[ 12, "CASE i WHEN 12345 THEN 1 ELSE abs(i) END", 'integer' ]);
$expander = 'SET search_path = decoy, pg_catalog, app, ext;';
make_table('hidden', @hidden);
ask("SELECT tandem.create_migration('hidden', 1)");
foreach my $one (@hidden)
{
	my $refuse = $one->{n} =~ /^(5|6|7|12)$/ ? 'true' : 'false';

	ask("$expander " . trying("hidden_$one->{n}", $refuse, $one->{given},
		"SELECT tandem.sync_column('hidden', 't_hidden', 'src', 'c$one->{n}', \$up\$%s\$up\$)"));
}
is(ask("SELECT name, given, message FROM app.outcome WHERE name LIKE 'hidden%' AND refused <> refuse"), '', 'what hides pg_catalog keeps its meaning');
ask("CALL tandem.migrate('hidden')");
is(differences('hidden', 'app.t_hidden', @hidden), '', 'and is computed so');

$node->stop;
done_testing();
