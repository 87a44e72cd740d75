# The health check of a node, beside the cheapest probe there is.
# shellcheck shell=bash
: "${short_rounds:?}"
seconds=$(size 3 2 1)

title 'Health check'
note "pgbench -M prepared, 2 clients, $seconds s a run. One release is current, a migration of the next is open."
measure tps 'queries a second'
target 'health check: tps, of SELECT 1' tps:health tps:select_1 '>=' 0.9

turn() {
	value tps "$2" "$1" "$(tps health -n -M prepared -c 2 -j 1 -T "$seconds" -f "test/bench/load/$2.sql")"
}

fresh_database health
query health "CREATE EXTENSION pg_tandem;
	CREATE TABLE item (id int PRIMARY KEY, price int);
	SELECT tandem.register_release(1);
	SELECT tandem.switch_release(1);
	BEGIN;
	SELECT tandem.create_migration('cents', release => 2);
	SELECT tandem.add_column('cents', 'item', 'cents', 'bigint');
	SELECT tandem.sync_column('cents', 'item', old => 'price', new => 'cents', up => 'price * 100::bigint', down => '(cents / 100)::int');
	COMMIT" >/dev/null
[ "$(query health 'SELECT healthy FROM tandem.health(1)')" = t ] || fail 'release 1 is not healthy'
interleave "$short_rounds" turn select_1 health
drop_databases health
