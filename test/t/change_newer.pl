# change_column and what not every server has.  Everywhere a generated column: from 17 on it can stay one.  From 18 on a
# NOT NULL with a name, constraints that are not enforced, virtual generated columns, keys without overlaps.  Each is as it
# was after contract, by the calls that expand tells, or is refused with the reason.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => "session_preload_libraries = 'pg_tandem'");

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub said
{
	my ($sql) = @_;
	my ($status, $out, $err) = $node->psql('postgres', $sql);

	return $err;
}

# The constraints and generated columns of a table, as the server writes them.
sub shape
{
	my ($table) = @_;

	return sql(<<"SQL");
SELECT line FROM (SELECT format('%s %s', conname, pg_get_constraintdef(oid)) AS line FROM pg_constraint WHERE conrelid = '$table'::regclass
UNION ALL SELECT format('%s %s %s', a.attname, a.attgenerated, pg_get_expr(d.adbin, d.adrelid))
FROM pg_attribute a JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = '$table'::regclass) l
ORDER BY line COLLATE "C"
SQL
}

# A stored one: the server has one statement for it, or two.
sql(<<'SQL');
CREATE TABLE doubled (id int PRIMARY KEY, n int, twice bigint GENERATED ALWAYS AS (n * 2) STORED);
INSERT INTO doubled VALUES (1, 1);
SELECT tandem.create_views(1, ARRAY['doubled']);
SELECT tandem.create_migration('stored', release => 2);
SQL
my $told = said(q(SELECT tandem.change_column('stored', 'doubled', 'n', 'bigint')));
my ($call, $advice) = $told =~ /generated column twice: (SELECT tandem\.at_contract\(.*?\);)(.*)/;
like($call, qr/ALTER COLUMN twice DROP EXPRESSION/, 'expand tells how a stored column goes on');
my $stays = $node->pg_version >= 17;
like($advice, qr/^ It leaves a plain column\.$|^ It leaves a plain column; with SET EXPRESSION AS/, 'and what becomes of it');
is($advice =~ /SET EXPRESSION/ ? 1 : 0, $stays ? 1 : 0, 'it offers what the server has');
$call =~ s/DROP EXPRESSION/SET EXPRESSION AS (n * 2)/ if $stays;
is(said($call), '', "what it tells can be called: $call");
is(said(q(SET client_min_messages = error; SELECT tandem.create_views(2, ARRAY['doubled']); CALL tandem.migrate('stored'))), '', 'that is enough for migrate');
is(said(q(SET client_min_messages = error; SELECT tandem.switch_release(2); CALL tandem.contract('stored', undeclared => 'ignore'))), '', 'and for contract');
sql('UPDATE doubled SET n = 5000000000');
is(sql('SELECT n, twice FROM doubled'), $stays ? '5000000000|10000000000' : '5000000000|2', 'the column is what was said');

if ($node->pg_version < 18)
{
	done_testing();
	exit;
}

sql(<<'SQL');
CREATE TABLE referred (id bigint PRIMARY KEY);
INSERT INTO referred SELECT generate_series(1, 5);
CREATE TABLE items (id int PRIMARY KEY, n int CONSTRAINT n_is_needed NOT NULL,
	CONSTRAINT n_positive CHECK (n > 0) NOT ENFORCED,
	CONSTRAINT n_refers FOREIGN KEY (n) REFERENCES referred NOT ENFORCED,
	twice int GENERATED ALWAYS AS (id * 2) VIRTUAL);
INSERT INTO items (id, n) VALUES (1, 1), (2, 2), (3, -7);
SELECT tandem.create_views(2, ARRAY['items']);
SQL
my $before = shape('items');
sql(q(SELECT tandem.create_migration('wide', release => 3)));
$told = said(q(SELECT tandem.change_column('wide', 'items', 'n', 'bigint'); SELECT tandem.create_views(3, ARRAY['items'])));
like(said(q(CALL tandem.migrate('wide'))), qr/n_positive of table public.items.*\n.*n_refers of table public.items/, 'migrate waits for a decision');
foreach my $call ($told =~ /(SELECT tandem\.at_contract\(.*?\);)/g)
{
	is(said("SET client_min_messages = error; $call"), '', "what expand tells can be called: $call");
}
is(said(q(SET client_min_messages = error; CALL tandem.migrate('wide'))), '', 'migrate goes on then');
is(said(q(SET client_min_messages = error; SELECT tandem.switch_release(3); CALL tandem.contract('wide', undeclared => 'ignore'))), '', 'contract does all of it');
is(shape('items'), $before, 'constraints and generated columns are as they were');
is(sql(q(SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'n')), 'bigint', 'and the type is the new one');
is(sql(q(SELECT string_agg(concat_ws(' ', id, n, twice), ', ' ORDER BY id) FROM items)), '1 1 2, 2 2 4, 3 -7 6', 'so are the values');

