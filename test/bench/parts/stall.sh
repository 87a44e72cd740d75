# The longest stall of a client while a migration asks for its strong locks and another session has the
# table: each case in a database of its own, all at once, beside one where nobody asks.
# shellcheck shell=bash
: "${bindir:?}" "${cluster:?}" "${rounds:?}" "${part:?}"
seconds=$(size 60 5 3)
lock_timeout=200
ours=(expand contract abort two_tables partitions autovacuum reader view_reader)
contenders=(none "${ours[@]}" alter_table)
# the table has been given back at once, or the call has ended in an error: not met for as long as it is held
brief=(two_tables autovacuum)

title "Stalls while a session has the table for $seconds s"
note "Stock TPC-B, 2 clients at 50 transactions a second on each database; the longest transaction while the call is under way. tandem.lock_timeout is at its default, $lock_timeout ms, tandem.lock_retry_time at $((seconds + 60)) s. Who has the table: in expand, contract, abort and alter_table a transaction that has written it; in partitions one that has written one of 200 partitions, in two_tables the second of two tables that one transaction expands; in autovacuum an autovacuum; in reader a transaction that has read it, in view_reader one that has read the view of the release that contract ends. alter_table: a plain ALTER TABLE ... ADD COLUMN; none: no call at all."
measure stall ms
measure call s
measure failures 'statements of clients'
for call in expand contract abort; do
	target "longest stall of a client in $call, ms" "stall:$call" 1 '<=' "$lock_timeout" max
done
for call in two_tables partitions autovacuum reader view_reader; do
	target "longest stall of a client, $call: ms more than without a call" "stall:$call-none" 1 '<=' $((2 * lock_timeout)) max
done
target 'failed statements of clients in all of these' failures:all 1 '<=' 0 max
target 'expand in the way of an autovacuum, s' call:autovacuum 1 '<=' 2 max

# expand RELEASE TABLE...: in one transaction; RELEASE is NULL for none
expand() {
	local table
	echo "BEGIN; SELECT tandem.create_migration('wider', $1);"
	shift
	for table; do
		echo "SELECT tandem.add_column('wider', '$table', 'bid8', 'bigint');
			SELECT tandem.sync_column('wider', '$table', old => 'bid', new => 'bid8', up => 'bid', down => 'bid8::int');"
	done
	echo 'COMMIT'
}

make_template() {
	fresh_database "$1"
	"$bindir/pgbench" -i -q -s "$(size 5 1)" "${@:2}" "$1" 2>/dev/null
	query "$1" 'CREATE EXTENSION pg_tandem'
}

prepare() {
	case $1 in
		partitions) fresh_database "stall_$1" stall_parts ;;
		*) fresh_database "stall_$1" stall ;;
	esac
	case $1 in
		contract | reader)
			query "stall_$1" "$(expand NULL pgbench_accounts)" >/dev/null
			query "stall_$1" "CALL tandem.migrate('wider')"
			;;
		view_reader)
			query "stall_$1" "$(expand 2 pgbench_accounts)" >/dev/null
			query "stall_$1" 'SELECT tandem.create_views(1)' >/dev/null
			query "stall_$1" "CALL tandem.migrate('wider')"
			query "stall_$1" 'SELECT tandem.switch_release(2)' >/dev/null
			;;
		abort) query "stall_$1" "$(expand NULL pgbench_accounts)" >/dev/null ;;
		autovacuum)
			# slow enough to be met; only work that is there when a worker looks begins one
			query "stall_$1" 'ALTER TABLE pgbench_accounts SET (autovacuum_vacuum_threshold = 1,
				autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)'
			;;
	esac
}

command() {
	case $1 in
		expand | partitions | autovacuum) expand NULL pgbench_accounts ;;
		two_tables) expand NULL pgbench_tellers pgbench_accounts ;;
		contract | reader | view_reader) echo "CALL tandem.contract('wider')" ;;
		abort) echo "CALL tandem.abort('wider')" ;;
		alter_table) echo 'ALTER TABLE pgbench_accounts ADD COLUMN bid8 bigint' ;;
		none) echo "SELECT pg_sleep($seconds)" ;;
	esac
}

