# What the guard costs DDL that has nothing to do with any migration.
# shellcheck shell=bash
: "${short_rounds:?}" "${cluster:?}" "${bindir:?}"
rules=$(size 1000 1000 50)
times=$(size 125 50 5)
counted=$cluster/counted
counted_few=10
counted_many=50

title "DDL of others: $((times * 8)) statements"
note 'CREATE, ALTER and DROP of tables, indexes and functions and GRANT, one transaction each, in one session: in a database without the extension, one with it and no migration, and one with so many tables that each have a sync and an index that is still to be built.'
note "What DDL costs where nothing is migrated is counted in instructions, by valgrind (callgrind), of a server process that runs $counted_few and one that runs $counted_many times the eight statements, and has run them before: all that the extension adds is computing. The times beside are of a clock, and the waits of each commit for the disk differ from round to round by more than that."
measure time 'ms a statement'
measure instructions 'thousands a statement'
target 'DDL without migrations: instructions, of without the extension' instructions:idle instructions:none '<=' 1.02
target "DDL beside $rules live rules: ms a statement more than without the extension" time:rules-none 1 '<=' 5

# statements TIMES: each eight times so often
statements() {
	local i
	for ((i = 1; i <= $1; i++)); do
		cat <<-END
			CREATE TABLE t$i (id int PRIMARY KEY, a text, b int);
			ALTER TABLE t$i ADD COLUMN c int DEFAULT 0;
			CREATE INDEX ON t$i (b);
			CREATE FUNCTION f$i(int) RETURNS int LANGUAGE sql AS 'SELECT \$1';
			ALTER FUNCTION f$i(int) RENAME TO g$i;
			GRANT SELECT ON t$i TO PUBLIC;
			DROP FUNCTION g$i(int);
			DROP TABLE t$i;
		END
	done
}

turn() {
	query postgres CHECKPOINT
	value time "$2" "$1" "$(run_file "guard_$2" "$cluster/ddl.sql" | awk -v n=$((times * 8)) '{ print $1 / n }')"
}

# A server of its own, whose processes valgrind counts: event triggers need one that others connect to.
start_counted() {
	mkdir "$counted"
	"$bindir/initdb" -D "$counted/data" -U bench -A trust -E UTF8 --no-locale >/dev/null 2>&1
	cat test/bench/postgresql.conf - >>"$counted/data/postgresql.conf" <<-END
		listen_addresses = ''
		unix_socket_directories = '$counted'
		autovacuum = off
	END
	valgrind -q --tool=callgrind --callgrind-out-file="$counted/callgrind.%p" \
		"$bindir/postgres" -D "$counted/data" >"$counted/log" 2>&1 </dev/null &
	for _ in {1..300}; do
		PGHOST=$counted query postgres 'SELECT' >/dev/null 2>&1 && return 0
		sleep 0.2
	done
	fail "a server that is counted: $(tail -n 3 "$counted/log")"
}

# instructions DATABASE TIMES: of one process that runs the statements so often
instructions() {
	local pid
	pid=$({ echo 'SELECT pg_backend_pid();' && statements "$2"; } | PGOPTIONS='-c client_min_messages=warning' psql_on "$1" | head -n 1)
	for _ in {1..300}; do
		awk '$1 == "totals:" { print $2; found = 1 } END { exit !found }' "$counted/callgrind.$pid" 2>/dev/null && return 0
		sleep 0.2
	done
	fail "nothing is counted: $(tail -n 3 "$counted/log")"
}

count() {
	local database few many
	export PGHOST=$counted
	start_counted
	for database in none idle; do
		fresh_database "$database"
		[ "$database" = none ] || query "$database" 'CREATE EXTENSION pg_tandem'
		instructions "$database" 2 >/dev/null
	done
	for database in none idle; do
		few=$(instructions "$database" "$counted_few")
		many=$(instructions "$database" "$counted_many")
		value instructions "$database" 1 "$(awk -v few="$few" -v many="$many" -v n=$(((counted_many - counted_few) * 8)) \
			'BEGIN { print (many - few) / n / 1000 }')"
	done
	kill -INT "$(head -n 1 "$counted/data/postmaster.pid")"
	wait
}

{
	printf '%s\n' '\timing on'
	statements "$times"
} >"$cluster/ddl.sql"
command -v valgrind >/dev/null || fail 'valgrind is needed'
(count)
rm -rf "$counted"
for database in none idle rules; do
	fresh_database "guard_$database"
	[ "$database" = none ] || query "guard_$database" 'CREATE EXTENSION pg_tandem'
done
# shellcheck disable=SC2016 # for psql
psql_on guard_rules -v rules="$rules" >/dev/null <<-'END'
	SET client_min_messages = warning;
	SELECT format('CREATE TABLE item_%1$s (id int, price int, cents int);
		SELECT tandem.create_migration(''m%1$s'');
		SELECT tandem.sync_column(''m%1$s'', ''item_%1$s'', ''price'', ''cents'', ''price * 100'', ''cents / 100'');
		SELECT tandem.add_index(''m%1$s'', ''CREATE INDEX item_%1$s_cents ON item_%1$s (cents)'')', i)
	FROM generate_series(1, :rules) i \gexec
END
interleave "$short_rounds" turn none idle rules
drop_databases guard_none guard_idle guard_rules
