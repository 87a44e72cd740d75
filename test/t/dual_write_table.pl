# The dual-write rule of the design as one table: who writes what to which row, and what is in both shapes then,
# or the SQLSTATE.  The values are written by hand from the design; nothing here computes them.  The table is in the
# output.  How a line is read: test/t/lib/DualWriteTable.pm.
#
# a is the old column, b the new one, s one that up may read besides, o one that no rule reads.  Values are shown
# as a/b, NULL as -.  Release 41 is N-1, 42 is N.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use DualWriteTable;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');
my $admin = connect_writers($node, 'postgres');

$admin->query(<<'SQL');
CREATE FUNCTION public.d(value int) RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN value; END';
CREATE TABLE public.nested (what text);
CREATE ROLE writer;
CREATE FUNCTION public.secret_up(value int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN value + 1000; END';
CREATE FUNCTION public.secret_down(value int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN value - 1000; END';
REVOKE EXECUTE ON FUNCTION public.secret_up, public.secret_down FROM PUBLIC;
SQL

my @exact = (up => 'a + 1000', down => 'b - 1000');
my @lossy = (up => 'a * 100', down => 'b / 100', own => 'INSERT INTO :t (id, o, s, a, b) VALUES (2, 0, 3, 19, 1999)');

make_fixture('exact', @exact);
make_fixture('constant', @exact, a => 'DEFAULT 1', b => 'SET DEFAULT 1077');
make_fixture('computed', @exact, a => 'DEFAULT public.d(1)', b => 'SET DEFAULT public.d(1077)');
make_fixture('parts', @exact, b => 'SET DEFAULT 1077', create => <<'SQL');
CREATE TABLE :t (id int PRIMARY KEY, o int, s int, a int DEFAULT 1) PARTITION BY RANGE (id);
CREATE TABLE :p (a int DEFAULT 1, gone int, s int, id int NOT NULL, o int);
ALTER TABLE :p DROP COLUMN gone;
ALTER TABLE :t ATTACH PARTITION :p FOR VALUES FROM (MINVALUE) TO (MAXVALUE);
SQL
make_fixture('private', up => 'public.secret_up(a)', down => 'public.secret_down(b)', extra => <<'SQL');
GRANT SELECT, INSERT, UPDATE ON :t TO writer;
SQL
make_fixture('lossy', @lossy);
make_fixture('one_way', up => 'a * 100',
	own => 'INSERT INTO :t (id, o, s, a) VALUES (2, 0, 3, 19); UPDATE :t SET b = 1999 WHERE id = 2');
make_fixture('no_release', @exact, release => 'NULL');
make_fixture('new_wins', @exact, options => q(on_conflict => 'new'));
make_fixture('old_wins', @exact, options => q(on_conflict => 'old'));
make_fixture('source', up => 'a * 100 + coalesce(s, 0)', down => 'b / 100',
	own => 'INSERT INTO :t (id, o, s, b) VALUES (2, 0, 3, 550)');
make_fixture('back', up => 'a * 100', down => 'b / 100 + coalesce(s, 0)', row => '0, 0, 5',
	own => 'INSERT INTO :t (id, o, s, a, b) VALUES (2, 0, 2, 7, 700)');
make_fixture('rate', up => 'a * s', down => 'b / s', row => '0, 10, 5');
# of two old columns down computes one
make_fixture('half', old => qr/\b[as]\b/, rule => <<'SQL', own => 'SELECT 1');
SELECT tandem.add_column(':m', ':t', 'b', 'int');
SELECT tandem.sync_columns(':m', ':t', '{a,s}', '{b}', '{a * 100 + s}', ARRAY['b / 100', NULL]);
SQL
make_fixture('volatile', up => 'public.d(a + 1000)', down => 'b - 1000');
make_fixture('volatile1', up => 'public.d(a + 1000)');
make_fixture('derived', derived => 1, rule => q(SELECT tandem.add_column(':m', ':t', 'b', 'int', up => 'a * 100')),
	own => 'INSERT INTO :t (id, o, s, a, b) VALUES (2, 0, 3, 5, 777)');
make_fixture('derived_c', derived => 1, rule => q(SELECT tandem.add_column(':m', ':t', 'b', 'int', up => 'a * 100', default_value => '888')),
	a => 'DEFAULT 1', own => 'SELECT 1');
make_fixture('raises', derived => 1, row => '0, 3, 0', own => 'INSERT INTO :t (id, o, s, a, b) VALUES (2, 0, 3, 0, 777)',
	rule => q(SELECT tandem.add_column(':m', ':t', 'b', 'int', up => '100 / a', on_error => 'quarantine')));
# a column that contract drops: what is shown is a, and the s that down reads
my $with_s = q(concat_ws('/', coalesce(a::text, '-'), coalesce(s::text, '-')));
my @dropped = (show => $with_s, row => '0, 3, 300', own => 'INSERT INTO :t (id, o, s, a) VALUES (2, 0, 3, 777)');
make_fixture('dropped', @dropped, rule => q(SELECT tandem.drop_column(':m', ':t', 'a', 's * 100')));
make_fixture('dropped_d', @dropped, a => 'DEFAULT 11', rule => q(SELECT tandem.drop_column(':m', ':t', 'a', 's * 100')));
make_fixture('dropped_n', @dropped, rule => q(SELECT tandem.drop_column(':m', ':t', 'a')));
make_fixture('dropped_q', @dropped, row => '0, 3, 33', rule => q(SELECT tandem.drop_column(':m', ':t', 'a', '100 / s', on_error => 'quarantine')));
make_fixture('chain', no_views => 1, rule => <<'SQL', show => q(concat_ws('/', coalesce(a::text, '-'), coalesce(b::text, '-'), coalesce(c::text, '-'))));
SELECT tandem.add_column(':m', ':t', 'b', 'int');
SELECT tandem.sync_column(':m', ':t', 'a', 'b', 'a * 10', 'b / 10');
SELECT tandem.create_migration(':m3', release => 43);
SELECT tandem.add_column(':m3', ':t', 'c', 'int');
SELECT tandem.sync_column(':m3', ':t', 'b', 'c', 'b * 10', 'c / 10');
SQL

# Other BEFORE triggers: one that only looks, one that changes the old side, one that changes the new one.  o shows
# what they have seen of b - a: both sides right are 1000 apart.
sub trigger
{
	my ($name, $body) = @_;

	return <<"SQL";
CREATE OR REPLACE FUNCTION public.$name() RETURNS trigger LANGUAGE plpgsql AS
	'BEGIN NEW.o := to_jsonb(NEW)->>''b''; NEW.o := NEW.o - NEW.a; $body RETURN NEW; END';
CREATE TRIGGER $name BEFORE INSERT OR UPDATE ON :t FOR EACH ROW EXECUTE FUNCTION public.$name();
SQL
}
my $with_o = q(concat_ws('/', coalesce(a::text, '-'), coalesce(b::text, '-'), coalesce(o::text, '-')));
make_fixture('sees', @exact, show => $with_o, extra => trigger('looks', ''));
make_fixture('cleans_a', @exact, show => $with_o, extra => trigger('cleans', 'NEW.a := abs(NEW.a);'));
make_fixture('cleans_b', @exact, show => $with_o, extra => trigger('early', <<'BODY'));
	IF to_jsonb(NEW) ? ''b'' AND (to_jsonb(NEW)->>''b'')::int < 0 THEN NEW := jsonb_populate_record(NEW, ''{"b": 0}''); END IF;
BODY
make_fixture('cleans_s', up => 'a * 100 + s', down => 'b / 100', extra => trigger('late', 'NEW.s := abs(NEW.s);'));
make_views();

# On UPDATE a column changed when its image differs from that of the row before.  Who declares nothing: the side
# that changed wins, both must agree, and neither leaves the row as it is.  A declared release: what it changes on the
# other side never counts; its own side unchanged leaves the row as it was.
check_lines('exact', '41 42 none', <<'TABLE');
filled   | SET o = 1                               | 5/1005
filled   | SET a = 7                               | 7/1007 | 5/1005   | 7/1007
filled   | SET a = 5                               | 5/1005
filled   | SET a = NULL                            | -/-    | 5/1005   | -/-
filled   | SET b = 1234                            | 5/1005 | 234/1234 | 234/1234
filled   | SET b = 1005                            | 5/1005
filled   | SET b = NULL                            | 5/1005 | -/-      | -/-
filled   | SET a = 7, b = 1007                     | 7/1007
filled   | SET a = 7, b = 1234                     | 7/1007 | 234/1234 | 27000
# the whole row is saved, as it was read, or with one column changed
filled   | SET o = 1, s = 3, a = 5, b = 1005       | 5/1005
filled   | SET o = 0, s = 3, a = 7, b = 1005       | 7/1007 | 5/1005   | 7/1007
filled   | SET o = 0, s = 3, a = 5, b = 1234       | 5/1005 | 234/1234 | 234/1234
# read before the fill, saved after it: of 41 nothing is lost; who does not say what it is has changed b
filled   | SET o = 1, s = 3, a = 5, b = NULL       | 5/1005 | -/-      | -/-
filled   | SET o = 1, s = 3, a = 7, b = NULL       | 7/1007 | -/-      | 27000
# from itself
filled   | SET a = a                               | 5/1005
filled   | SET b = b                               | 5/1005
filled   | SET a = a + 1                           | 6/1006 | 5/1005   | 6/1006
filled   | SET b = b + 1                           | 5/1005 | 6/1006   | 6/1006
filled   | SET a = a + 1, b = b + 1                | 6/1006
filled   | SET a = a + 1, b = b + 2                | 6/1006 | 7/1007   | 27000
filled   | SET b = a                               | 5/1005 | -995/5   | -995/5
own      | SET o = 1                               | 19/1019
own      | SET b = NULL                            | 19/1019 | -/-     | -/-
own_u    | SET o = 1                               | 19/1019
own_u    | SET b = NULL                            | 19/1019 | -/-     | -/-
own_u    | SET b = b + 1                           | 19/1019 | 20/1020 | 20/1020
null     | SET o = 1                               | -/-
null     | SET a = 7                               | 7/1007 | -/-      | 7/1007
null     | SET b = 1234                            | -/-    | 234/1234 | 234/1234
null     | SET a = NULL, b = NULL                  | -/-
# a row that was never filled is filled by whoever writes it
unfilled | SET o = 1                               | 5/1005
unfilled | SET a = 5                               | 5/1005
unfilled | SET a = 7                               | 7/1007 | 5/1005   | 7/1007
unfilled | SET a = NULL                            | -/-    | 5/1005   | -/-
unfilled | SET b = 1234                            | 5/1005 | 234/1234 | 234/1234
unfilled | SET a = 7, b = 1007                     | 7/1007
unfilled | SET a = 7, b = 1234                     | 7/1007 | 234/1234 | 27000
# b was NULL, and is: it has not changed
unfilled | SET b = NULL                            | 5/1005
unfilled | SET a = 7, b = NULL                     | 7/1007 | 5/1005   | 7/1007
unfilled | SET o = 1, s = 3, a = 5, b = NULL       | 5/1005
# computed from what is not there yet: an error, whoever writes
unfilled | SET b = b + 1                           | 55T02
unfilled | SET b = coalesce(b, 0) + 1              | 55T02
unfilled | SET a = a + 1, b = b + 1                | 55T02
null_u   | SET b = b + 1                           | 55T02
# (reading) nothing is computed, and nothing lost
unfilled | SET b = b                               | 5/1005
unfilled | SET a = a + 1                           | 6/1006 | 5/1005   | 6/1006
unfilled | SET b = a                               | 5/1005 | -995/5   | -995/5
null_u   | SET o = 1                               | -/-
null_u   | SET a = 7                               | 7/1007 | -/-      | 7/1007
null_u   | SET b = 1234                            | -/-    | 234/1234 | 234/1234
TABLE

# INSERT.  given: named with a value that is not the default; named: with just the default, NULL where there is
# none; absent.  Who declares nothing: given beats named, named beats absent, both named or both absent: the old side;
# both given must agree.  A declared release that gives nothing on its own side gives its default.
check_lines('exact', '41 42 none', <<'TABLE');
new      | INSERT                                  | -/-
new      | INSERT a = 7                            | 7/1007 | -/-      | 7/1007
new      | INSERT a = NULL                         | -/-
new      | INSERT a = DEFAULT                      | -/-
new      | INSERT b = 1234                         | -/-    | 234/1234 | 234/1234
new      | INSERT b = NULL                         | -/-
new      | INSERT b = DEFAULT                      | -/-
new      | INSERT a = 7, b = 1007                  | 7/1007
new      | INSERT a = 7, b = 1234                  | 7/1007 | 234/1234 | 27000
new      | INSERT a = 7, b = NULL                  | 7/1007 | -/-      | 7/1007
new      | INSERT a = 7, b = DEFAULT               | 7/1007 | -/-      | 7/1007
new      | INSERT a = NULL, b = 1234               | -/-    | 234/1234 | 234/1234
new      | INSERT a = DEFAULT, b = 1234            | -/-    | 234/1234 | 234/1234
new      | INSERT a = NULL, b = NULL               | -/-
new      | INSERT a = DEFAULT, b = DEFAULT         | -/-
TABLE

# a has the default 1, b 1077
check_lines('constant', '41 42 none', <<'TABLE');
new      | INSERT                                  | 1/1001 | 77/1077  | 1/1001
new      | INSERT a = 7                            | 7/1007 | 77/1077  | 7/1007
new      | INSERT a = 1                            | 1/1001 | 77/1077  | 1/1001
new      | INSERT a = DEFAULT                      | 1/1001 | 77/1077  | 1/1001
new      | INSERT a = NULL                         | -/-    | 77/1077  | -/-
new      | INSERT b = 1234                         | 1/1001 | 234/1234 | 234/1234
new      | INSERT b = 1077                         | 1/1001 | 77/1077  | 77/1077
new      | INSERT b = DEFAULT                      | 1/1001 | 77/1077  | 77/1077
new      | INSERT b = NULL                         | 1/1001 | -/-      | -/-
new      | INSERT a = 7, b = 1007                  | 7/1007
new      | INSERT a = 7, b = 1234                  | 7/1007 | 234/1234 | 27000
new      | INSERT a = 7, b = 1077                  | 7/1007 | 77/1077  | 7/1007
new      | INSERT a = 7, b = DEFAULT               | 7/1007 | 77/1077  | 7/1007
new      | INSERT a = 7, b = NULL                  | 7/1007 | -/-      | 27000
new      | INSERT a = 1, b = 1234                  | 1/1001 | 234/1234 | 234/1234
new      | INSERT a = DEFAULT, b = 1234            | 1/1001 | 234/1234 | 234/1234
new      | INSERT a = NULL, b = 1234               | -/-    | 234/1234 | 27000
new      | INSERT a = 1, b = 1077                  | 1/1001 | 77/1077  | 1/1001
new      | INSERT a = DEFAULT, b = DEFAULT         | 1/1001 | 77/1077  | 1/1001
new      | INSERT a = DEFAULT, b = 1077            | 1/1001 | 77/1077  | 1/1001
new      | INSERT a = 1, b = DEFAULT               | 1/1001 | 77/1077  | 1/1001
new      | INSERT a = NULL, b = NULL               | -/-
new      | INSERT a = DEFAULT, b = NULL            | 1/1001 | -/-      | -/-
new      | INSERT a = NULL, b = DEFAULT            | -/-    | 77/1077  | -/-
# several rows, each by what it says itself
new      | INSERT INTO :t (id, a, b) VALUES (9, 7, DEFAULT), (10, DEFAULT, 1234), (11, DEFAULT, DEFAULT) | 7/1007 1/1001 1/1001 | 77/1077 234/1234 77/1077 | 7/1007 234/1234 1/1001
new      | INSERT INTO :t (id, a) VALUES (9, 7), (10, DEFAULT), (11, 1)     | 7/1007 1/1001 1/1001 | 77/1077 77/1077 77/1077 | 7/1007 1/1001 1/1001
new      | INSERT INTO :t (id, b) VALUES (9, 1234), (10, DEFAULT), (11, NULL)   | 1/1001 1/1001 1/1001 | 234/1234 77/1077 -/- | 234/1234 77/1077 -/-
new      | INSERT INTO :t (id, a) SELECT g, g - 2 FROM generate_series(9, 10) g | 7/1007 8/1008 | 77/1077 77/1077 | 7/1007 8/1008
new      | INSERT INTO :t (id, b) SELECT g, 1077 FROM generate_series(9, 10) g  | 1/1001 1/1001 | 77/1077 77/1077 | 77/1077 77/1077
new      | INSERT INTO :t (id, a, b) SELECT 9, 7, 1077                          | 7/1007 | 77/1077 | 7/1007
new      | INSERT INTO :t (id, a, b) SELECT 9, 1, 1234                          | 1/1001 | 234/1234 | 234/1234
new      | INSERT INTO :t VALUES (:id, 0, 0, 7)                                 | 7/1007 | 77/1077 | 7/1007
new      | INSERT INTO :t VALUES (:id, 0, 0, DEFAULT, 1234)                     | 1/1001 | 234/1234 | 234/1234
# a row in the table whose default somebody sets is written with a value like any other
# (the views carry no defaults yet: DEFAULT is NULL through them)
filled   | SET a = DEFAULT                         | .      | 5/1005   | 1/1001
filled   | SET a = 1                               | 1/1001 | 5/1005   | 1/1001
unfilled | SET a = 1                               | 1/1001 | 5/1005   | 1/1001
TABLE
# through a view SET b = DEFAULT is the default that the view has
check_lines('constant', 'none', 'filled | SET b = DEFAULT | 77/1077');

# the same defaults, computed: a value that equals what is computed is a value; the same expression is the default
check_lines('computed', '41 42 none', <<'TABLE');
new      | INSERT                                  | 1/1001 | 77/1077  | 1/1001
new      | INSERT a = 7                            | 7/1007 | 77/1077  | 7/1007
new      | INSERT a = DEFAULT                      | 1/1001 | 77/1077  | 1/1001
new      | INSERT a = NULL                         | -/-    | 77/1077  | -/-
new      | INSERT b = 1234                         | 1/1001 | 234/1234 | 234/1234
new      | INSERT b = 1077                         | 1/1001 | 77/1077  | 77/1077
new      | INSERT b = DEFAULT                      | 1/1001 | 77/1077  | 77/1077
new      | INSERT b = public.d(1077)               | 1/1001 | 77/1077  | 77/1077
new      | INSERT b = NULL                         | 1/1001 | -/-      | -/-
new      | INSERT a = 7, b = 1234                  | 7/1007 | 234/1234 | 27000
new      | INSERT a = 7, b = 1077                  | 7/1007 | 77/1077  | 27000
new      | INSERT a = 7, b = DEFAULT               | 7/1007 | 77/1077  | 7/1007
new      | INSERT a = 7, b = public.d(1077)        | 7/1007 | 77/1077  | 7/1007
new      | INSERT a = 7, b = NULL                  | 7/1007 | -/-      | 27000
new      | INSERT a = 1, b = 1234                  | 1/1001 | 234/1234 | 27000
new      | INSERT a = DEFAULT, b = 1234            | 1/1001 | 234/1234 | 234/1234
new      | INSERT a = public.d(1), b = 1234        | 1/1001 | 234/1234 | 234/1234
new      | INSERT a = 1, b = 1077                  | 1/1001 | 77/1077  | 27000
new      | INSERT a = DEFAULT, b = DEFAULT         | 1/1001 | 77/1077  | 1/1001
new      | INSERT a = DEFAULT, b = 1077            | 1/1001 | 77/1077  | 77/1077
new      | INSERT a = DEFAULT, b = NULL            | 1/1001 | -/-      | -/-
new      | INSERT INTO :t (id, a, b) VALUES (9, 7, DEFAULT), (10, DEFAULT, 1234), (11, DEFAULT, DEFAULT) | 7/1007 1/1001 1/1001 | 77/1077 234/1234 77/1077 | 7/1007 234/1234 1/1001
TABLE

# What the old column cannot say stays, as long as it need not change.
check_lines('lossy', '41 42 none', <<'TABLE');
own      | SET o = 1                               | 19/1999
own      | SET a = 19                              | 19/1999
own      | SET a = 20                              | 20/2000 | 19/1999 | 20/2000
own      | SET b = 1950                            | 19/1999 | 19/1950 | 19/1950
own      | SET b = NULL                            | 19/1999 | -/-     | -/-
own      | SET o = 1, s = 3, a = 19, b = 1999      | 19/1999
own      | SET o = 1, s = 3, a = 20, b = 1999      | 20/2000 | 19/1999 | 20/2000
# read when it was 1900
own      | SET o = 1, s = 3, a = 19, b = 1900      | 19/1999 | 19/1900 | 19/1900
own      | SET o = 1, s = 3, a = 19, b = NULL      | 19/1999 | -/-     | -/-
own      | SET a = 20, b = 2050                    | 20/2000 | 20/2050 | 20/2050
own      | SET a = 20, b = 1950                    | 20/2000 | 19/1950 | 27000
own      | SET a = a + 1                           | 20/2000 | 19/1999 | 20/2000
own      | SET b = b + 1                           | 19/1999 | 20/2000 | 20/2000
own_u    | SET o = 1                               | 19/1999
own_u    | SET o = 1, s = 3, a = 19, b = 1999      | 19/1999
filled   | SET b = 550                             | 5/500   | 5/550   | 5/550
unfilled | SET b = 550                             | 5/500   | 5/550   | 5/550
unfilled | SET a = 7, b = 750                      | 7/700   | 7/750   | 7/750
new      | INSERT a = 19, b = 1999                 | 19/1900 | 19/1999 | 19/1999
new      | INSERT a = 19, b = 2000                 | 19/1900 | 20/2000 | 27000
TABLE

# Without down the old column stays what it was.
check_lines('one_way', '41 42 none', <<'TABLE');
filled   | SET a = 7                               | 7/700   | 5/500   | 7/700
filled   | SET b = 777                             | 5/500   | 5/777   | 5/777
filled   | SET b = NULL                            | 5/500   | 5/-     | 5/-
filled   | SET a = 7, b = 700                      | 7/700   | 5/700   | 7/700
filled   | SET a = 7, b = 777                      | 7/700   | 5/777   | 27000
own      | SET o = 1                               | 19/1999
own      | SET a = 19, b = 1900                    | 19/1999 | 19/1900 | 19/1900
own      | SET a = 20                              | 20/2000 | 19/1999 | 20/2000
unfilled | SET o = 1                               | 5/500
unfilled | SET b = 777                             | 5/500   | 5/777   | 5/777
unfilled | SET b = b + 1                           | 55T02
new      | INSERT a = 7                            | 7/700   | -/-     | 7/700
new      | INSERT b = 777                          | -/-     | -/777   | -/777
new      | INSERT a = 7, b = 777                   | 7/700   | .       | 27000
TABLE

# A migration of no release: nobody has declared anything that it asks.
check_lines('no_release', '41 42 none', <<'TABLE');
filled   | SET a = 7                               | 7/1007
filled   | SET b = 1234                            | 234/1234
filled   | SET a = 7, b = 1234                     | 27000
filled   | SET o = 1, s = 3, a = 5, b = NULL       | -/-
unfilled | SET o = 1                               | 5/1005
unfilled | SET b = b + 1                           | 55T02
new      | INSERT                                  | -/-
new      | INSERT a = 7                            | 7/1007
new      | INSERT b = 1234                         | 234/1234
new      | INSERT a = 7, b = 1234                  | 27000
new      | INSERT a = 7, b = NULL                  | 7/1007
TABLE

# on_conflict is asked of those who declare nothing.
check_lines('new_wins', '41 42 none', <<'TABLE');
filled   | SET a = 7, b = 1234                     | 7/1007 | 234/1234 | 234/1234
filled   | SET a = 7                               | 7/1007 | 5/1005   | 7/1007
unfilled | SET a = 7, b = 1234                     | 7/1007 | 234/1234 | 234/1234
new      | INSERT a = 7, b = 1234                  | 7/1007 | 234/1234 | 234/1234
new      | INSERT a = 7, b = NULL                  | 7/1007 | -/-      | 7/1007
TABLE
check_lines('old_wins', '41 42 none', <<'TABLE');
filled   | SET a = 7, b = 1234                     | 7/1007 | 234/1234 | 7/1007
filled   | SET b = 1234                            | 5/1005 | 234/1234 | 234/1234
unfilled | SET a = 7, b = 1234                     | 7/1007 | 234/1234 | 7/1007
new      | INSERT a = 7, b = 1234                  | 7/1007 | 234/1234 | 7/1007
new      | INSERT a = NULL, b = 1234               | -/-    | 234/1234 | 234/1234
TABLE

# up reads s besides: where that changes and b stays as it was, b follows, unless it holds a value of its own; of a
# declared 42 it follows only where the row was never filled.
check_lines('source', '41 42 none', <<'TABLE');
filled   | SET s = 4                               | 5/504  | 5/503  | 5/504
filled   | SET s = NULL                            | 5/500  | 5/503  | 5/500
filled   | SET s = 3                               | 5/503
filled   | SET o = 1                               | 5/503
filled   | SET s = s + 1                           | 5/504  | 5/503  | 5/504
filled   | SET o = 0, s = 4, a = 5, b = 503        | 5/504  | 5/503  | 5/504
filled   | SET s = 4, a = 7                        | 7/704  | 5/503  | 7/704
filled   | SET s = 4, b = 999                      | 5/504  | 9/999  | 9/999
filled   | SET s = 4, a = 7, b = 704               | 7/704
filled   | SET s = 4, a = 7, b = 999               | 7/704  | 9/999  | 27000
own      | SET s = 4                               | 5/550
own      | SET s = 4, a = 7                        | 7/704  | 5/550  | 7/704
own      | SET s = 4, a = 5, b = 550               | 5/550
own      | SET a = 7                               | 7/703  | 5/550  | 7/703
unfilled | SET s = 4                               | 5/504
unfilled | SET o = 1                               | 5/503
unfilled | SET s = 4, a = 7                        | 7/704  | 5/504  | 7/704
unfilled | SET s = 4, b = 999                      | 5/504  | 9/999  | 9/999
unfilled | SET s = 4, b = b + 1                    | 55T02
null     | SET s = 4                               | -/-
null     | SET s = 4, a = 7                        | 7/704  | -/-    | 7/704
new      | INSERT a = 7, s = 4                     | 7/704  | -/-    | 7/704
new      | INSERT b = 999, s = 4                   | -/-    | 9/999  | 9/999
new      | INSERT s = 4                            | -/-
new      | INSERT a = 7, b = 704, s = 4            | 7/704
TABLE

# The mirror of it: down reads s; a follows, but (reading) not of a declared 41, whose own side it is.
check_lines('back', '41 42 none', <<'TABLE');
filled   | SET s = 1                               | 5/500  | 6/500  | 6/500
filled   | SET s = 1, b = 700                      | 5/500  | 8/700  | 8/700
filled   | SET s = 1, a = 7                        | 7/700  | 6/500  | 7/700
own      | SET s = 3                               | 7/700
own      | SET s = 3, b = 800                      | 7/700  | 11/800 | 11/800
unfilled | SET s = 1                               | 5/500
TABLE

# Both read s: (reading) b follows, and what it is then agrees with a; of 42 b is its own, and a follows.
check_lines('rate', '41 42 none', <<'TABLE');
filled   | SET s = 20                              | 5/100  | 2/50   | 5/100
filled   | SET s = 20, a = 6                       | 6/120  | 2/50   | 6/120
filled   | SET s = 20, b = 60                      | 5/100  | 3/60   | 3/60
unfilled | SET s = 20                              | 5/100
TABLE

# down judges agreement only when every old column has an expression.
check_lines('half', '41 42 none', <<'TABLE');
filled   | SET b = 550                             | 5/503  | 5/550  | 5/550
filled   | SET s = 4                               | 5/504  | 5/503  | 5/504
filled   | SET a = 7, b = 703                      | 7/703
filled   | SET a = 7, b = 777                      | 7/703  | 7/777  | 27000
filled   | SET a = 7, b = 999                      | 7/703  | 9/999  | 27000
unfilled | SET o = 1                               | 5/503
TABLE

# A volatile up fills; agreement is judged by down, or by being filled.
check_lines('volatile', '41 42 none', <<'TABLE');
unfilled | SET o = 1                               | 5/1005
filled   | SET o = 1                               | 5/1005
filled   | SET a = 7                               | 7/1007 | 5/1005   | 7/1007
filled   | SET b = 1234                            | 5/1005 | 234/1234 | 234/1234
filled   | SET a = 7, b = 1007                     | 7/1007
filled   | SET a = 7, b = 1234                     | 7/1007 | 234/1234 | 27000
new      | INSERT a = 7                            | 7/1007 | -/-      | 7/1007
new      | INSERT a = 7, b = 1234                  | 7/1007 | 234/1234 | 27000
TABLE
check_lines('volatile1', '41 42 none', <<'TABLE');
unfilled | SET o = 1                               | 5/1005
filled   | SET a = 7                               | 7/1007 | 5/1005   | 7/1007
filled   | SET a = 7, b = 1234                     | 7/1007 | 5/1234   | 7/1234
new      | INSERT a = 7, b = 1234                  | 7/1007 | .        | 7/1234
TABLE

# A derived column: its source a belongs to both releases.  It follows; a value of its own stays; what 42 has
# written, NULL included, is stored.
check_lines('derived', '41 42 none', <<'TABLE');
filled   | SET o = 1                               | 5/500
filled   | SET a = 7                               | 7/700  | 7/500  | 7/700
filled   | SET a = a + 1                           | 6/600  | 6/500  | 6/600
filled   | SET a = NULL                            | -/-    | -/500  | -/-
filled   | SET b = 777                             | 5/500  | 5/777  | 5/777
filled   | SET b = NULL                            | 5/500  | 5/-    | 5/-
filled   | SET a = 7, b = 777                      | 7/700  | 7/777  | 7/777
filled   | SET o = 0, s = 3, a = 7, b = 500        | 7/700  | 7/500  | 7/700
# read before the fill, saved after it
filled   | SET o = 1, s = 3, a = 5, b = NULL       | 5/500  | 5/-    | 5/-
own      | SET o = 1                               | 5/777
own      | SET a = 7                               | 7/777
own      | SET a = 7, b = 777                      | 7/777
own      | SET b = NULL                            | 5/777  | 5/-    | 5/-
own_u    | SET a = 7                               | 7/777
null     | SET a = 7                               | 7/700  | 7/-    | 7/700
unfilled | SET o = 1                               | 5/500
unfilled | SET a = 7                               | 7/700
unfilled | SET a = 7, b = NULL                     | 7/700
unfilled | SET b = NULL                            | 5/500
unfilled | SET b = 777                             | 5/500  | 5/777  | 5/777
unfilled | SET a = 7, b = 777                      | 7/700  | 7/777  | 7/777
unfilled | SET b = b + 1                           | 55T02
null_u   | SET a = 7                               | 7/700
# (reading) 42 names nothing and there is no default_value: its default is NULL
new      | INSERT a = 7                            | 7/700  | 7/-    | 7/700
new      | INSERT a = 7, b = 777                   | 7/700  | 7/777  | 7/777
# (reading) who names b knows it: the sources are no side that could beat it
new      | INSERT a = 7, b = NULL                  | 7/700  | 7/-    | 7/-
new      | INSERT b = 777                          | -/-    | -/777  | -/777
new      | INSERT                                  | -/-
TABLE
# a has the default 1; what 42 inserts when it names nothing is 888
check_lines('derived_c', '41 42 none', <<'TABLE');
new      | INSERT                                  | 1/100  | 1/888  | 1/100
new      | INSERT a = 7                            | 7/700  | 7/888  | 7/700
new      | INSERT a = 7, b = 777                   | 7/700  | 7/777  | 7/777
new      | INSERT a = 7, b = NULL                  | 7/700  | 7/-    | 7/-
# (reading) as above
new      | INSERT a = 7, b = DEFAULT               | 7/700  | 7/888  | 7/888
new      | INSERT a = 7, b = 888                   | 7/700  | 7/888  | 7/888
filled   | SET a = 7                               | 7/700  | 7/500  | 7/700
unfilled | SET a = 7                               | 7/700
unfilled | SET o = 1                               | 5/500
TABLE
# A column that 42 does not know, the mirror of a derived one: its source s belongs to both releases.  It follows; a
# value of its own stays; what 41 has written is never replaced.
check_lines('dropped', '41 42 none', <<'TABLE');
filled   | SET o = 1                               | 300/3
filled   | SET s = 4                               | 300/4  | 400/4  | 400/4
filled   | SET s = s + 1                           | 300/4  | 400/4  | 400/4
filled   | SET s = NULL                            | 300/-  | -/-    | -/-
filled   | SET a = 7                               | 7/3    | 300/3  | 7/3
filled   | SET a = NULL                            | -/3    | 300/3  | -/3
filled   | SET s = 4, a = 7                        | 7/4    | 400/4  | 7/4
filled   | SET o = 0, s = 4, a = 300               | 300/4  | 400/4  | 400/4
own      | SET o = 1                               | 777/3
own      | SET s = 4                               | 777/4
own      | SET a = NULL                            | -/3    | 777/3  | -/3
null     | SET s = 4                               | -/4
new      | INSERT s = 4                            | -/4    | 400/4  | 400/4
new      | INSERT s = 4, a = 7                     | 7/4    | 400/4  | 7/4
# (reading) who names a knows it, and means the NULL
new      | INSERT s = 4, a = NULL                  | -/4    | 400/4  | -/4
new      | INSERT s = 4, a = DEFAULT               | -/4    | 400/4  | -/4
new      | INSERT                                  | -/-
TABLE
check_lines('dropped_d', '41 42 none', <<'TABLE');
new      | INSERT s = 4                            | 11/4   | 400/4  | 11/4
new      | INSERT s = 4, a = 7                     | 7/4    | 400/4  | 7/4
new      | INSERT s = 4, a = DEFAULT               | 11/4   | 400/4  | 11/4
new      | INSERT s = 4, a = NULL                  | -/4    | 400/4  | -/4
new      | INSERT                                  | 11/-   | -/-    | 11/-
filled   | SET s = 4                               | 300/4  | 400/4  | 400/4
TABLE
# without down 42 leaves it as it is
check_lines('dropped_n', '41 42 none', <<'TABLE');
filled   | SET s = 4                               | 300/4
filled   | SET a = 7                               | 7/3    | 300/3  | 7/3
new      | INSERT s = 4                            | -/4
new      | INSERT s = 4, a = 7                     | 7/4    | -/4    | 7/4
TABLE
check_lines('dropped_q', '41 42 none', <<'TABLE');
filled   | SET s = 4                               | 33/4   | 25/4   | 25/4
filled   | SET s = 0                               | 33/0   | -/0    | -/0
new      | INSERT s = 0                            | -/0
new      | INSERT s = 0, a = 7                     | 7/0    | -/0    | 7/0
TABLE
# up raises of a = 0, and the row waits in quarantine.  (reading) While any row does, the table is not known to be
# filled: a row whose up has failed, or gave NULL, was never filled.
check_lines('raises', '41 42 none', <<'TABLE');
filled   | SET o = 1                               | 0/-
filled   | SET a = 4                               | 4/25
filled   | SET b = 777                             | 0/-    | 0/777  | 0/777
own      | SET a = 4                               | 4/777
unfilled | SET a = 4                               | 4/25
unfilled | SET o = 1                               | 0/-
null     | SET a = 0                               | 0/-
null     | SET a = 4                               | 4/25
new      | INSERT a = 0                            | 0/-
new      | INSERT a = 4                            | 4/25   | 4/-    | 4/25
TABLE

# Three releases.  A release's own side is the newest that it sees; what is newer or older follows from it.
check_lines('chain', '41 42 43 none', <<'TABLE');
filled   | SET o = 1                               | 5/50/500
filled   | SET a = 7                               | 7/70/700 | 5/50/500 | 5/50/500 | 7/70/700
filled   | SET b = 75                              | 5/50/500 | 7/75/750 | 5/50/500 | 7/75/750
filled   | SET c = 777                             | .        | 5/50/500 | 7/77/777 | 7/77/777
filled   | SET a = 7, b = 75                       | 7/70/700 | 7/75/750 | 5/50/500 | 7/75/750
filled   | SET a = 7, b = 70, c = 700              | 7/70/700
filled   | SET a = 9, b = 80                       | 9/90/900 | 8/80/800 | 5/50/500 | 27000
filled   | SET b = 75, c = 777                     | .        | 7/75/750 | 7/77/777 | 27000
# (reading) what is newer than one's own side never counts, be it two releases newer
filled   | SET o = 1, a = 5, b = NULL, c = NULL    | 5/50/500 | -/-/-    | -/-/-    | -/-/-
filled   | SET o = 1, a = 5, b = 50, c = NULL      | 5/50/500 | 5/50/500 | -/-/-    | -/-/-
filled   | SET o = 1, a = 7, b = 50, c = 500       | 7/70/700 | 5/50/500 | 5/50/500 | 7/70/700
unfilled | SET o = 1                               | 5/50/500
unfilled | SET a = 7                               | 7/70/700 | 5/50/500 | 5/50/500 | 7/70/700
unfilled | SET b = 75                              | 5/50/500 | 7/75/750 | 5/50/500 | 7/75/750
unfilled | SET c = 777                             | .        | 5/50/500 | 7/77/777 | 7/77/777
unfilled | SET b = b + 1                           | 55T02
unfilled | SET c = c + 1                           | 55T02
new      | INSERT a = 7                            | 7/70/700 | -/-/-    | -/-/-    | 7/70/700
new      | INSERT b = 75                           | -/-/-    | 7/75/750 | -/-/-    | 7/75/750
new      | INSERT c = 777                          | .        | .        | 7/77/777 | 7/77/777
# all columns are named, and one of them given
new      | INSERT a = 7, b = NULL, c = NULL        | 7/70/700 | -/-/-    | -/-/-    | 7/70/700
new      | INSERT a = NULL, b = 75, c = NULL       | -/-/-    | 7/75/750 | -/-/-    | 7/75/750
new      | INSERT a = NULL, b = NULL, c = 777      | -/-/-    | -/-/-    | 7/77/777 | 7/77/777
new      | INSERT                                  | -/-/-
TABLE

# Other BEFORE triggers see both sides right (the third value: what they saw of b - a), and what they change is
# followed.
check_lines('sees', '41 42 none', <<'TABLE');
filled   | SET s = 1                               | 5/1005/1000
filled   | SET a = 7                               | 7/1007/1000 | 5/1005/1000   | 7/1007/1000
filled   | SET b = 1234                            | 5/1005/1000 | 234/1234/1000 | 234/1234/1000
unfilled | SET s = 1                               | 5/1005/1000
unfilled | SET a = 7                               | 7/1007/1000 | 5/1005/1000   | 7/1007/1000
unfilled | SET b = 1234                            | 5/1005/1000 | 234/1234/1000 | 234/1234/1000
new      | INSERT a = 7                            | 7/1007/1000 | -/-/-         | 7/1007/1000
new      | INSERT b = 1234                         | -/-/-       | 234/1234/1000 | 234/1234/1000
TABLE
check_lines('cleans_a', '41 42 none', <<'TABLE');
filled   | SET a = -7                              | 7/1007/1000 | 5/1005/1000   | 7/1007/1000
filled   | SET b = 900                             | 5/1005/1000 | 100/1100/1000 | 100/1100/1000
unfilled | SET a = -7                              | 7/1007/1000 | 5/1005/1000   | 7/1007/1000
new      | INSERT a = -7                           | 7/1007/1000 | -/-/-         | 7/1007/1000
new      | INSERT b = 900                          | -/-/-       | 100/1100/1000 | 100/1100/1000
new      | INSERT a = -7, b = 993                  | 7/1007/1000
TABLE
# (reading) what a trigger changes is followed, whoever writes: it is not what the writer has changed
check_lines('cleans_b', '41 42 none', <<'TABLE');
filled   | SET b = -5                              | 5/1005/1000 | -1000/0/1000  | -1000/0/1000
filled   | SET a = -2000                           | -1000/0/1000 | 5/1005/1000  | -1000/0/1000
new      | INSERT b = -5                           | -/-/-       | -1000/0/1000  | -1000/0/1000
new      | INSERT a = -2000                        | -1000/0/1000 | -/-/-        | -1000/0/1000
TABLE
# a source that a trigger changes
check_lines('cleans_s', '41 42 none', <<'TABLE');
filled   | SET s = -4                              | 5/504  | 5/503  | 5/504
filled   | SET s = -4, a = 7                       | 7/704  | 5/503  | 7/704
filled   | SET s = -3                              | 5/503
new      | INSERT a = 7, s = -4                    | 7/704  | -/-    | 7/704
TABLE

# Forms of statements.
check_lines('exact', '41 42 none', <<'TABLE');
filled   | UPDATE :t SET (a, b) = (7, 1234) WHERE id = :id                                  | 7/1007 | 234/1234 | 27000
filled   | UPDATE :t SET (a, b) = (SELECT 7, 1234) WHERE id = :id                           | 7/1007 | 234/1234 | 27000
filled   | UPDATE :t SET a = v.k FROM (VALUES (7)) v (k) WHERE id = :id                     | 7/1007 | 5/1005   | 7/1007
unfilled | UPDATE :t t SET b = t.b + v.k FROM (VALUES (7)) v (k) WHERE id = :id             | 55T02
unfilled | UPDATE :t t SET b = (SELECT t.b + 1) WHERE id = :id                              | 55T02
unfilled | UPDATE :t SET (b, o) = (b + 1, 1) WHERE id = :id                                 | 55T02
filled   | WITH w AS (UPDATE :t SET a = 7, b = 1234 WHERE id = :id RETURNING id) SELECT count(*) FROM w | 7/1007 | 234/1234 | 27000
unfilled | WITH w AS (UPDATE :t SET b = b + 1 WHERE id = :id RETURNING id) SELECT count(*) FROM w | 55T02
unfilled | UPDATE :t t SET b = coalesce(s.b, 0) + 1 FROM :t s WHERE s.id = t.id AND t.id = :id | 55T02
unfilled | UPDATE :t t SET b = s.b FROM (SELECT id, coalesce(b, 0) + 1 AS b FROM :t) s WHERE s.id = t.id AND t.id = :id | 55T02
unfilled | UPDATE :t t SET b = (SELECT coalesce(s.b, 0) + 1 FROM :t s WHERE s.id = t.id) WHERE t.id = :id | 55T02
unfilled | UPDATE :t t SET b = (SELECT (SELECT t.b + s.o) FROM :t s WHERE s.id = t.id) WHERE t.id = :id | 55T02
unfilled | UPDATE :t SET b = (SELECT coalesce(max(b), 0) + 1 FROM :t) WHERE id = :id     | 55T02
unfilled | UPDATE :t t SET b = cardinality(ARRAY(SELECT s.b FROM :t s WHERE s.id = t.id)) WHERE id = :id | 55T02
unfilled | WITH s AS MATERIALIZED (SELECT id, coalesce(b, 0) + 1 AS b FROM :t) UPDATE :t t SET b = s.b FROM s WHERE s.id = t.id AND t.id = :id | 55T02
unfilled | UPDATE :t t SET b = s.b FROM (SELECT id, coalesce(max(b), 0) + 1 AS b FROM :t GROUP BY id) s WHERE s.id = t.id AND t.id = :id | 55T02
unfilled | UPDATE :t t SET b = s.b FROM (SELECT id, coalesce(sum(b) OVER (PARTITION BY id), 0) + 1 AS b FROM :t) s WHERE s.id = t.id AND t.id = :id | 55T02
unfilled | UPDATE :t t SET b = s.b FROM (SELECT id, coalesce(b, 0) + 1 AS b FROM :t UNION ALL SELECT 0, 0) s WHERE s.id = t.id AND t.id = :id | 55T02
unfilled | INSERT INTO :t (id, b) SELECT id, coalesce(b, 0) + 1 FROM :t WHERE id = :id ON CONFLICT (id) DO UPDATE SET b = excluded.b | 55T02
unfilled | MERGE INTO :t t USING (SELECT id, coalesce(b, 0) + 1 AS b FROM :t) s ON t.id = s.id AND t.id = :id WHEN MATCHED THEN UPDATE SET b = s.b | 55T02
unfilled | UPDATE :t t SET b = s.b FROM :t s WHERE s.id = t.id AND t.id = :id            | 5/1005
unfilled | INSERT INTO :t (id, b) SELECT id, b FROM :t WHERE id = :id ON CONFLICT (id) DO UPDATE SET b = excluded.b | 5/1005
new      | WITH w AS (INSERT INTO :t (id, a, b) VALUES (:id, 7, NULL) RETURNING id) SELECT count(*) FROM w | 7/1007 | -/- | 7/1007
new      | WITH v AS (SELECT 9 AS id, 7 AS a) INSERT INTO :t (id, a) SELECT id, a FROM v     | 7/1007 | -/-      | 7/1007
filled   | DO 'BEGIN UPDATE :t SET a = 7, b = 1234 WHERE id = :id; END'                      | 7/1007 | 234/1234 | 27000
unfilled | DO 'BEGIN UPDATE :t SET b = b + 1 WHERE id = :id; END'                            | 55T02
unfilled | DO 'BEGIN EXECUTE ''UPDATE :t SET b = b + 1 WHERE id = :id''; END'                | 55T02
unfilled | DO 'DECLARE n int = 1; BEGIN UPDATE :t SET b = b + n WHERE id = :id; END'         | 55T02
unfilled | CREATE FUNCTION pg_temp.put() RETURNS void LANGUAGE sql AS 'UPDATE :t SET b = b + 1 WHERE id = :id'; SELECT pg_temp.put() | 55T02
unfilled | CREATE FUNCTION pg_temp.put(n int) RETURNS void LANGUAGE sql AS 'UPDATE :t SET b = b + $1 WHERE id = :id'; SELECT pg_temp.put(1) | 55T02
filled   | PREPARE p (int, int) AS UPDATE :t SET a = $1, b = $2 WHERE id = :id; EXECUTE p (7, 1234) | 7/1007 | 234/1234 | 27000
unfilled | PREPARE p (int) AS UPDATE :t SET b = b + $1 WHERE id = :id; EXECUTE p (7)         | 55T02
filled   | MERGE INTO :t t USING (VALUES (:id)) v (k) ON t.id = v.k WHEN MATCHED THEN UPDATE SET a = 7, b = 1234 | 7/1007 | 234/1234 | 27000
filled   | MERGE INTO :t t USING (VALUES (:id)) v (k) ON t.id = v.k WHEN MATCHED THEN UPDATE SET b = t.b + 1 | 5/1005 | 6/1006 | 6/1006
unfilled | MERGE INTO :t t USING (VALUES (:id)) v (k) ON t.id = v.k WHEN MATCHED THEN UPDATE SET b = t.b + 1 | 55T02
unfilled | MERGE INTO :t t USING (VALUES (:id)) v (k) ON t.id = v.k WHEN MATCHED THEN UPDATE SET a = 7 | 7/1007 | 5/1005 | 7/1007
filled   | INSERT INTO :t (id, a) VALUES (:id, 7) ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a | 7/1007 | 5/1005 | 7/1007
filled   | INSERT INTO :t (id, b) VALUES (:id, 1234) ON CONFLICT (id) DO UPDATE SET b = EXCLUDED.b | 5/1005 | 234/1234 | 234/1234
filled   | INSERT INTO :t (id, a) VALUES (:id, 7) ON CONFLICT (id) DO UPDATE SET a = :t.a + 1 | 6/1006 | 5/1005 | 6/1006
filled   | INSERT INTO :t (id, a, b) VALUES (:id, 7, 1007) ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a, b = EXCLUDED.b | 7/1007
filled   | INSERT INTO :t (id, a) VALUES (:id, 7) ON CONFLICT (id) DO NOTHING                | 5/1005
filled   | INSERT INTO :t (id, a) VALUES (:id, 7) ON CONFLICT ON CONSTRAINT exact_f_pkey DO UPDATE SET a = EXCLUDED.a | 7/1007 | 5/1005 | 7/1007
unfilled | INSERT INTO :t AS t (id, b) VALUES (:id, 1234) ON CONFLICT (id) DO UPDATE SET b = t.b + EXCLUDED.b | 55T02
unfilled | INSERT INTO :t AS t (id, a) VALUES (:id, 7) ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a | 7/1007 | 5/1005 | 7/1007
new      | INSERT INTO :t AS t (id, b) VALUES (:id, 1234) ON CONFLICT (id) DO UPDATE SET b = t.b + EXCLUDED.b | -/- | 234/1234 | 234/1234
# copies of whole rows: of 41 from before the fill and after it; who declares nothing has written both
new      | INSERT INTO :t (id, o, s, a, b) SELECT 9, o, s, a, b FROM public.exact_f WHERE id = 1     | 5/1005
new      | INSERT INTO :t (id, o, s, a, b) SELECT 9, o, s, 7, b FROM public.exact_f WHERE id = 1     | 7/1007 | 5/1005 | 27000
new      | INSERT INTO :t (id, o, s, a, b) SELECT 9, o, s, a, b FROM public.exact_u WHERE id = 1     | 5/1005 | -/- | 5/1005
new      | DO 'DECLARE r public.exact_f%ROWTYPE; BEGIN SELECT * INTO r FROM public.exact_f WHERE id = 1; r.id := 9; r.a := 7; INSERT INTO :t VALUES (r.*); END' | 7/1007 | 5/1005 | 27000
new      | INSERT INTO :t SELECT (jsonb_populate_record(t, jsonb_build_object('id', 9, chr(97), 7))).* FROM :t t WHERE id = 1 | 7/1007 | 5/1005 | 27000
new      | DO 'DECLARE r public.exact_f%ROWTYPE; BEGIN r.id := 9; r.a := 7; INSERT INTO :t VALUES (r.*); END' | 7/1007 | -/- | 7/1007
# in a trigger of another table
filled   | CREATE FUNCTION pg_temp.put() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE :t SET a = 7, b = 1234 WHERE id = :id; RETURN NULL; END'; CREATE TRIGGER x AFTER INSERT ON public.nested FOR EACH ROW EXECUTE FUNCTION pg_temp.put(); INSERT INTO public.nested VALUES ('') | 7/1007 | 234/1234 | 27000
unfilled | CREATE FUNCTION pg_temp.put() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE :t SET b = b + 1 WHERE id = :id; RETURN NULL; END'; CREATE TRIGGER x AFTER INSERT ON public.nested FOR EACH ROW EXECUTE FUNCTION pg_temp.put(); INSERT INTO public.nested VALUES ('') | 55T02
# COPY: fields are separated by commas here, lines by semicolons
new      | COPY :t (id, a) FROM STDIN (FORMAT csv)<<<9,7;                                    | 7/1007 | -/-      | 7/1007
new      | COPY :t (id, b) FROM STDIN (FORMAT csv)<<<9,1234;                                 | -/-    | 234/1234 | 234/1234
new      | COPY :t (id, a, b) FROM STDIN (FORMAT csv)<<<9,7,1007;10,8,;                      | 7/1007 8/1008 | 7/1007 -/- | 7/1007 8/1008
new      | COPY :t (id, a, b) FROM STDIN (FORMAT csv)<<<9,7,1234;                            | 7/1007 | 234/1234 | 27000
new      | COPY :t FROM STDIN (FORMAT csv)<<<9,0,0,7,;                                       | 7/1007 | -/-      | 7/1007
new      | COPY :t FROM STDIN (FORMAT csv)<<<9,0,0,,1234;                                    | -/-    | 234/1234 | 234/1234
TABLE
# what a writer has filled is filled
check_lines('exact', '41 42 none', <<'TABLE');
unfilled | UPDATE :t SET o = 1 WHERE id = :id; UPDATE :t SET b = b + 1 WHERE id = :id        | 5/1005 | 6/1006 | 6/1006
unfilled | UPDATE :t SET a = 7 WHERE id = :id; UPDATE :t SET a = a + 1 WHERE id = :id        | 8/1008 | 5/1005 | 8/1008
unfilled | UPDATE :t SET o = 1 WHERE id = :id; UPDATE :t SET b = NULL WHERE id = :id         | 5/1005 | -/-    | -/-
new      | INSERT INTO :t (id, a) VALUES (:id, 7); UPDATE :t SET b = b + 1 WHERE id = :id    | 7/1007 | -/-    | 8/1008
filled   | DO 'DECLARE c CURSOR FOR SELECT * FROM :t WHERE id = :id FOR UPDATE; BEGIN FOR r IN c LOOP UPDATE :t SET a = r.a + 2, b = 1234 WHERE CURRENT OF c; END LOOP; END' | 7/1007 | 234/1234 | 27000
TABLE
# a partition whose columns have other numbers
check_lines('parts', '41 42 none', <<'TABLE');
new      | INSERT                                  | 1/1001 | 77/1077  | 1/1001
new      | INSERT b = 1077                         | 1/1001 | 77/1077  | 77/1077
new      | INSERT a = DEFAULT, b = 1234            | 1/1001 | 234/1234 | 234/1234
new      | INSERT a = 7, b = DEFAULT               | 7/1007 | 77/1077  | 7/1007
new      | INSERT a = 7, b = 1234                  | 7/1007 | 234/1234 | 27000
filled   | SET a = 7, b = 1234                     | 7/1007 | 234/1234 | 27000
filled   | SET o = 1, s = 3, a = 5, b = NULL       | 5/1005 | -/-      | -/-
unfilled | SET b = b + 1                           | 55T02
unfilled | SET o = 1                               | 5/1005
unfilled | DO 'BEGIN UPDATE :t SET b = b + 1 WHERE id = :id; END' | 55T02
TABLE
# up and down are of the owner: the writer needs no right to call what they call
check_releases('private', <<'TABLE');
SET ROLE writer                                         | public.private_f    | filled   | SET a = 7        | 7/1007
SET ROLE writer                                         | public.private_f    | filled   | SET b = 1234     | 234/1234
SET ROLE writer                                         | public.private_u    | unfilled | SET o = 1        | 5/1005
SET ROLE writer                                         | public.private_f    | new      | INSERT a = 7     | 7/1007
SET ROLE writer; SET tandem.release = 42                | public.private_f    | new      | INSERT b = 1234  | 234/1234
TABLE
# the same words inside of functions, with defaults
check_lines('constant', '41 42 none', <<'TABLE');
new      | DO 'BEGIN INSERT INTO :t (id, a, b) VALUES (:id, DEFAULT, 1234); END'             | 1/1001 | 234/1234 | 234/1234
new      | DO 'BEGIN INSERT INTO :t (id, b) VALUES (:id, 1077); END'                         | 1/1001 | 77/1077  | 77/1077
new      | DO 'BEGIN INSERT INTO :t (id, b) VALUES (:id, DEFAULT); END'                      | 1/1001 | 77/1077  | 77/1077
new      | CREATE FUNCTION pg_temp.put() RETURNS void LANGUAGE sql AS 'INSERT INTO :t (id, b) VALUES (:id, 1077)'; SELECT pg_temp.put() | 1/1001 | 77/1077 | 77/1077
new      | WITH w AS (INSERT INTO :t (id, b) VALUES (:id, 1077) RETURNING id) SELECT count(*) FROM w | 1/1001 | 77/1077 | 77/1077
new      | MERGE INTO :t t USING (VALUES (:id)) v (k) ON t.id = v.k WHEN NOT MATCHED THEN INSERT (id, b) VALUES (v.k, 1077) | 1/1001 | 77/1077 | 77/1077
new      | MERGE INTO :t t USING (VALUES (:id)) v (k) ON t.id = v.k WHEN NOT MATCHED THEN INSERT (id, a, b) VALUES (v.k, DEFAULT, 1234) | 1/1001 | 234/1234 | 234/1234
new      | MERGE INTO :t t USING (VALUES (:id)) v (k) ON t.id = v.k WHEN NOT MATCHED THEN INSERT (id, a) VALUES (v.k, 7) | 7/1007 | 77/1077 | 7/1007
new      | INSERT INTO :t (id, b) VALUES (:id, 1077) ON CONFLICT DO NOTHING                  | 1/1001 | 77/1077  | 77/1077
new      | PREPARE p (int, int) AS INSERT INTO :t (id, a, b) VALUES ($1, DEFAULT, $2); EXECUTE p (9, 1234) | 1/1001 | 234/1234 | 234/1234
new      | PREPARE p (int, int) AS INSERT INTO :t (id, b) VALUES ($1, $2); EXECUTE p (9, 1077) | 1/1001 | 77/1077 | 77/1077
new      | COPY :t (id, a) FROM STDIN (FORMAT csv)<<<9,7;10,1;                                | 7/1007 1/1001 | 77/1077 77/1077 | 7/1007 1/1001
new      | COPY :t (id, a, b) FROM STDIN (FORMAT csv)<<<9,7,1077;10,1,1234;                   | 7/1007 1/1001 | 77/1077 234/1234 | 7/1007 234/1234
TABLE
check_lines('computed', '41 42 none', <<'TABLE');
new      | DO 'BEGIN INSERT INTO :t (id, a, b) VALUES (:id, 7, DEFAULT); END'                | 7/1007 | 77/1077  | 7/1007
new      | CREATE FUNCTION pg_temp.put() RETURNS void LANGUAGE sql AS 'INSERT INTO :t (id, a, b) VALUES (:id, DEFAULT, 1234)'; SELECT pg_temp.put() | 1/1001 | 234/1234 | 234/1234
new      | MERGE INTO :t t USING (VALUES (:id)) v (k) ON t.id = v.k WHEN NOT MATCHED THEN INSERT (id, a, b) VALUES (v.k, DEFAULT, 1234) | 1/1001 | 234/1234 | 234/1234
new      | PREPARE p (int, int) AS INSERT INTO :t (id, a, b) VALUES ($1, $2, DEFAULT); EXECUTE p (9, 7) | 7/1007 | 77/1077 | 7/1007
TABLE
check_lines('source', '41 42 none', <<'TABLE');
filled   | MERGE INTO :t t USING (VALUES (:id)) v (k) ON t.id = v.k WHEN MATCHED THEN UPDATE SET s = 4 | 5/504 | 5/503 | 5/504
filled   | INSERT INTO :t AS t (id) VALUES (:id) ON CONFLICT (id) DO UPDATE SET s = t.s + 1  | 5/504 | 5/503 | 5/504
filled   | DO 'BEGIN UPDATE :t SET s = 4 WHERE id = :id; END'                                | 5/504 | 5/503 | 5/504
TABLE

# Which release a writer is of: its setting, else the view that it writes through, else the first release_<n> in the
# session's search_path.
check_releases('exact', <<'TABLE');
SELECT                                                  | public.exact_f      | filled | SET a = 7, b = 1234 | 27000
SET tandem.release = 41                                 | public.exact_f      | filled | SET a = 7, b = 1234 | 7/1007
SET tandem.release = 42                                 | public.exact_f      | filled | SET a = 7, b = 1234 | 234/1234
SET LOCAL tandem.release = 42                           | public.exact_f      | filled | SET a = 7, b = 1234 | 234/1234
SET tandem.release = 40                                 | public.exact_f      | filled | SET a = 7, b = 1234 | 7/1007
SET tandem.release = 43                                 | public.exact_f      | filled | SET a = 7, b = 1234 | 234/1234
SET search_path = release_41, public                    | public.exact_f      | filled | SET a = 7, b = 1234 | 7/1007
SET search_path = public, release_42                    | public.exact_f      | filled | SET a = 7, b = 1234 | 234/1234
SET search_path = "release_42", public                  | exact_f             | filled | SET b = 1234        | 234/1234
SET search_path = release_41, release_42, public        | public.exact_f      | filled | SET a = 7, b = 1234 | 7/1007
SET search_path = release_42, release_41, public        | public.exact_f      | filled | SET a = 7, b = 1234 | 234/1234
SET search_path = public                                | public.exact_f      | filled | SET a = 7, b = 1234 | 27000
SET search_path = ''                                    | public.exact_f      | filled | SET a = 7, b = 1234 | 27000
SET search_path = release_x, my_release_41, public      | public.exact_f      | filled | SET a = 7, b = 1234 | 27000
SET tandem.release = 41; SET search_path = release_42, public | public.exact_f | filled | SET a = 7, b = 1234 | 7/1007
SET tandem.release = 42; SET search_path = release_41, public | public.exact_f | filled | SET a = 7, b = 1234 | 234/1234
# (reading) 0 is the setting of who has declared nothing
SET tandem.release = 0; SET search_path = release_41, public | public.exact_f | filled | SET a = 7, b = 1234 | 7/1007
# the setting is above the view, and the view above the path
SET tandem.release = 42                                 | release_41.exact_f  | filled | SET a = 7           | 5/1005
SET tandem.release = 41                                 | release_42.exact_f  | filled | SET b = 1234        | 5/1005
SET search_path = release_41, public                    | release_42.exact_f  | filled | SET b = 1234        | 234/1234
SET search_path = release_42, public                    | release_41.exact_f  | filled | SET a = 7           | 7/1007
# what a function sets for itself is not the session's
SELECT                                                  | public.exact_f      | filled | CREATE FUNCTION pg_temp.put() RETURNS void LANGUAGE sql SET search_path = release_42, public AS 'UPDATE :t SET a = 7, b = 1234 WHERE id = :id'; SELECT pg_temp.put() | 27000
SET search_path = release_41, public                    | public.exact_f      | filled | CREATE FUNCTION pg_temp.put() RETURNS void LANGUAGE sql SET search_path = release_42, public AS 'UPDATE :t SET a = 7, b = 1234 WHERE id = :id'; SELECT pg_temp.put() | 7/1007
SET search_path = release_42, public                    | public.exact_f      | filled | CREATE FUNCTION pg_temp.put() RETURNS void LANGUAGE plpgsql SET search_path = '' AS 'BEGIN UPDATE :t SET a = 7, b = 1234 WHERE id = :id; END'; SELECT pg_temp.put() | 234/1234
SET search_path = release_42, public                    | public.exact_f      | filled | CREATE FUNCTION pg_temp.put() RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN UPDATE :t SET a = 7, b = 1234 WHERE id = :id; END'; SELECT pg_temp.put() | 234/1234
TABLE
check_releases('constant', <<'TABLE');
SELECT                                                  | public.constant_f   | new    | INSERT                                     | 1/1001
SELECT                                                  | release_42.constant_f | new  | INSERT                                     | 77/1077
SELECT                                                  | release_42.constant_f | new  | DO 'BEGIN INSERT INTO :t (id) VALUES (:id); END' | 77/1077
SET search_path = release_42, public                    | constant_f          | new    | INSERT                                     | 77/1077
SET search_path = release_41, public                    | release_42.constant_f | new  | INSERT                                     | 77/1077
# one statement through two views
SELECT                                                  | constant_f          | new    | WITH w AS (INSERT INTO release_42.:t (id) VALUES (9) RETURNING id) INSERT INTO release_41.:t (id) VALUES (10) | 77/1077 1/1001
SELECT                                                  | constant_f          | new    | WITH w AS (INSERT INTO release_42.:t (id) VALUES (9) RETURNING id) INSERT INTO public.:t (id) VALUES (10) | 77/1077 1/1001
# reading through a view says nothing
SELECT                                                  | public.constant_f   | new    | INSERT INTO :t (id) SELECT 9 FROM release_42.constant_f LIMIT 1 | 1/1001
# (reading) views of one's own over those of a release, and over the table
CREATE VIEW public.mine AS SELECT * FROM release_42.constant_f | public.mine  | new    | INSERT                                     | 77/1077
CREATE VIEW public.mine AS SELECT * FROM public.constant_f     | public.mine  | new    | INSERT                                     | 1/1001
TABLE

# What object-relational mappers send, with parameters.  A model of N-1 knows id, o, s and a, one of N id, o, s and b;
# one that reads the columns from the table knows all of them.  a has the default 1, b 1077.
check_lines('constant', '41 42 none', <<'TABLE');
# ActiveRecord, booted before expand; without partial_inserts it names all columns, with what it takes for the default
new      | INSERT INTO :t ("id", "o", "s", "a") VALUES ($1, $2, $3, $4) RETURNING "id" <- 9, NULL, NULL, 7      | 7/1007 | 77/1077 | 7/1007
new      | INSERT INTO :t ("id", "o", "s", "a") VALUES ($1, $2, $3, $4) RETURNING "id" <- 9, NULL, NULL, 1      | 1/1001 | 77/1077 | 1/1001
# ActiveRecord, booted after it
new      | INSERT INTO :t ("id", "o", "s", "a", "b") VALUES ($1, $2, $3, $4, $5) RETURNING "id" <- 9, NULL, NULL, 7, 1077 | 7/1007 | 77/1077 | 7/1007
new      | INSERT INTO :t ("id", "o", "s", "a", "b") VALUES ($1, $2, $3, $4, $5) RETURNING "id" <- 9, NULL, NULL, 1, 1234 | 1/1001 | 234/1234 | 234/1234
new      | INSERT INTO :t ("id", "o", "s", "a", "b") VALUES ($1, $2, $3, $4, $5) RETURNING "id" <- 9, NULL, NULL, 1, 1077 | 1/1001 | 77/1077 | 1/1001
# with partial_inserts
new      | INSERT INTO :t ("id", "a") VALUES ($1, $2) RETURNING "id" <- 9, 7                                    | 7/1007 | 77/1077 | 7/1007
new      | INSERT INTO :t ("id", "b") VALUES ($1, $2) RETURNING "id" <- 9, 1234                                 | 1/1001 | 234/1234 | 234/1234
new      | INSERT INTO :t ("id", "b") VALUES ($1, $2) RETURNING "id" <- 9, 1077                                 | 1/1001 | 77/1077 | 77/1077
# upsert_all, insert_all
new      | INSERT INTO :t ("id","a") VALUES (9, 7), (10, 1) ON CONFLICT ("id") DO UPDATE SET "a"=excluded."a" RETURNING "id" | 7/1007 1/1001 | 77/1077 77/1077 | 7/1007 1/1001
# Django: Model.objects.create, bulk_create
new      | INSERT INTO :t ("id", "o", "s", "a") VALUES (9, NULL, NULL, 7) RETURNING :t."id"                     | 7/1007 | 77/1077 | 7/1007
new      | INSERT INTO :t ("id", "o", "s", "b") VALUES (9, NULL, NULL, 1234), (10, NULL, NULL, 1077)            | 1/1001 1/1001 | 234/1234 77/1077 | 234/1234 77/1077
# db_default
new      | INSERT INTO :t ("id", "o", "s", "b") VALUES ($1, $2, $3, DEFAULT) RETURNING "id" <- 9, NULL, NULL    | 1/1001 | 77/1077 | 77/1077
# SQLAlchemy: the session's INSERT, and several rows
new      | INSERT INTO :t (id, o, s, a) VALUES ($1::INTEGER, $2::INTEGER, $3::INTEGER, $4::INTEGER) <- 9, NULL, NULL, 7 | 7/1007 | 77/1077 | 7/1007
new      | INSERT INTO :t (id, b) SELECT p0::INTEGER, p1::INTEGER FROM (VALUES ($1, $2, 0), ($3, $4, 1)) AS imp_sen(p0, p1, sen_counter) ORDER BY sen_counter RETURNING :t.id <- 9, 1234, 10, 1077 | 1/1001 1/1001 | 234/1234 77/1077 | 234/1234 77/1077
# Hibernate: all columns; NULL for what is not set
new      | insert into :t (a,o,s,id) values ($1,$2,$3,$4) <- 7, NULL, NULL, 9                                   | 7/1007 | 77/1077 | 7/1007
new      | insert into :t (b,o,s,id) values ($1,$2,$3,$4) <- 1234, NULL, NULL, 9                                | 1/1001 | 234/1234 | 234/1234
new      | insert into :t (b,o,s,id) values ($1,$2,$3,$4) <- NULL, NULL, NULL, 9                                | 1/1001 | -/- | -/-
# an entity with both columns, and only one of them set; with defaults a NULL is a value
new      | insert into :t (a,b,o,s,id) values ($1,$2,$3,$4,$5) <- 7, NULL, NULL, NULL, 9                        | 7/1007 | -/- | 27000
# @DynamicInsert
new      | insert into :t (b,id) values ($1,$2) <- 1234, 9                                                      | 1/1001 | 234/1234 | 234/1234
# EF Core: what the database generates is left out and read back
new      | INSERT INTO :t (id, a) VALUES ($1, $2) RETURNING o, s <- 9, 7                                        | 7/1007 | 77/1077 | 7/1007
# TypeORM: the keyword for everything that is not set
new      | INSERT INTO :t("id", "o", "s", "a", "b") VALUES ($1, DEFAULT, DEFAULT, $2, DEFAULT) RETURNING "o", "s" <- 9, 7 | 7/1007 | 77/1077 | 7/1007
new      | INSERT INTO :t("id", "o", "s", "a", "b") VALUES ($1, DEFAULT, DEFAULT, DEFAULT, $2) RETURNING "o", "s" <- 9, 1234 | 1/1001 | 234/1234 | 234/1234
# Prisma, Sequelize, GORM
new      | INSERT INTO :t ("id","b") VALUES ($1,$2) RETURNING "id", "b" <- 9, 1234                              | 1/1001 | 234/1234 | 234/1234
new      | INSERT INTO :t ("id","a") VALUES ($1,$2),($3,$4) ON CONFLICT ("id") DO UPDATE SET "a"=EXCLUDED."a" RETURNING "id" <- 9, 7, 10, 1 | 7/1007 1/1001 | 77/1077 77/1077 | 7/1007 1/1001
TABLE
check_lines('exact', '41 42 none', <<'TABLE');
# without defaults an entity with both columns needs to set one of them only (Hibernate, GORM, ActiveRecord, SQLAlchemy)
new      | insert into :t (a,b,o,s,id) values ($1,$2,$3,$4,$5) <- 7, NULL, NULL, NULL, 9                        | 7/1007 | -/- | 7/1007
new      | insert into :t (a,b,o,s,id) values ($1,$2,$3,$4,$5) <- NULL, 1234, NULL, NULL, 9                     | -/- | 234/1234 | 234/1234
# ActiveRecord, update and save of what has changed; Django save(update_fields); SQLAlchemy; @DynamicUpdate; EF Core
filled   | UPDATE :t SET "a" = $1 WHERE "id" = $2 <- 7, 1                                                       | 7/1007 | 5/1005 | 7/1007
filled   | UPDATE :t SET "b" = $1 WHERE "id" = $2 <- 1234, 1                                                    | 5/1005 | 234/1234 | 234/1234
filled   | UPDATE :t SET "o" = $1 WHERE "id" = $2 <- 1, 1                                                       | 5/1005
unfilled | UPDATE :t SET "a" = $1 WHERE "id" = $2 <- 7, 1                                                       | 7/1007 | 5/1005 | 7/1007
unfilled | UPDATE :t SET "o" = $1 WHERE "id" = $2 <- 1, 1                                                       | 5/1005
# ActiveRecord without partial_updates, booted after expand: o alone has changed, b was read before the fill and after
filled   | UPDATE :t SET "o" = $1, "s" = $2, "a" = $3, "b" = $4 WHERE "id" = $5 <- 1, 3, 5, NULL, 1             | 5/1005 | -/- | -/-
filled   | UPDATE :t SET "o" = $1, "s" = $2, "a" = $3, "b" = $4 WHERE "id" = $5 <- 1, 3, 5, 1005, 1             | 5/1005
filled   | UPDATE :t SET "o" = $1, "s" = $2, "a" = $3, "b" = $4 WHERE "id" = $5 <- 1, 3, 7, NULL, 1             | 7/1007 | -/- | 27000
unfilled | UPDATE :t SET "o" = $1, "s" = $2, "a" = $3, "b" = $4 WHERE "id" = $5 <- 1, 3, 5, NULL, 1             | 5/1005
unfilled | UPDATE :t SET "o" = $1, "s" = $2, "a" = $3, "b" = $4 WHERE "id" = $5 <- 1, 3, 7, NULL, 1             | 7/1007 | 5/1005 | 7/1007
# Django save(), Hibernate and GORM's Save: all columns of the model, of N-1 and of N; that of N was read before the fill
filled   | UPDATE :t SET "o" = 1, "s" = 3, "a" = 5 WHERE :t."id" = 1                                            | 5/1005
filled   | UPDATE :t SET "o" = 1, "s" = 3, "a" = 7 WHERE :t."id" = 1                                            | 7/1007 | 5/1005 | 7/1007
filled   | UPDATE :t SET "o" = 1, "s" = 3, "b" = 1005 WHERE :t."id" = 1                                         | 5/1005
filled   | UPDATE :t SET "o" = 1, "s" = 3, "b" = NULL WHERE :t."id" = 1                                         | 5/1005 | -/- | -/-
filled   | update :t set b=$1,o=$2,s=$3 where id=$4 <- 1234, 1, 3, 1                                            | 5/1005 | 234/1234 | 234/1234
unfilled | update :t set b=$1,o=$2,s=$3 where id=$4 <- NULL, 1, 3, 1                                            | 5/1005
unfilled | update :t set a=$1,o=$2,s=$3 where id=$4 <- 5, 1, 3, 1                                               | 5/1005
# increments: ActiveRecord's increment!, Django's F(), Prisma's increment, EF Core's ExecuteUpdate
unfilled | UPDATE :t SET "b" = COALESCE("b", 0) + $1 WHERE "id" = $2 <- 1, 1                                    | 55T02
unfilled | UPDATE :t SET "b" = (:t."b" + 1) WHERE :t."id" = 1                                                   | 55T02
unfilled | UPDATE :t SET "b" = ("b" + $1) WHERE ("id" = $2 AND 1=1) <- 1, 1                                     | 55T02
unfilled | UPDATE :t AS t0 SET b = t0.b + 1 WHERE t0.id = $1 <- 1                                               | 55T02
filled   | UPDATE :t SET "b" = COALESCE("b", 0) + $1 WHERE "id" = $2 <- 1, 1                                    | 5/1005 | 6/1006 | 6/1006
unfilled | UPDATE :t SET "a" = COALESCE("a", 0) + $1 WHERE "id" = $2 <- 1, 1                                    | 6/1006 | 5/1005 | 6/1006
TABLE
check_lines('lossy', '41 42 none', <<'TABLE');
own      | UPDATE :t SET "o" = $1, "s" = $2, "a" = $3 WHERE "id" = $4 <- 1, 3, 19, 2                            | 19/1999
own      | UPDATE :t SET "o" = $1, "s" = $2, "a" = $3, "b" = $4 WHERE "id" = $5 <- 1, 3, 19, 1900, 2            | 19/1999 | 19/1900 | 19/1900
TABLE
check_lines('source', '41 42 none', <<'TABLE');
filled   | UPDATE :t SET "s" = $1 WHERE "id" = $2 <- 4, 1                                                       | 5/504 | 5/503 | 5/504
filled   | UPDATE :t SET "o" = $1, "s" = $2, "a" = $3 WHERE "id" = $4 <- 0, 4, 5, 1                             | 5/504 | 5/503 | 5/504
filled   | UPDATE :t SET "o" = $1, "s" = $2, "b" = $3 WHERE "id" = $4 <- 0, 4, 503, 1                           | 5/504 | 5/503 | 5/504
TABLE

# What logical replication applies: rows of a publisher that has one side of a table, or both.  No statement is
# there: on INSERT a column is given or absent, by its value.
my @applied = (
	[ 'exact_f', 'UPDATE :t SET a = 7 WHERE id = 1', 1, '7/1007' ],
	[ 'exact_f', 'UPDATE :t SET o = 1 WHERE id = 3', 3, '-/-' ],
	[ 'exact_f', 'INSERT INTO :t VALUES (20, 0, 0, 8)', 20, '8/1008' ],
	[ 'exact_u', 'UPDATE :t SET o = 1 WHERE id = 1', 1, '5/1005' ],
	[ 'exact_u', 'UPDATE :t SET a = 8 WHERE id = 3', 3, '8/1008' ],
	[ 'constant_f', 'INSERT INTO :t VALUES (20, 0, 0, 1234)', 20, '234/1234' ],
	[ 'constant_f', 'INSERT INTO :t VALUES (21, 0, 0, 1077)', 21, '1/1001' ],
	[ 'constant_f', 'UPDATE :t SET b = 1234 WHERE id = 1', 1, '234/1234' ],
	[ 'lossy_f', 'INSERT INTO :t VALUES (20, 0, 0, 19, 1950)', 20, '19/1950' ],
	[ 'lossy_f', 'UPDATE :t SET b = 1955 WHERE id = 2', 2, '19/1955' ],
	[ 'lossy_f', 'UPDATE :t SET a = 20, b = 2000 WHERE id = 1', 1, '20/2000' ],
	[ 'source_f', 'UPDATE :t SET s = 4 WHERE id = 1', 1, '5/504' ],
	[ 'source_f', 'UPDATE :t SET s = 4 WHERE id = 2', 2, '5/550' ]);
$node->safe_psql('postgres', 'CREATE DATABASE publisher');
$node->safe_psql('publisher', <<'SQL');
CREATE TABLE exact_f (id int PRIMARY KEY, o int, s int, a int);
CREATE TABLE exact_u (id int PRIMARY KEY, o int, s int, a int);
CREATE TABLE constant_f (id int PRIMARY KEY, o int, s int, b int);
CREATE TABLE lossy_f (id int PRIMARY KEY, o int, s int, a int, b int);
CREATE TABLE source_f (id int PRIMARY KEY, o int, s int, a int);
CREATE TABLE nested (what text);
INSERT INTO exact_f VALUES (1, 0, 3, 5), (3, 0, 3, NULL);
INSERT INTO exact_u VALUES (1, 0, 3, 5), (3, 0, 3, NULL);
INSERT INTO constant_f VALUES (1, 0, 3, 1005);
INSERT INTO lossy_f VALUES (1, 0, 3, 5, 500), (2, 0, 3, 19, 1999);
INSERT INTO source_f VALUES (1, 0, 3, 5), (2, 0, 3, 5);
CREATE PUBLICATION written FOR ALL TABLES;
SQL
# the database says a release to its sessions, not to what is applied
$node->safe_psql('postgres', 'ALTER DATABASE postgres SET tandem.release = 41');
$node->safe_psql('publisher', q(SELECT pg_create_logical_replication_slot('written', 'pgoutput')));
$node->safe_psql('postgres', q(CREATE SUBSCRIPTION written CONNECTION ') . $node->connstr('publisher') =~ s/'//gr
	  . q(' PUBLICATION written WITH (create_slot = false, slot_name = 'written', copy_data = false)));
$node->safe_psql('publisher', ($_->[1] =~ s/:t/$_->[0]/r)) foreach @applied;
$node->safe_psql('publisher', "INSERT INTO nested VALUES ('end')");
wait_for_running($node, 'SELECT count(*) = 1 FROM nested');
foreach my $line (@applied)
{
	my ($table, $statement, $id, $expected) = @$line;
	my $got = $node->safe_psql('postgres', "SELECT concat_ws('/', coalesce(a::text, '-'), coalesce(b::text, '-')) FROM $table WHERE id = $id");

	is($got, $expected, "applied: $statement ($table)");
	note(sprintf '%-10s %-10s %-56s %s', 'applied', $table, $statement, $got);
}
$node->safe_psql('postgres', 'ALTER SUBSCRIPTION written DISABLE; ALTER SUBSCRIPTION written SET (slot_name = NONE); DROP SUBSCRIPTION written');

$node->stop;
done_testing();
