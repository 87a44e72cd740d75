# How much longer a client waits while contract gives a key another type, and twenty tables that refer to it: beside
# the same clients in a database where nobody calls anything.  And TPC-B, to which a key of its tables changes.
# shellcheck shell=bash
: "${bindir:?}" "${cluster:?}" "${rounds:?}" "${part:?}"
contenders=(none keys)
seconds=$(size 5 5 3)
scale=$(size 50 2 1)

title 'Contract of a key that is changed, with twenty tables that refer to it'
note "The serial key of a table becomes a bigint, and a column in each of twenty others that refers to it, and is indexed. Clients of the release that stays, through its views, insert and update rows of the table and of one of the others. The longest transaction while contract is under way, beside that of $seconds s without. tpcb: the stock script in prepared statements at scale $scale, with its foreign keys, while pgbench_branches.bid becomes a bigint, with the columns of tellers, accounts and history: change_key, migrate and contract."
measure stall ms
measure call s
measure failures 'statements of clients'
measure sums 'of 3 that are right'
target 'contract of a key, 20 tables that refer to it: ms more than without a call' stall:keys-none 1 '<=' 200 max
target 'failed statements of clients in that, and of TPC-B while bid becomes a bigint' failures:all 1 '<=' 0 max
target 'sums of TPC-B that are right afterwards' sums:tpcb 1 '>=' 3

make_template() {
	local i
	fresh_database keys
	query keys 'CREATE EXTENSION pg_tandem; CREATE TABLE parents (id serial PRIMARY KEY, n int); INSERT INTO parents (n) SELECT 0 FROM generate_series(1, 10000)'
	for i in {1..20}; do
		echo "CREATE TABLE child_$i (id bigserial PRIMARY KEY, parent int NOT NULL REFERENCES parents, n int);
			CREATE INDEX child_${i}_parent ON child_$i (parent);
			INSERT INTO child_$i (parent, n) SELECT id, 0 FROM parents;"
	done | psql_on keys
}

# ready CONTENDER: a copy in which contract is next
ready() {
	fresh_database "keys_$1" keys
	psql_on "keys_$1" <<-'SQL'
		SELECT tandem.register_release(1);
		SELECT tandem.switch_release(1);
		SELECT tandem.create_views(1, schemas => '{public}');
		SELECT tandem.create_migration('wide', 2);
		CALL tandem.change_key('wide', 'parents', 'id', 'bigint');
		SELECT tandem.create_views(2, schemas => '{public}');
		CALL tandem.migrate('wide');
		SELECT tandem.switch_release(2);
	SQL
}

# call CONTENDER: notes when it began and ended
call() {
	local began=$EPOCHREALTIME status=0 sql="CALL tandem.contract('wide', undeclared => 'ignore')"
	[ "$1" != none ] || sql="SELECT pg_sleep($seconds)"
	query "keys_$1" "$sql" >/dev/null 2>"$cluster/call.$1.err" || status=$?
	[ "$status" = 0 ] || fail "$1: $(<"$cluster/call.$1.err")"
	echo "$began $EPOCHREALTIME" >"$cluster/call.$1"
}

start_release() {
	local database=$1 release=$2
	shift 2
	PGOPTIONS="-c tandem.release=$release -c search_path=release_$release,public" start_load "$database" -c 4 -j 1 "$@"
}

# tpcb ROUND
tpcb() {
	local sums
	fresh_database keys_tpcb
	"$bindir/pgbench" -i -q -s "$scale" --foreign-keys keys_tpcb 2>/dev/null
	psql_on keys_tpcb <<-'SQL'
		CREATE EXTENSION pg_tandem;
		SELECT tandem.register_release(1);
		SELECT tandem.switch_release(1);
		SELECT tandem.create_views(1, schemas => '{public}');
		SELECT tandem.create_migration('wide', 2);
	SQL
	start_release keys_tpcb 1 -s "$scale" -M prepared -R 200
	sleep 1
	psql_on keys_tpcb <<-'SQL'
		CALL tandem.change_key('wide', 'pgbench_branches', 'bid', 'bigint');
		SELECT tandem.create_views(2, schemas => '{public}');
		CALL tandem.migrate('wide');
	SQL
	stop_load keys_tpcb
	all_failures=$((all_failures + $(load_failures keys_tpcb)))
	start_release keys_tpcb 2 -s "$scale" -M prepared -R 200
	sleep 1
	query keys_tpcb "SELECT tandem.switch_release(2)" >/dev/null
	query keys_tpcb "CALL tandem.contract('wide', undeclared => 'ignore')" >/dev/null
	sleep 1
	stop_load keys_tpcb
	all_failures=$((all_failures + $(load_failures keys_tpcb)))
	sums=$(query keys_tpcb "SELECT (a.sum = h.sum)::int + (t.sum = h.sum)::int + (b.sum = h.sum)::int FROM (SELECT sum(delta) FROM pgbench_history) h, (SELECT sum(abalance) FROM pgbench_accounts) a, (SELECT sum(tbalance) FROM pgbench_tellers) t, (SELECT sum(bbalance) FROM pgbench_branches) b")
	value sums tpcb "$1" "$sums"
	drop_databases keys_tpcb
}

cat >"$cluster/family.sql" <<-'END'
	\set parent random(1, 10000)
	\set child random(1, 10000)
	BEGIN;
	UPDATE parents SET n = n + 1 WHERE id = :parent;
	INSERT INTO child_7 (parent, n) VALUES (:parent, 1);
	UPDATE child_13 SET n = n + 1 WHERE parent = :child;
	INSERT INTO parents (n) VALUES (1);
	COMMIT;
END
make_template
for ((round = 1; round <= rounds; round++)); do
	say "$part, round $round of $rounds"
	all_failures=0
	for contender in "${contenders[@]}"; do
		ready "$contender" 2>/dev/null
		start_release "keys_$contender" 2 -M prepared -f "$cluster/family.sql" -R 100
	done
	sleep 2
	pids=()
	for contender in "${contenders[@]}"; do
		call "$contender" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid"
	done
	sleep 1
	for contender in "${contenders[@]}"; do
		stop_load "keys_$contender"
		read -r began ended <"$cluster/call.$contender"
		all_failures=$((all_failures + $(load_failures "keys_$contender")))
		value call "$contender" "$round" "$(awk -v a="$began" -v b="$ended" 'BEGIN { print b - a }')"
		value stall "$contender" "$round" "$(load_times "keys_$contender" "$began" "$ended" no_lag | cut -d ' ' -f 2 | sort -g | tail -n 1)"
	done
	tpcb "$round" 2>/dev/null
	value failures all "$round" "$all_failures"
done
drop_databases keys "${contenders[@]/#/keys_}"