# call CONTENDER: notes when it began and ended
call() {
	local began=$EPOCHREALTIME status=0
	PGOPTIONS="-c tandem.lock_retry_time=$((seconds + 60))s" query "stall_$1" "$(command "$1")" \
		>/dev/null 2>"$cluster/call.$1.err" || status=$?
	echo "$began $EPOCHREALTIME $status" >"$cluster/call.$1"
}

# hold CONTENDER: a session has the table, in a way that no client is hindered by
hold() {
	local first="INSERT INTO pgbench_accounts VALUES (0, 1, 0, '')"
	case $1 in
		none) return 0 ;;
		autovacuum)
			query "stall_$1" 'UPDATE pgbench_accounts SET abalance = abalance WHERE aid % 100 = 0'
			return 0
			;;
		reader) first='SELECT FROM pgbench_accounts LIMIT 1' ;;
		view_reader) first='SELECT FROM release_1.pgbench_accounts LIMIT 1' ;;
	esac
	query "stall_$1" "BEGIN; $first; SELECT pg_sleep($seconds); COMMIT" >/dev/null
}

# the clients are of the release that stays, where one ends
load_options() {
	[ "$1" != view_reader ] || echo '-c tandem.release=2'
}

autovacuum_is_met() {
	for _ in {1..600}; do
		[ -z "$(query stall_autovacuum "SELECT 1 FROM pg_stat_progress_vacuum
			WHERE relid = 'pgbench_accounts'::regclass AND datname = current_database()")" ] || return 0
		sleep 0.1
	done
	fail 'no autovacuum'
}

# judge ROUND CONTENDER
judge() {
	local began ended status failures held=$seconds
	read -r began ended status <"$cluster/call.$2"
	[[ " ${brief[*]} " != *" $2 "* ]] || held=2
	awk -v s="$held" -v a="$began" -v b="$ended" 'BEGIN { exit b - a < s - 2 }' || fail "$2 did not meet the session"
	# two tables in one transaction: an error that says so, soon
	if [ "$2" = two_tables ]; then
		grep -q 'one table' "$cluster/call.$2.err" || fail "two tables: $(<"$cluster/call.$2.err")"
	elif [ "$status" != 0 ]; then
		fail "$2: $(<"$cluster/call.$2.err")"
	fi
	failures=$(load_failures "stall_$2")
	value call "$2" "$1" "$(awk -v a="$began" -v b="$ended" 'BEGIN { print b - a }')"
	value stall "$2" "$1" "$(load_times "stall_$2" "$began" "$ended" no_lag | cut -d ' ' -f 2 | sort -g | tail -n 1)"
	value failures "$2" "$1" "$failures"
	[ "$2" = alter_table ] || all_failures=$((all_failures + failures))
}

make_template stall
make_template stall_parts --partitions=200
query postgres "ALTER SYSTEM SET autovacuum_naptime = '1s'"
query postgres 'SELECT pg_reload_conf()' >/dev/null
for ((round = 1; round <= rounds; round++)); do
	say "$part, round $round of $rounds"
	all_failures=0
	pids=()
	for contender in "${contenders[@]}"; do
		prepare "$contender"
	done
	for contender in "${contenders[@]}"; do
		PGOPTIONS=$(load_options "$contender") start_load "stall_$contender" -b tpcb-like -c 2 -j 1 -R 50
	done
	sleep 1
	for contender in "${contenders[@]}"; do
		hold "$contender" &
		pids+=($!)
	done
	sleep 1
	autovacuum_is_met
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
query postgres 'ALTER SYSTEM RESET autovacuum_naptime'
query postgres 'SELECT pg_reload_conf()' >/dev/null
drop_databases stall stall_parts "${contenders[@]/#/stall_}"
