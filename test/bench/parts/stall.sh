# The longest stall of a client while a migration asks for its strong locks and another transaction
# has the table: expand, contract and abort at once, each in a database of its own.
# shellcheck shell=bash
: "${bindir:?}" "${cluster:?}" "${rounds:?}" "${part:?}"
seconds=$(size 60 5 3)
lock_timeout=200
contenders=(expand contract abort alter_table)

title "Stalls while a transaction of $seconds s has the table"
note "Stock TPC-B, 4 clients at 100 transactions a second on each database; the longest transaction while the call is under way. tandem.lock_timeout is at its default, $lock_timeout ms, tandem.lock_retry_time at $((seconds + 60)) s. alter_table: a plain ALTER TABLE ... ADD COLUMN, beside them."
measure stall ms
measure call s
measure failures 'statements of clients'
for call in expand contract abort; do
	target "longest stall of a client in $call, ms" "stall:$call" 1 '<=' "$lock_timeout" max
done
target 'failed statements of clients in expand, contract and abort' failures:all 1 '<=' 0 max

expand="BEGIN;
	SELECT tandem.create_migration('bid8');
	SELECT tandem.add_column('bid8', 'pgbench_accounts', 'bid8', 'bigint');
	SELECT tandem.sync_column('bid8', 'pgbench_accounts', old => 'bid', new => 'bid8', up => 'bid', down => 'bid8::int');
	COMMIT"

make_template() {
	fresh_database stall
	"$bindir/pgbench" -i -q -s "$(size 5 1)" stall 2>/dev/null
	query stall 'CREATE EXTENSION pg_tandem'
}

prepare() {
	fresh_database "stall_$1" stall
	case $1 in
		contract)
			query "stall_$1" "$expand" >/dev/null
			query "stall_$1" "CALL tandem.migrate('bid8')"
			;;
		abort) query "stall_$1" "$expand" >/dev/null ;;
	esac
}

command() {
	case $1 in
		expand) echo "$expand" ;;
		contract) echo "CALL tandem.contract('bid8')" ;;
		abort) echo "CALL tandem.abort('bid8')" ;;
		alter_table) echo 'ALTER TABLE pgbench_accounts ADD COLUMN bid8 bigint' ;;
	esac
}

# call CONTENDER: notes when it began and ended
call() {
	local began=$EPOCHREALTIME
	PGOPTIONS="-c tandem.lock_retry_time=$((seconds + 60))s" query "stall_$1" "$(command "$1")" >/dev/null
	echo "$began $EPOCHREALTIME" >"$cluster/call.$1"
}

# a transaction that has written the table, a row that no client uses
hold() {
	query "stall_$1" "BEGIN; INSERT INTO pgbench_accounts VALUES (0, 1, 0, ''); SELECT pg_sleep($seconds); COMMIT" >/dev/null
}

judge() {
	local began ended failures
	read -r began ended <"$cluster/call.$2"
	awk -v s="$seconds" -v a="$began" -v b="$ended" 'BEGIN { exit b - a < s - 2 }' || fail "$2 did not meet the transaction"
	failures=$(load_failures "stall_$2")
	value call "$2" "$1" "$(awk -v a="$began" -v b="$ended" 'BEGIN { print b - a }')"
	value stall "$2" "$1" "$(load_times "stall_$2" "$began" "$ended" no_lag | cut -d ' ' -f 2 | sort -g | tail -n 1)"
	value failures "$2" "$1" "$failures"
	[ "$2" = alter_table ] || all_failures=$((all_failures + failures))
}

make_template
for ((round = 1; round <= rounds; round++)); do
	say "$part, round $round of $rounds"
	all_failures=0
	pids=()
	for contender in "${contenders[@]}"; do
		prepare "$contender"
		start_load "stall_$contender" -b tpcb-like -c 4 -j 1 -R 100
	done
	sleep 1
	for contender in "${contenders[@]}"; do
		hold "$contender" &
		pids+=($!)
	done
	sleep 1
	for contender in "${contenders[@]}"; do
		call "$contender" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || fail 'a call failed'
	done
	sleep 1
	for contender in "${contenders[@]}"; do
		stop_load "stall_$contender"
		judge "$round" "$contender"
	done
	value failures all "$round" "$all_failures"
done
drop_databases stall "${contenders[@]/#/stall_}"
