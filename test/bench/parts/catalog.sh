# What partitions cost, which have no rows to speak of: in time, in pg_trigger, in the memory of a session.
# shellcheck shell=bash
: "${rounds:?}" "${cluster:?}"
counts=(10 100 1000 2000)
[ "$(size full quick tiny)" = full ] || counts=(10 50 100)
most=${counts[-1]}
middle=${counts[-2]}

title 'Partitions'
note "Trees of ${counts[*]} partitions, two rows in each. Bare: ALTER TABLE ADD COLUMN, CREATE TRIGGER, and DROP TRIGGER, DROP COLUMN, RENAME COLUMN in one transaction each. Locked: the longest that a session waits meanwhile that asks for the weakest lock of the table, 500 times a second. Memory: what contexts of pg_tandem have in a session that has written all partitions."
for measure in expand bare_expand contract bare_contract; do
	measure "$measure" ms
	measure "${measure}_locked" ms
done
measure migrate 'ms a partition'
measure index 'ms a partition, beside the same migrate without it'
measure trigger 'kB a partition, pg_trigger'
measure memory 'kB a partition'

# the costs that are to grow with the partitions: no more than linear
for what in expand contract; do
	target "$what of $most partitions: of $middle, a partition" "${what}_each:$most" "${what}_each:$middle" '<=' 1.3
	target "$what of $most partitions: time with the locks, of the bare statements" "${what}_locked:$most" "bare_${what}_locked:$most" '<=' 1.5
	measure "${what}_each" 'ms a partition'
done
for what in migrate index; do
	target "$what of $most partitions: of $middle, a partition" "$what:$most" "$what:$middle" '<=' 1.3
done
target "migrate of $most partitions: ms a partition" "migrate:$most" 1 '<=' 6
target "index of $most partitions: ms a partition" "index:$most" 1 '<=' 20
target "$most partitions: kB of pg_trigger, a partition" "trigger:$most" 1 '<=' 2
target "$most partitions: kB of memory of a session, a partition" "memory:$most" 1 '<=' 2

echo 'BEGIN\; LOCK TABLE ONLY t IN ACCESS SHARE MODE\; COMMIT;' >"$cluster/weakest.sql"

# take WHAT COUNT ROUND STATEMENT: how long it takes, in $ms too, and how long others wait for the table
take() {
	start_load leaves -c 1 -R 500 -f "$cluster/weakest.sql"
	until [ "$(query leaves "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'load'")" = 1 ]; do sleep 0.05; done
	ms=$(PGOPTIONS='-c client_min_messages=warning' run_ms leaves "$4")
	stop_load leaves
	value "$1" "$2" "$3" "$ms"
	value "$1_locked" "$2" "$3" "$(cat "$cluster/load.leaves".[0-9]* | awk '$3 - $7 > most { most = $3 - $7 } END { print most / 1000 }')"
}

each() { awk -v all="$1" -v count="$2" 'BEGIN { print all / count }'; }

tree() {
	query leaves "CREATE TABLE t (id int NOT NULL, a int) PARTITION BY RANGE (id)"
	psql_on leaves -v count="$1" <<-'END'
		SELECT format('CREATE TABLE t%s PARTITION OF t FOR VALUES FROM (%s) TO (%s)', i, i * 10, i * 10 + 10) FROM generate_series(0, :count - 1) i
		\gexec
		INSERT INTO t SELECT i * 10 + j, i FROM generate_series(0, :count - 1) i, generate_series(1, 2) j;
		ANALYZE t;
	END
}

bare() {
	local count=$2 ms
	fresh_database leaves
	tree "$count"
	query leaves "CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
	take bare_expand "$count" "$1" "DO 'BEGIN ALTER TABLE t ADD COLUMN b bigint; CREATE TRIGGER follow BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION follow(); END'"
	take bare_contract "$count" "$1" "DO 'BEGIN DROP TRIGGER follow ON t; ALTER TABLE t DROP COLUMN a; ALTER TABLE t RENAME COLUMN b TO a; END'"
}

turn() {
	local count=$2 ms plain
	bare "$1" "$count"
	fresh_database leaves
	query leaves 'CREATE EXTENSION pg_tandem'
	tree "$count"
	query leaves "SELECT tandem.create_migration('m')" >/dev/null
	take expand "$count" "$1" "DO \$\$ BEGIN PERFORM tandem.add_column('m', 't', 'b', 'bigint'); PERFORM tandem.sync_column('m', 't', 'a', 'b', 'a::bigint', 'b::int'); END \$\$"
	value expand_each "$count" "$1" "$(each "$ms" "$count")"
	value trigger "$count" "$1" "$(each "$(query leaves "SELECT sum(pg_column_size(t.*)) / 1024.0 FROM pg_trigger t WHERE tgname = '~tandem_sync'")" "$count")"
	value memory "$count" "$1" "$(each "$(query leaves "UPDATE t SET a = a + 1; SELECT sum(total_bytes) / 1024.0 FROM pg_backend_memory_contexts WHERE name LIKE 'tandem %'")" "$count")"
	plain=$(PGOPTIONS='-c client_min_messages=warning' run_ms leaves "CALL tandem.migrate('m')")
	value migrate "$count" "$1" "$(each "$plain" "$count")"
	query leaves "CALL tandem.abort('m')"
	query leaves "SELECT tandem.create_migration('o'); SELECT tandem.add_column('o', 't', 'b', 'bigint'); SELECT tandem.sync_column('o', 't', 'a', 'b', 'a::bigint', 'b::int'); SELECT tandem.add_index('o', 'CREATE INDEX t_b ON t (b)')" >/dev/null
	ms=$(PGOPTIONS='-c client_min_messages=warning' run_ms leaves "CALL tandem.migrate('o')")
	value index "$count" "$1" "$(awk -v all="$ms" -v plain="$plain" -v count="$count" 'BEGIN { print (all - plain) / count }')"
	take contract "$count" "$1" "CALL tandem.contract('o')"
	value contract_each "$count" "$1" "$(each "$ms" "$count")"
	drop_databases leaves
}

interleave "$(size 3 1 1)" turn "${counts[@]}"
