# A throwaway cluster in $cluster, reached through a socket in the same folder.
# shellcheck shell=bash
: "${root:?}" "${bindir:?}" "${cluster:?}"
export PGHOST=$cluster PGUSER=bench PGPORT=5432

start_cluster() {
	"$bindir/initdb" -D "$cluster/data" -U bench -A trust -E UTF8 --no-locale >"$cluster/initdb.log" 2>&1 ||
		fail "initdb: $(tail -n 3 "$cluster/initdb.log")"
	cat "$root/test/bench/postgresql.conf" - >>"$cluster/data/postgresql.conf" <<-END
		listen_addresses = ''
		unix_socket_directories = '$cluster'
		log_line_prefix = '%m [%p] %d %a: '
	END
	"$bindir/pg_ctl" -D "$cluster/data" -l "$cluster/server.log" -w -s start ||
		fail "server: $(tail -n 3 "$cluster/server.log")"
}

stop_cluster() {
	[ ! -f "$cluster/data/postmaster.pid" ] ||
		"$bindir/pg_ctl" -D "$cluster/data" -m immediate -s stop >/dev/null 2>&1
}

# psql_on DATABASE OPTION...
psql_on() {
	"$bindir/psql" -X -q -A -t -F ' ' -v ON_ERROR_STOP=1 -d "$@"
}

# query DATABASE SQL: its result, columns separated by spaces
query() {
	PGOPTIONS="${PGOPTIONS:-} -c client_min_messages=warning" psql_on "$1" -c "$2" </dev/null
}

# run_file DATABASE FILE OPTION...: the ms of what the file does after its \timing on
run_file() {
	local database=$1 file=$2
	shift 2
	PGOPTIONS="${PGOPTIONS:-} -c client_min_messages=warning" psql_on "$database" "$@" -f "$file" </dev/null |
		awk '/^Time: / { ms += $2 } END { print ms + 0 }'
}

# run_ms DATABASE STATEMENT: its ms, as psql's \timing has it; right after a CHECKPOINT
run_ms() {
	query "$1" CHECKPOINT
	printf '\\timing on\n%s;\n' "$2" | psql_on "$1" -f - | awk '/^Time: / { print $2 }'
}

# fresh_database NAME [TEMPLATE]: a new one, in place of any of that name
fresh_database() {
	query postgres "DROP DATABASE IF EXISTS $1 WITH (FORCE)"
	query postgres "CREATE DATABASE $1 TEMPLATE ${2:-template1}"
}

drop_databases() {
	local name
	for name; do
		query postgres "DROP DATABASE IF EXISTS $name WITH (FORCE)"
	done
}

# tps DATABASE OPTION...: of one run of pgbench
tps() {
	local out
	out=$("$bindir/pgbench" "${@:2}" "$1" 2>"$cluster/pgbench.err") || fail "pgbench: $(tail -n 3 "$cluster/pgbench.err")"
	sed -n 's/^tps = \([0-9.]*\) (without.*/\1/p' <<<"$out"
}
