# What the fence costs a session that it has nothing to say to.
# shellcheck shell=bash
: "${bindir:?}" "${short_rounds:?}"
scale=$(size 10 5 1)
seconds=$(size 5 2 1)

title "The fence, idle: pgbench -S, scale $scale"
note "2 clients, $seconds s a run, on one database by two roles, of which fenced has session_preload_libraries = 'pg_tandem'. Nothing is fenced, and the sessions declare nothing."
measure tps 'transactions a second'
target 'fence preloaded, idle: tps of pgbench -S, of not preloaded' tps:fenced tps:plain '>=' 0.99

turn() {
	value tps "$2" "$1" "$(PGUSER=$2 tps fence -n -S -c 2 -j 1 -T "$seconds")"
}

fresh_database fence
"$bindir/pgbench" -i -q -s "$scale" fence 2>/dev/null
query fence "CREATE EXTENSION pg_tandem;
	CREATE ROLE plain LOGIN SUPERUSER;
	CREATE ROLE fenced LOGIN SUPERUSER;
	ALTER ROLE fenced SET session_preload_libraries = 'pg_tandem'"
interleave "$short_rounds" turn plain fenced
drop_databases fence
query postgres 'DROP ROLE plain; DROP ROLE fenced'