# The server changes the expression of a virtual column only where no CHECK is.
sql(<<'SQL');
CREATE TABLE plain (id int PRIMARY KEY, n int, next int GENERATED ALWAYS AS (n + 1) VIRTUAL);
CREATE TABLE checked (id int PRIMARY KEY, n int CHECK (n > 0), next int GENERATED ALWAYS AS (n + 1) VIRTUAL);
INSERT INTO plain VALUES (1, 1);
INSERT INTO checked VALUES (1, 1);
SELECT tandem.create_views(3, ARRAY['plain', 'checked']);
SELECT tandem.create_migration('virtual', release => 4);
SQL
$told = said(q(SELECT tandem.change_column('virtual', 'plain', 'n', 'bigint')));
($call) = $told =~ /generated column next: (SELECT tandem\.at_contract\(.*?\);)/;
is(said($call), '', 'a virtual column has a statement for contract');
like(said(q(SELECT tandem.change_column('virtual', 'checked', 'n', 'bigint'))), qr/generated column next, which is virtual: the server cannot change it/,
	'where the server cannot run it, expand says so');
sql(q(CALL tandem.abort('virtual')));
sql(q(SELECT tandem.create_migration('virtual', release => 4)));
sql(q(SELECT tandem.drop_column('virtual', 'checked', 'next')));
is(said(q(SET client_min_messages = error; SELECT tandem.change_column('virtual', 'plain', 'n', 'bigint'), tandem.change_column('virtual', 'checked', 'n', 'bigint'))), '', 'both change');
is(said($call), '', 'the statement is given again');
is(said(q(SET client_min_messages = error; SELECT tandem.create_views(4, ARRAY['plain', 'checked']); CALL tandem.migrate('virtual'))), '', 'by the way that it names migrate goes on');
is(said(q(SET client_min_messages = error; SELECT tandem.switch_release(4); CALL tandem.contract('virtual', undeclared => 'ignore'))), '', 'and contract');
is(sql('SELECT n, next FROM plain'), '1|2', 'a virtual column is computed from the changed one');
is(sql(q(ALTER TABLE checked ADD next bigint GENERATED ALWAYS AS (n + 1) VIRTUAL; SELECT n, next FROM checked)), '1|2', 'and is added again');

# What is unique without overlaps cannot be built while others write, and a key changes by a column of another name.
sql(<<'SQL');
CREATE TABLE stays (id int, at int4range, n int4range, CONSTRAINT no_overlap UNIQUE (n, at WITHOUT OVERLAPS));
CREATE TABLE booked (room int4range, at int4range, PRIMARY KEY (room, at WITHOUT OVERLAPS));
SELECT tandem.create_views(4, ARRAY['stays', 'booked']);
SELECT tandem.create_migration('periods', release => 5);
SQL
my $change = q(SELECT tandem.change_column('periods', '%s', '%s', 'int8range', up => 'int8range(lower(%2$s), upper(%2$s))', down => 'int4range(lower(%2$s)::int, upper(%2$s)::int)'%s));
like(said(sprintf($change, 'stays', 'n', '')), qr/constraint no_overlap: UNIQUE \(n, at WITHOUT OVERLAPS\): not built while others write: SELECT tandem\.at_contract/, 'a temporal key is told');
like(said(q(CALL tandem.migrate('periods'))), qr/no_overlap of table public\.stays/, 'and asked for');
is(said(sprintf($change, 'stays', 'n', q(, leave => '{no_overlap}'))), '', 'leave is an answer');
like(said(sprintf($change, 'booked', 'at', '')), qr/column "at" of table "booked" is a part of a key/, 'a temporal primary key is refused');

done_testing();
