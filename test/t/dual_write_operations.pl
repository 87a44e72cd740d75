# The dual-write rule, as in dual_write_table.pl, of columns that an operation renames, changes, adds or drops: who
# writes what to which row, and what is in both shapes then.  The values are written by hand from the design.
#
# Of a column that changes, a is the one of 41 and b the one of 42: a__42 in the table, and a in the views of 42.

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

$admin->query(q(CREATE FUNCTION public.d(value int) RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN value; END'));

sub change
{
	my ($up, $down, $more) = @_;

	return "SELECT tandem.change_column(':m', ':t', 'a', 'bigint', " . ($up ? "up => '$up', " : '') . ($down ? "down => '$down', " : '') . ($more ? "$more, " : '')
	  . 'bare_table => true)';
}

my @changed = (stored => { b => 'a__42' }, view => { b => 'a' }, unsaid => qr/\ba\b/);
my @exact = ('a + 1000', '(a - 1000)::int');
make_fixture('changed', @changed, rule => change(@exact));
make_fixture('changed_c', @changed, a => 'DEFAULT 1', rule => change(@exact));
make_fixture('changed_g', @changed, a => 'DEFAULT 1', rule => change(@exact, q(default_value => '1077')));
make_fixture('changed_n', @changed, a => 'DEFAULT 1', rule => change(@exact, q(default_value => 'NULL')));
make_fixture('alike', @changed, rule => change());
make_fixture('changed_l', @changed, rule => change('a * 100', '(a / 100)::int'), own => 'INSERT INTO :t (id, o, s, a, a__42) VALUES (2, 0, 3, 19, 1999)');
make_fixture('changed_1', @changed, rule => change('a * 100', undef, 'one_way => true'),
	own => 'INSERT INTO :t (id, o, s, a) VALUES (2, 0, 3, 19); UPDATE :t SET a__42 = 1999 WHERE id = 2');
make_fixture('changed_s', @changed, rule => change('a * 100 + coalesce(s, 0)', '(a / 100)::int'), own => 'INSERT INTO :t (id, o, s, a__42) VALUES (2, 0, 3, 550)');
make_fixture('new_wins', @changed, rule => change(@exact, q(on_conflict => 'new')));
make_fixture('old_wins', @changed, rule => change(@exact, q(on_conflict => 'old')));
make_fixture('fails', @changed, row => '0, 3, 0', rule => change('100 / a', '(100 / a)::int', q(on_error => 'quarantine')),
	own => 'INSERT INTO :t (id, o, s, a) VALUES (2, 0, 3, 4)');

# a column that has another name, alone, and read by what is added or dropped; one that takes the name of what goes
my $a_and_s = q(concat_ws('/', coalesce(a::text, '-'), coalesce(s::text, '-')));
my @dropped = (show => $a_and_s, row => '0, 3, 300', own => 'INSERT INTO :t (id, o, s, a) VALUES (2, 0, 3, 777)');
make_fixture('renamed', derived => 1, show => $a_and_s, view => { a => 'c' }, rule => q(SELECT tandem.rename_column(':m', ':t', 'a', 'c')));
make_fixture('renamed_d', derived => 1, view => { a => 'c' }, own => 'INSERT INTO :t (id, o, s, a, b) VALUES (2, 0, 3, 5, 777)', rule => <<'SQL');
SELECT tandem.rename_column(':m', ':t', 'a', 'c');
SELECT tandem.add_column(':m', ':t', 'b', 'int', up => 'a * 100');
SQL
make_fixture('renamed_s', @dropped, view => { s => 'k' }, rule => <<'SQL');
SELECT tandem.rename_column(':m', ':t', 's', 'k');
SELECT tandem.drop_column(':m', ':t', 'a', 'k * 100');
SQL
make_fixture('taken', @dropped, view => { s => 'a' }, unsaid => qr/\ba\b/, rule => <<'SQL');
SELECT tandem.drop_column(':m', ':t', 'a', 's * 100');
SELECT tandem.rename_column(':m', ':t', 's', 'a');
SQL
# all at once: a changes, s is read by both a column that is added and one that goes, and has another name
make_fixture('all', @changed, old => qr/\bo\b/, new => qr/\b[be]\b/, view => { b => 'a', s => 'k' }, show => q(concat_ws('/', coalesce(a::text, '-'), coalesce(b::text, '-'), coalesce(e::text, '-'), coalesce(o::text, '-'))),
	row => '30, 3, 5', own => 'INSERT INTO :t (id, o, s, a, e) VALUES (2, 7, 3, 19, 77)', rule => <<'SQL');
SELECT tandem.change_column(':m', ':t', 'a', 'bigint', up => 'a + 1000', down => '(a - 1000)::int', bare_table => true);
SELECT tandem.add_column(':m', ':t', 'e', 'int', up => 'a * 100 + s');
SELECT tandem.rename_column(':m', ':t', 's', 'k');
SELECT tandem.drop_column(':m', ':t', 'o', 'k * 10');
SQL
make_views();

# A column that changes is a sync of two columns, whatever its names.
foreach my $name ('changed', 'changed_c')
{
	check_lines($name, '41 42 none', <<'TABLE');
filled   | SET o = 1                               | 5/1005
filled   | SET a = 7                               | 7/1007 | 5/1005   | 7/1007
filled   | SET a = NULL                            | -/-    | 5/1005   | -/-
filled   | SET b = 1234                            | 5/1005 | 234/1234 | 234/1234
filled   | SET b = NULL                            | 5/1005 | -/-      | -/-
filled   | SET a = 7, b = 1007                     | 7/1007
filled   | SET a = 7, b = 1234                     | 7/1007 | 234/1234 | 27000
# the whole row of either release
filled   | SET o = 1, s = 3, a = 5                 | 5/1005
filled   | SET o = 1, s = 3, b = 1005              | 5/1005
filled   | SET o = 1, s = 3, b = 1234              | 5/1005 | 234/1234 | 234/1234
filled   | SET b = b + 1                           | 5/1005 | 6/1006   | 6/1006
filled   | SET a = a + 1                           | 6/1006 | 5/1005   | 6/1006
own      | SET o = 1                               | 19/1019
own      | SET b = NULL                            | 19/1019 | -/-     | -/-
null     | SET a = 7                               | 7/1007 | -/-      | 7/1007
null     | SET b = 1234                            | -/-    | 234/1234 | 234/1234
unfilled | SET o = 1                               | 5/1005
unfilled | SET a = 7                               | 7/1007 | 5/1005   | 7/1007
unfilled | SET b = 1234                            | 5/1005 | 234/1234 | 234/1234
unfilled | SET b = b + 1                           | 55T02
unfilled | SET a = 7, b = 1234                     | 7/1007 | 234/1234 | 27000
null_u   | SET o = 1                               | -/-
own_u    | SET b = b + 1                           | 19/1019 | 20/1020 | 20/1020
TABLE
}
check_lines('changed', '41 42 none', <<'TABLE');
new      | INSERT                                  | -/-
new      | INSERT a = 7                            | 7/1007 | -/-      | 7/1007
new      | INSERT b = 1234                         | -/-    | 234/1234 | 234/1234
new      | INSERT a = 7, b = 1007                  | 7/1007
new      | INSERT a = 7, b = 1234                  | 7/1007 | 234/1234 | 27000
new      | INSERT a = NULL, b = 1234               | -/-    | 234/1234 | 234/1234
new      | INSERT b = NULL                         | -/-
filled   | INSERT INTO :t (id, b) VALUES (:id, 1234) ON CONFLICT (id) DO UPDATE SET b = EXCLUDED.b | 5/1005 | 234/1234 | 234/1234
filled   | INSERT INTO :t (id, a) VALUES (:id, 7) ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a | 7/1007 | 5/1005 | 7/1007
filled   | UPDATE :t SET (b, o) = (1234, 1) WHERE id = :id | 5/1005 | 234/1234 | 234/1234
filled   | DO 'BEGIN UPDATE :t SET b = b + 1 WHERE id = :id; END' | 5/1005 | 6/1006 | 6/1006
unfilled | DO 'BEGIN UPDATE :t SET b = b + 1 WHERE id = :id; END' | 55T02
TABLE
# the default of b is what up gives of that of a
check_lines('changed_c', '41 42 none', <<'TABLE');
new      | INSERT                                  | 1/1001
new      | INSERT a = 7                            | 7/1007 | 1/1001   | 7/1007
new      | INSERT a = DEFAULT                      | 1/1001
new      | INSERT a = NULL                         | -/-    | 1/1001   | -/-
new      | INSERT b = 1234                         | 1/1001 | 234/1234 | 234/1234
new      | INSERT b = 1001                         | 1/1001
new      | INSERT b = DEFAULT                      | 1/1001
new      | INSERT b = NULL                         | 1/1001 | -/-      | -/-
new      | INSERT a = 7, b = 1001                  | 7/1007 | 1/1001   | 7/1007
new      | INSERT a = 7, b = DEFAULT               | 7/1007 | 1/1001   | 7/1007
new      | INSERT a = 1, b = 1234                  | 1/1001 | 234/1234 | 234/1234
new      | INSERT a = DEFAULT, b = 1234            | 1/1001 | 234/1234 | 234/1234
TABLE
# or another one; or none
check_lines('changed_g', '41 42 none', <<'TABLE');
new      | INSERT                                  | 1/1001 | 77/1077  | 1/1001
new      | INSERT a = 7                            | 7/1007 | 77/1077  | 7/1007
new      | INSERT b = DEFAULT                      | 1/1001 | 77/1077  | 77/1077
new      | INSERT b = 1077                         | 1/1001 | 77/1077  | 77/1077
new      | INSERT b = NULL                         | 1/1001 | -/-      | -/-
filled   | SET a = 7                               | 7/1007 | 5/1005   | 7/1007
unfilled | SET o = 1                               | 5/1005
TABLE
check_lines('changed_n', '41 42 none', <<'TABLE');
new      | INSERT                                  | 1/1001 | -/-      | 1/1001
new      | INSERT b = 1234                         | 1/1001 | 234/1234 | 234/1234
new      | INSERT b = NULL                         | 1/1001 | -/-      | -/-
new      | INSERT a = 7, b = NULL                  | 7/1007 | -/-      | 7/1007
filled   | SET b = NULL                            | 5/1005 | -/-      | -/-
TABLE
check_lines('alike', '41 42 none', <<'TABLE');
filled   | SET a = 7                               | 7/7   | 5/5       | 7/7
filled   | SET b = 7                               | 5/5   | 7/7       | 7/7
filled   | SET b = 3000000000                      | 5/5   | 22003     | 22003
filled   | SET a = 7, b = 7                        | 7/7
filled   | SET a = 7, b = 8                        | 7/7   | 8/8       | 27000
unfilled | SET o = 1                               | 5/5
unfilled | SET a = 7                               | 7/7   | 5/5       | 7/7
new      | INSERT a = 7                            | 7/7   | -/-       | 7/7
new      | INSERT b = 7                            | -/-   | 7/7       | 7/7
TABLE
check_lines('changed_l', '41 42 none', <<'TABLE');
own      | SET o = 1                               | 19/1999
own      | SET a = 19                              | 19/1999
own      | SET a = 20                              | 20/2000 | 19/1999 | 20/2000
own      | SET b = 1950                            | 19/1999 | 19/1950 | 19/1950
own      | SET o = 1, s = 3, b = 1999              | 19/1999
own      | SET o = 1, s = 3, a = 19                | 19/1999
own_u    | SET o = 1                               | 19/1999
unfilled | SET b = 550                             | 5/500   | 5/550   | 5/550
new      | INSERT b = 1999                         | -/-     | 19/1999 | 19/1999
TABLE
check_lines('changed_1', '41 42 none', <<'TABLE');
filled   | SET a = 7                               | 7/700   | 5/500   | 7/700
filled   | SET b = 777                             | 5/500   | 5/777   | 5/777
filled   | SET a = 7, b = 777                      | 7/700   | 5/777   | 27000
own      | SET o = 1                               | 19/1999
unfilled | SET o = 1                               | 5/500
unfilled | SET b = 777                             | 5/500   | 5/777   | 5/777
new      | INSERT b = 777                          | -/-     | -/777   | -/777
TABLE
check_lines('changed_s', '41 42 none', <<'TABLE');
filled   | SET s = 4                               | 5/504  | 5/503  | 5/504
filled   | SET s = 4, b = 999                      | 5/504  | 9/999  | 9/999
filled   | SET s = 4, a = 7                        | 7/704  | 5/503  | 7/704
own      | SET s = 4                               | 5/550
unfilled | SET s = 4                               | 5/504
new      | INSERT a = 7, s = 4                     | 7/704  | -/-    | 7/704
new      | INSERT b = 999, s = 4                   | -/-    | 9/999  | 9/999
TABLE
check_lines('new_wins', '41 42 none', <<'TABLE');
filled   | SET a = 7, b = 1234                     | 7/1007 | 234/1234 | 234/1234
new      | INSERT a = 7, b = 1234                  | 7/1007 | 234/1234 | 234/1234
TABLE
check_lines('old_wins', '41 42 none', <<'TABLE');
filled   | SET a = 7, b = 1234                     | 7/1007 | 234/1234 | 7/1007
new      | INSERT a = 7, b = 1234                  | 7/1007 | 234/1234 | 7/1007
TABLE
# up raises of a = 0, and the row waits in quarantine; where down raises, the write of 42 fails
check_lines('fails', '41 42 none', <<'TABLE');
filled   | SET o = 1                               | 0/-
filled   | SET a = 4                               | 4/25   | 0/-    | 4/25
filled   | SET b = 50                              | 0/-    | 2/50   | 2/50
own      | SET a = 0                               | 0/-    | 4/25   | 0/-
own      | SET b = 50                              | 4/25   | 2/50   | 2/50
new      | INSERT a = 0                            | 0/-    | -/-    | 0/-
TABLE

# A column of another name is the same one to all.
check_lines('renamed', '41 42 none', <<'TABLE');
filled   | SET o = 1                               | 5/3
filled   | SET a = 7                               | 7/3
filled   | SET a = NULL                            | -/3
filled   | SET a = a + 1                           | 6/3
filled   | UPDATE :t SET (a, s) = (7, 8) WHERE id = :id | 7/8
unfilled | SET a = 7                               | 7/3
unfilled | SET a = a + 1                           | 6/3
new      | INSERT a = 7                            | 7/-
new      | INSERT a = DEFAULT                      | -/-
filled   | INSERT INTO :t (id, a) VALUES (:id, 7) ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a | 7/3
TABLE
check_releases('renamed', <<'TABLE');
SELECT                                                  | release_41.renamed_f | filled | SET c = 7 | 42703
SELECT                                                  | public.renamed_f     | filled | SET c = 7 | 42703
SET tandem.release = 42                                 | public.renamed_f     | filled | SET c = 7 | 42703
SET tandem.release = 42                                 | public.renamed_f     | filled | SET a = 7 | 7/3
SET tandem.release = 41                                 | release_42.renamed_f | filled | SET a = 7 | 7/3
TABLE
check_lines('renamed_d', '41 42 none', <<'TABLE');
filled   | SET a = 7                               | 7/700  | 7/500  | 7/700
filled   | SET b = 777                             | 5/500  | 5/777  | 5/777
filled   | SET a = 7, b = 777                      | 7/700  | 7/777  | 7/777
own      | SET a = 7                               | 7/777
unfilled | SET a = 7                               | 7/700
unfilled | SET b = b + 1                           | 55T02
new      | INSERT a = 7                            | 7/700  | 7/-    | 7/700
new      | INSERT a = 7, b = 777                   | 7/700  | 7/777  | 7/777
TABLE
check_lines('renamed_s', '41 42 none', <<'TABLE');
filled   | SET s = 4                               | 300/4  | 400/4  | 400/4
filled   | SET s = NULL                            | 300/-  | -/-    | -/-
filled   | SET a = 7                               | 7/3    | 300/3  | 7/3
own      | SET s = 4                               | 777/4
new      | INSERT s = 4                            | -/4    | 400/4  | 400/4
new      | INSERT s = 4, a = 7                     | 7/4    | 400/4  | 7/4
# nothing is filled, so it is the same before migrate
unfilled | SET s = 4                               | 300/4  | 400/4  | 400/4
unfilled | SET a = 7                               | 7/3    | 300/3  | 7/3
own_u    | SET s = 4                               | 777/4
null_u   | SET s = 4                               | -/4
TABLE
check_lines('taken', '41 42 none', <<'TABLE');
filled   | SET s = 4                               | 300/4  | 400/4  | 400/4
filled   | SET a = 7                               | 7/3    | 300/3  | 7/3
own      | SET s = 4                               | 777/4
new      | INSERT s = 4                            | -/4    | 400/4  | 400/4
unfilled | SET s = 4                               | 300/4  | 400/4  | 400/4
TABLE
# e is a * 100 + s, o is s * 10: who changes a by b changes e, too, but for 42
check_lines('all', '41 42 none', <<'TABLE');
filled   | SET a = 7                               | 7/1007/703/30   | 5/1005/503/30   | 7/1007/703/30
filled   | SET b = 1009                            | 5/1005/503/30   | 9/1009/503/30   | 9/1009/903/30
filled   | SET s = 4                               | 5/1005/504/30   | 5/1005/503/40   | 5/1005/504/40
filled   | SET s = 4, e = 1                        | 5/1005/504/30   | 5/1005/1/40     | 5/1005/1/40
filled   | SET s = 4, o = 1                        | 5/1005/504/1    | 5/1005/503/40   | 5/1005/504/1
own      | SET s = 4                               | 19/1019/77/7
unfilled | SET s = 4                               | 5/1005/504/30   | 5/1005/504/40   | 5/1005/504/40
new      | INSERT a = 7, s = 2                     | 7/1007/702/-    | -/-/-/20        | 7/1007/702/20
new      | INSERT b = 1009, s = 2                  | -/-/-/-         | 9/1009/-/20     | 9/1009/902/20
TABLE

$node->stop;
done_testing();
