# Many tables in one migration, an index of many partitions, and many migrations before: what each costs.
# shellcheck shell=bash
: "${cluster:?}"
read -ra table_counts <<<"$(size '10 100 1000' '10 100' '10 30')"
large=${table_counts[-1]}
old=$(size 10000 1000 100)
tables_rounds=$(size 3 2 2)

title 'Many tables, partitions and migrations'
note 'Tables of 20 rows, each with a column that migrate fills, in one migration: the whole CALL tandem.migrate. An index of a partitioned table with so many leaves of 20 rows: the same. One such table, from create_migration to contract, and a look at tandem.migrations and tandem.progress, where so many migrations have ended before.'
measure tables 'ms a table'
measure 'tables in all' s
measure index 'ms a leaf'
measure ended ms

many_tables() {
	local i
	echo "SELECT tandem.create_migration('m');"
	for ((i = 1; i <= $1; i++)); do
		echo "CREATE TABLE t$i (id int PRIMARY KEY, a int); INSERT INTO t$i SELECT g, g FROM generate_series(1, 20) g;"
		echo "SELECT tandem.add_column('m', 't$i', 'b', 'bigint', up => 'a::bigint');"
	done
}

many_leaves() {
	local i
	echo "CREATE TABLE p (id int) PARTITION BY RANGE (id);"
	for ((i = 1; i <= $1; i++)); do
		echo "CREATE TABLE p$i PARTITION OF p FOR VALUES FROM ($((i * 20))) TO ($((i * 20 + 20)));"
	done
	echo "INSERT INTO p SELECT g FROM generate_series(20, $1 * 20 + 19) g;"
	echo "SELECT tandem.create_migration('m'), tandem.add_index('m', 'CREATE INDEX p_id ON p (id)');"
}

many_ended() {
	local i
	for ((i = 1; i <= $1; i++)); do
		echo "SELECT tandem.create_migration('old$i'); CALL tandem.abort('old$i');"
	done
}

# prepare FUNCTION COUNT: a database in which the statements have been run
prepare() {
	fresh_database many
	query many 'CREATE EXTENSION pg_tandem'
	"$1" "$2" >"$cluster/many.sql"
	PGOPTIONS='-c synchronous_commit=off' run_file many "$cluster/many.sql" >/dev/null
}

migrate_ms() {
	PGOPTIONS='-c client_min_messages=warning' run_ms many "CALL tandem.migrate('m')"
	[ "$(query many 'SELECT count(*) FROM tandem.migrations WHERE phase = '\''contract'\')" = 1 ] || fail 'it has not come to its end'
}

whole_ms() {
	printf '%s\n' '\timing on' >"$cluster/many.sql"
	many_tables 1 >>"$cluster/many.sql"
	cat >>"$cluster/many.sql" <<-END
		CALL tandem.migrate('m');
		SELECT count(*) FROM tandem.migrations WHERE phase = 'contract';
		SELECT count(*) FROM tandem.progress WHERE migration = 'm';
		CALL tandem.contract('m');
	END
	run_file many "$cluster/many.sql"
}

turn() {
	local count=$2 ms
	case $count in
		ended*)
			prepare many_ended "${count#ended }"
			query many 'VACUUM ANALYZE'
			value ended "$count" "$1" "$(whole_ms)"
			;;
		*)
			prepare many_tables "$count"
			ms=$(migrate_ms)
			value tables "$count" "$1" "$(awk -v ms="$ms" -v count="$count" 'BEGIN { print ms / count }')"
			value 'tables in all' "$count" "$1" "$(awk -v ms="$ms" 'BEGIN { print ms / 1000 }')"
			prepare many_leaves "$count"
			ms=$(migrate_ms)
			value index "$count" "$1" "$(awk -v ms="$ms" -v count="$count" 'BEGIN { print ms / count }')"
			;;
	esac
}

middle=${table_counts[-2]}
[ "$large" != 1000 ] || target '1000 tables in one migration: migrate, in s' 'tables in all:1000' 1 '<=' 5
target "growth, $large tables: ms a table, of $middle" "tables:$large" "tables:$middle" '<=' 1.3
target "an index of $large leaves: ms a leaf" "index:$large" 1 '<=' 20
target "growth, an index of $large leaves: ms a leaf, of $middle" "index:$large" "index:$middle" '<=' 1.3
target "a migration after $old that have ended: ms, of one after none" "ended:ended $old" 'ended:ended 0' '<=' 1.3
interleave "$tables_rounds" turn "${table_counts[@]}" 'ended 0' "ended $old"
drop_databases many
