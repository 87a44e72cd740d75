# What the guard costs DDL that has nothing to do with any migration.
# shellcheck shell=bash
: "${short_rounds:?}" "${cluster:?}"
rules=$(size 1000 1000 50)
times=$(size 125 50 5)

title "DDL of others: $((times * 8)) statements"
note 'CREATE, ALTER and DROP of tables, indexes and functions and GRANT, one transaction each, in one session: in a database without the extension, one with it and no migration, and one with so many tables that each have a sync and an index that is still to be built.'
note "The line on DDL without migrations is of the time that the server process has computed (/proc/PID/schedstat): its waits for the disk, several at each commit, are the same with and without the extension, and differ from round to round by more than all that the extension adds. Counted by valgrind it is 1.011 in instructions."
measure time 'ms a statement'
measure computed 'ms a statement'
target 'DDL without migrations: time computed, of without the extension' computed:idle computed:none '<=' 1.02
target "DDL beside $rules live rules: ms a statement more than without the extension" time:rules-none 1 '<=' 5

# Lines of three numbers are the time computed so far in ns, first thing and last, with what else schedstat has.
turn() {
	local time computed
	query postgres CHECKPOINT
	read -r time computed < <(PGOPTIONS='-c client_min_messages=warning' psql_on "guard_$2" -f "$cluster/ddl.sql" </dev/null |
		awk -v n=$((times * 8)) '/^Time: / { ms += $2; next } NF == 3 { if (began == "") began = $1; ended = $1 }
			END { print ms / n, (ended - began) / 1e6 / n }')
	value time "$2" "$1" "$time"
	value computed "$2" "$1" "$computed"
}

{
	# shellcheck disable=SC2016 # for psql and its shell
	printf '%s\n' 'SELECT pg_backend_pid() AS pid \gset' '\setenv BACKEND :pid' '\! cat /proc/$BACKEND/schedstat' '\timing on'
	for ((i = 1; i <= times; i++)); do
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
	# shellcheck disable=SC2016
	printf '%s\n' '\! cat /proc/$BACKEND/schedstat'
} >"$cluster/ddl.sql"
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
