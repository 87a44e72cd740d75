# Upserts on few keys, while two unique indexes hold the key in two forms.
# shellcheck shell=bash
: "${short_rounds:?}" "${cluster:?}"
seconds=$(size 5 3 1)
kinds=(old new both composite partitioned repeatable)
declare -A called=([old]='release N-1' [new]='release N' [both]='both releases' [composite]='composite key'
	[partitioned]='partitioned table' [repeatable]='REPEATABLE READ')

bulk_rows=$(size 1000000 100000 5000)
bulk_rounds=$(size 3 2 1)
bulk_kinds=('bulk of new keys' 'bulk of keys that are there')

title 'Upserts of 12 clients on 30 keys'
note "INSERT ... ON CONFLICT DO UPDATE, 12 clients, $seconds s a run, synchronous_commit = off, a transaction in four deletes its key. twins: a migration has built a unique index on the new column, beside that of the old one; alone: it is not unique, so that nothing but the old one can conflict. A run in which a transaction failed ends the bench. bulk: one statement upserts $bulk_rows rows, each of another key; the server's processor time, which is the same however busy the machine is, and the memory that the session adds to what it had before."
for kind in "${kinds[@]}"; do
	measure "${called[$kind]}" 'transactions a second'
	target "upserts on 30 keys, ${called[$kind]}: tps with two unique indexes, of with one" \
		"${called[$kind]}:twins" "${called[$kind]}:alone" '>=' 0.8
done

for kind in "${bulk_kinds[@]}"; do
	measure "$kind" 'us a row'
	target "upsert, $kind: processor time with one unique index, of with two" "$kind:alone" "$kind:twins" '>=' 0.8
done
measure 'bulk memory' MB
target "upsert of $bulk_rows rows in one statement: MB of memory more than with one unique index" 'bulk memory:twins-alone' 1 '<=' 4

# make_table DATABASE TABLE KEY PARTITION UNIQUE
make_table() {
	query "$1" "CREATE TABLE $2 (tenant int NOT NULL DEFAULT 1, k int NOT NULL, n int NOT NULL) $4"
	[ -z "$4" ] || query "$1" "CREATE TABLE $2_0 PARTITION OF $2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
		CREATE TABLE $2_1 PARTITION OF $2 FOR VALUES WITH (MODULUS 2, REMAINDER 1)"
	query "$1" "BEGIN;
		SELECT tandem.create_migration('$2');
		SELECT tandem.add_column('$2', '$2', 'k8', 'bigint');
		SELECT tandem.sync_column('$2', '$2', 'k', 'k8', 'k::bigint', 'k8::int');
		COMMIT;
		CREATE UNIQUE INDEX ON $2 (${3}k);
		CREATE $5 INDEX ON $2 (${3}k8)" >/dev/null
}

# upsert_script TABLE COLUMN TARGET
upsert_script() {
	cat >"$cluster/upsert.$1.$2" <<SQL
\\set tenant random(1, 2)
\\set k random(1, 30)
INSERT INTO $1 AS t (tenant, $2, n) VALUES (:tenant, :k, 1) ON CONFLICT ($3) DO UPDATE SET n = t.n + 1;
SQL
	cat >"$cluster/upsert.$1.delete" <<SQL
\\set k random(1, 30)
DELETE FROM $1 WHERE k = :k;
SQL
}

make_contender() {
	local unique=UNIQUE
	[ "$1" = twins ] || unique=
	fresh_database "upsert_$1"
	query "upsert_$1" 'CREATE EXTENSION pg_tandem'
	make_table "upsert_$1" plain '' '' "$unique"
	make_table "upsert_$1" bulk '' '' "$unique"
	query "upsert_$1" 'ALTER TABLE bulk SET (autovacuum_enabled = off)'
	make_table "upsert_$1" composite 'tenant, ' '' "$unique"
	make_table "upsert_$1" partitioned 'tenant, ' 'PARTITION BY HASH (tenant)' "$unique"
}

# run_kind KIND CONTENDER: prints transactions a second; with one index the new release finds its conflicts by the old
run_kind() {
	local table=plain columns=(k) column options='-c synchronous_commit=off' scripts=()
	case $1 in
		new) columns=(k8) ;;
		both) columns=(k k8) ;;
		composite | partitioned) table=$1 columns=(k k8) ;;
		repeatable) columns=(k k8) options+=' -c default_transaction_isolation=repeatable\ read' ;;
	esac
	for column in "${columns[@]}"; do
		local target=$column
		[ "$2" = twins ] || target=k
		[ "$table" = plain ] || target="tenant, $target"
		upsert_script "$table" "$column" "$target"
		scripts+=(-f "$cluster/upsert.$table.$column@$((6 / ${#columns[@]}))")
	done
	PGOPTIONS=$options tps "upsert_$2" -c 12 -j 2 -T "$seconds" --max-tries=10000 "${scripts[@]}" \
		-f "$cluster/upsert.$table.delete@2"
}

turn() {
	local kind
	for kind in "${kinds[@]}"; do
		value "${called[$kind]}" "$2" "$1" "$(run_kind "$kind" "$2")"
	done
}

# The nanoseconds that this process has run, the most and the present size of its memory in kB.
used="SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1), (regexp_match(status, 'VmPeak:\\s+(\\d+)'))[1],
	(regexp_match(status, 'VmSize:\\s+(\\d+)'))[1] FROM pg_read_file('/proc/self/status') status;"

# bulk_turn ROUND CONTENDER: the same statement twice, in a session that has its caches
bulk_turn() {
	local upsert found i
	upsert="INSERT INTO bulk AS t (k, n) SELECT generate_series(1, $bulk_rows), 1 ON CONFLICT (k) DO UPDATE SET n = t.n + 1;"
	query "upsert_$2" 'TRUNCATE bulk'
	query "upsert_$2" CHECKPOINT
	mapfile -t found < <(psql_on "upsert_$2" <<<"SET client_min_messages = warning; ${upsert/$bulk_rows/1}
		$used $upsert $used $upsert $used" |
		awk -v rows="$bulk_rows" 'NR > 1 { print ($1 - ns) / rows / 1000; memory = ($2 - kb) / 1024 } { ns = $1; if (NR == 1) kb = $3 }
			END { print (memory > 0 ? memory : 0) }')
	for i in "${!bulk_kinds[@]}"; do
		value "${bulk_kinds[i]}" "$2" "$1" "${found[i]}"
	done
	value 'bulk memory' "$2" "$1" "${found[2]}"
}

make_contender twins
make_contender alone
interleave "$short_rounds" turn twins alone
interleave "$bulk_rounds" bulk_turn twins alone
for contender in twins alone; do
	[ "$(query "upsert_$contender" 'SELECT count(*) FROM plain WHERE k IS DISTINCT FROM k8')" = 0 ] ||
		fail "upsert_$contender: rows are wrong"
	[ "$(query postgres "SELECT deadlocks FROM pg_stat_database WHERE datname = 'upsert_$contender'")" = 0 ] ||
		fail "upsert_$contender: a deadlock"
done
drop_databases upsert_twins upsert_alone
