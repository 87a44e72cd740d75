# Sessions that are older than a migration: what they have prepared goes on as long as the columns
# that it names are there, and rules that are cached follow the functions that they call.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');
my $row = 'SELECT price, cents FROM items WHERE id = ';

sub sql { return $node->safe_psql('postgres', $_[0]); }

sql(<<'SQL');
CREATE TABLE items (id int PRIMARY KEY, price int);
INSERT INTO items SELECT i, i FROM generate_series(1, 10) i;
CREATE FUNCTION to_cents(price int) RETURNS bigint AS 'SELECT price * 100::bigint' LANGUAGE sql STABLE;
CREATE FUNCTION reprice(item int, value int) RETURNS int AS $$
BEGIN
	UPDATE items SET price = value WHERE id = item;
	RETURN (SELECT price FROM items WHERE id = item);
END $$ LANGUAGE plpgsql;
CREATE ROLE writer;
GRANT SELECT, INSERT, UPDATE ON items TO writer;
SQL

# each six times, so that the plan is a generic one
my $old = $node->background_psql('postgres');
my $other = $node->background_psql('postgres', on_error_stop => 0);
$old->query_safe('PREPARE upd(int, int) AS UPDATE items SET price = $2 WHERE id = $1');
$old->query_safe('PREPARE ins(int, int) AS INSERT INTO items (id, price) VALUES ($1, $2)');
$old->query_safe('PREPARE sel(int) AS SELECT price FROM items WHERE id = $1');
$old->query_safe("EXECUTE upd(1, $_); EXECUTE sel(1); SELECT reprice(2, $_)") foreach 1 .. 6;

sub old_release
{
	my ($when, $value) = @_;

	$old->query_safe("EXECUTE upd(1, $value)");
	is($old->query_safe('EXECUTE sel(1)'), $value, "$when: prepared statements of the old release work");
	is($old->query_safe("SELECT reprice(2, $value)"), $value, "$when: and its functions");
	$old->query_safe("EXECUTE ins(1000 + $value, $value)");
	return;
}

sql(<<'SQL');
BEGIN;
SELECT tandem.create_migration('m', release => 2);
SELECT tandem.add_column('m', 'items', 'cents', 'bigint');
SELECT tandem.sync_column('m', 'items', 'price', 'cents', 'to_cents(price)', 'cents / 100', keep_old => true);
COMMIT;
SQL
old_release('after expand', 20);
is(sql("$row 1 OR id = 2 OR id = 1020"), "20|2000\n20|2000\n20|2000", 'and are synced');

# a prepared statement of the new release
my $new = $node->background_psql('postgres');
$new->query_safe('PREPARE upd(int, bigint) AS UPDATE items SET cents = $2 WHERE id = $1');
$new->query_safe("EXECUTE upd(3, $_ * 100)") foreach 1 .. 7;
is(sql("$row 3"), '7|700', 'as are those of the new release');

# a function that up calls is replaced: sessions that have compiled it follow
$other->query_safe('UPDATE items SET price = 4 WHERE id = 4');
is(sql("$row 4"), '4|400', 'the rule is compiled in a session');
sql(q(CREATE OR REPLACE FUNCTION to_cents(price int) RETURNS bigint AS 'SELECT price * 100::bigint + 1' LANGUAGE sql STABLE));
$other->query_safe('UPDATE items SET price = 5 WHERE id = 4');
is(sql("$row 4"), '5|501', 'and follows the function');
sql(q(CREATE OR REPLACE FUNCTION to_cents(price int) RETURNS bigint AS 'SELECT price * 100::bigint' LANGUAGE sql STABLE));
$other->query_safe('UPDATE items SET price = 6 WHERE id = 4');
is(sql("$row 4"), '6|600', 'back again');

