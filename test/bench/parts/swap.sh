# How much longer a client waits while contract gives a changed column its name, with all that stands on it:
# beside the same clients in a database where nobody calls anything.
# shellcheck shell=bash
: "${bindir:?}" "${cluster:?}" "${rounds:?}" "${part:?}"
contenders=(none swap)
seconds=$(size 5 5 3)

title 'Contract of a column that is changed, with ten indexes, ten constraints and five views'
note "The balance of pgbench_accounts becomes a bigint. Clients of the release that stays, through its views: stock TPC-B in prepared statements, and a PL/pgSQL function that reads and writes the column. One of the views is over another one, one is of another owner, one has an INSTEAD OF trigger. The longest transaction while contract is under way, beside that of $seconds s without. In view_reader a transaction has read one of the views and stays open: contract is to end in an error that names it."
measure stall ms
measure call s
measure failures 'statements of clients'
measure named sessions
target 'contract of a changed column, 10 indexes, 10 constraints, 5 views: ms more than without a call' stall:swap-none 1 '<=' 200 max
target 'the same beside a reader of one of the views: ms more than without a call' stall:view_reader-none 1 '<=' 200 max
target 'that error names the reader' named:view_reader 1 '>=' 1
target 'failed statements of clients in these' failures:all 1 '<=' 0 max

make_template() {
	local i
	fresh_database swap
	"$bindir/pgbench" -i -q -s "$(size 5 1)" swap 2>/dev/null
	query swap 'CREATE EXTENSION pg_tandem'
	for i in {1..10}; do
		echo "CREATE INDEX accounts_$i ON pgbench_accounts (abalance, aid) WHERE aid % 10 = $i - 1;
			ALTER TABLE pgbench_accounts ADD CONSTRAINT accounts_check_$i CHECK (abalance < 1000000000 + $i);"
	done | psql_on swap
	psql_on swap <<-'SQL'
		CREATE VIEW all_accounts AS SELECT aid, bid, abalance FROM pgbench_accounts;
		CREATE VIEW branch_accounts AS SELECT bid, sum(abalance) AS balance FROM all_accounts GROUP BY bid;
		CREATE VIEW rich WITH (check_option = local) AS SELECT aid, abalance FROM pgbench_accounts WHERE abalance > 1000;
		CREATE VIEW poor AS SELECT aid, abalance FROM pgbench_accounts WHERE abalance < 0;
		ALTER VIEW poor OWNER TO pg_monitor;
		GRANT USAGE, CREATE ON SCHEMA public TO pg_monitor;
		CREATE VIEW named AS SELECT aid AS account, abalance AS amount FROM pgbench_accounts;
		CREATE FUNCTION set_amount() RETURNS trigger LANGUAGE plpgsql AS
			'BEGIN UPDATE pgbench_accounts SET abalance = NEW.amount WHERE aid = NEW.account; RETURN NEW; END';
		CREATE TRIGGER set_amount INSTEAD OF UPDATE ON named FOR EACH ROW EXECUTE FUNCTION set_amount();
		CREATE FUNCTION move(account int, amount int) RETURNS bigint LANGUAGE plpgsql AS $$
		DECLARE b bigint;
		BEGIN
			UPDATE pgbench_accounts SET abalance = abalance + amount WHERE aid = account RETURNING abalance INTO b;
			RETURN b + (SELECT count(*) FROM pgbench_accounts WHERE aid = account AND abalance > 0);
		END $$;
	SQL
}

# ready CONTENDER: a copy in which contract is next
ready() {
	fresh_database "swap_$1" swap
	psql_on "swap_$1" <<-'SQL'
		SELECT tandem.register_release(1);
		SELECT tandem.switch_release(1);
		SELECT tandem.create_views(1, schemas => '{public}');
		BEGIN;
		SELECT tandem.create_migration('wide', 2);
		SELECT tandem.change_column('wide', 'pgbench_accounts', 'abalance', 'bigint');
		SELECT tandem.create_views(2, schemas => '{public}');
		COMMIT;
		CALL tandem.migrate('wide');
		SELECT tandem.switch_release(2);
	SQL
}

# call CONTENDER: notes when it began and ended
call() {
	local began=$EPOCHREALTIME status=0 sql="CALL tandem.contract('wide', undeclared => 'ignore')"
	[ "$1" != none ] || sql="SELECT pg_sleep($seconds)"
	PGOPTIONS="-c tandem.lock_retry_time=${seconds}s" query "swap_$1" "$sql" >/dev/null 2>"$cluster/call.$1.err" || status=$?
	echo "$began $EPOCHREALTIME $status" >"$cluster/call.$1"
}

start_clients() {
	local options='-c tandem.release=2 -c search_path=release_2,public'
	PGOPTIONS=$options start_load "swap_$1" -M prepared -s "$(size 5 1)" -b tpcb-like@1 -f "$cluster/move.sql@1" -c 4 -j 1 -R 100
}

# judge ROUND CONTENDER
judge() {
	local began ended status failures
	read -r began ended status <"$cluster/call.$2"
	case $2 in
		view_reader) [ "$status" != 0 ] || fail 'contract has not met the reader' ;;
		*) [ "$status" = 0 ] || fail "$2: $(<"$cluster/call.$2.err")" ;;
	esac
	failures=$(load_failures "swap_$2")
	all_failures=$((all_failures + failures))
	value failures "$2" "$1" "$failures"
	value call "$2" "$1" "$(awk -v a="$began" -v b="$ended" 'BEGIN { print b - a }')"
	value stall "$2" "$1" "$(load_times "swap_$2" "$began" "$ended" no_lag | cut -d ' ' -f 2 | sort -g | tail -n 1)"
}

cat >"$cluster/move.sql" <<-'END'
	\set aid random(1, 100000 * :scale)
	\set delta random(-5000, 5000)
	SELECT move(:aid, :delta);
END
make_template
for ((round = 1; round <= rounds; round++)); do
	say "$part, round $round of $rounds"
	all_failures=0
	for contender in "${contenders[@]}" view_reader; do
		ready "$contender" 2>/dev/null
		start_clients "$contender"
	done
	sleep 2
	query swap_view_reader "BEGIN; SELECT count(*) FROM rich; SELECT pg_sleep($seconds + 30); COMMIT" >/dev/null 2>&1 &
	sleep 1
	pids=()
	for contender in "${contenders[@]}" view_reader; do
		call "$contender" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || true
	done
	value named view_reader "$round" "$(grep -c 'Blocked by: .*process\|Blocked by: .*pid\|Blocked by: session' "$cluster/call.view_reader.err")"
	query postgres "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'swap_view_reader' AND query LIKE '%FROM rich%' AND pid <> pg_backend_pid()" >/dev/null
	sleep 1
	for contender in "${contenders[@]}" view_reader; do
		stop_load "swap_$contender"
		judge "$round" "$contender"
	done
	value failures all "$round" "$all_failures"
done
query swap 'DROP VIEW poor; REVOKE ALL ON SCHEMA public FROM pg_monitor' >/dev/null
drop_databases swap "${contenders[@]/#/swap_}" swap_view_reader
