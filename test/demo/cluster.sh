# A throwaway cluster in $demo, reached through a socket in the same folder.
# shellcheck shell=bash
: "${bindir:?}" "${demo:?}"

start_cluster() {
	show "initdb, and start"
	"$bindir/initdb" -D "$demo/data" -U demo -A trust -E UTF8 --no-locale --no-sync >"$demo/initdb.log" 2>&1 ||
		fail "initdb: $(tail -n 3 "$demo/initdb.log")"
	cat >>"$demo/data/postgresql.conf" <<-END
		listen_addresses = ''
		unix_socket_directories = '$demo'
		shared_buffers = 256MB
		max_wal_size = 4GB
		session_preload_libraries = 'pg_tandem'
		log_line_prefix = '%m [%p] %a: '
	END
	"$bindir/pg_ctl" -D "$demo/data" -l "$demo/server.log" -w -s start ||
		fail "server: $(tail -n 3 "$demo/server.log")"
	export PGHOST=$demo PGUSER=demo PGDATABASE=postgres PGPORT=5432
}

stop_cluster() {
	[ ! -f "$demo/data/postmaster.pid" ] ||
		"$bindir/pg_ctl" -D "$demo/data" -m immediate -s stop >/dev/null 2>&1
}

# The result of one query, its columns separated by spaces.
query() {
	"$bindir/psql" -X -A -t -q -F ' ' -v ON_ERROR_STOP=1 -c "$1" </dev/null
}

# Shows SQL, runs it, and says how long that took, the connection included.
run_sql() {
	local began=$EPOCHREALTIME
	show "$1"
	"$bindir/psql" -X -q -v ON_ERROR_STOP=1 -o /dev/null <<<"$1" || fail "the SQL above"
	note "took $(ms_since "$began") ms"
}