# the rights of one session change
$other->query_safe('SET ROLE writer; UPDATE items SET price = 8 WHERE id = 5; RESET ROLE');
$other->query_safe('UPDATE items SET price = 9 WHERE id = 6; SET ROLE writer; UPDATE items SET cents = 1000 WHERE id = 6');
is(sql("$row 5 OR id = 6 ORDER BY id"), "8|800\n10|1000", 'SET ROLE: each role writes, and the rule holds');
sql('REVOKE EXECUTE ON FUNCTION to_cents(int) FROM PUBLIC');
$other->query_safe('UPDATE items SET price = 99 WHERE id = 5');
is(sql("$row 5"), '99|9900', 'a role that may not call the function of up writes: the rule is planned as the owner of the table');
$other->query_safe('RESET ROLE; UPDATE items SET price = 11 WHERE id = 5');
is(sql("$row 5"), '11|1100', 'and so does the owner');
sql('GRANT EXECUTE ON FUNCTION to_cents(int) TO PUBLIC');

# savepoints and rollbacks, with an error in up among them
$other->query_safe('BEGIN; UPDATE items SET price = 12 WHERE id = 7; SAVEPOINT a; UPDATE items SET cents = 1300 WHERE id = 7');
$other->query_safe('ROLLBACK TO a; UPDATE items SET price = price + 1 WHERE id = 8; SAVEPOINT b');
my $psql_error = $node->psql('postgres', q(UPDATE items SET price = 1, cents = 5 WHERE id = 9));
isnt($psql_error, 0, 'two columns that disagree are refused');
$other->query_safe('RELEASE b; COMMIT');
is(sql("$row 7 OR id = 8 ORDER BY id"), "12|1200\n9|900", 'savepoints keep both columns equal');
is(sql(<<'SQL'), "9|900", 'so does an error that is caught');
DO $$ BEGIN
	BEGIN UPDATE items SET price = 1, cents = 5 WHERE id = 9; EXCEPTION WHEN triggered_data_change_violation THEN NULL; END;
	UPDATE items SET price = 9 WHERE id = 9;
END $$;
SELECT price, cents FROM items WHERE id = 9
SQL
# DDL rolled back: the rules of the session are the old ones again
$other->query_safe(q(BEGIN; CALL tandem.abort('m'); UPDATE items SET price = 13 WHERE id = 9; ROLLBACK; UPDATE items SET price = 14 WHERE id = 9));
is(sql("$row 9"), '14|1400', 'an abort that is rolled back leaves the sync');

# another database of the cluster has its own migrations
$node->safe_psql('postgres', 'CREATE DATABASE second');
$node->safe_psql('second', 'CREATE EXTENSION pg_tandem; CREATE TABLE items (id int PRIMARY KEY, price int); INSERT INTO items VALUES (1, 1)');
$node->safe_psql('second', q(BEGIN; SELECT tandem.create_migration('m'); ALTER TABLE items ADD COLUMN euros numeric;
	SELECT tandem.sync_column('m', 'items', 'price', 'euros', 'price / 2.0'); COMMIT));
my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; SELECT 1 FROM items WHERE id = 10 FOR UPDATE');
my $migrate = start_psql($node, 'postgres', q(CALL tandem.migrate('m')));
wait_for_running($node, q(SELECT count(*) > 0 FROM tandem.progress WHERE blockers IS NOT NULL));
is($node->safe_psql('second', 'SELECT running_pid IS NULL FROM tandem.migrations'), 't',
	'a migration of the same name and number in another database is not said to run');
$node->safe_psql('second', q(CALL tandem.migrate('m')));
is($node->safe_psql('second', 'SELECT price, trim_scale(euros) FROM items'), '1|0.5', 'and may be run meanwhile');
old_release('during migrate', 21);
$locker->query_safe('ROLLBACK');
ok(finish($migrate), 'migrate ends');
old_release('after migrate', 22);
sql(q(CALL tandem.contract('m', undeclared => 'ignore')));
old_release('after contract with the old column kept', 23);
$new->query_safe('EXECUTE upd(3, 3300)');
is(sql("$row 3"), '7|3300', 'where the columns are no longer synced');
$_->quit foreach $old, $new, $other, $locker;

done_testing();
