# Applications at work meanwhile: pgbench until it is told to stop, each transaction logged.
# shellcheck shell=bash
: "${bindir:?}" "${cluster:?}"
declare -A load_pid=()

# start_load DATABASE OPTION...
start_load() {
	local database=$1
	shift
	rm -f "$cluster/load.$database".*
	PGAPPNAME=load "$bindir/pgbench" -n -T 86400 -l --log-prefix="$cluster/load.$database" "$@" "$database" \
		>"$cluster/load.$database.out" 2>"$cluster/load.$database.err" </dev/null &
	load_pid[$database]=$!
}

# SIGALRM is what ends pgbench at its -T: each client finishes its transaction, then it reports.
stop_load() {
	local pid=${load_pid[$1]} try
	kill -ALRM "$pid" || fail "the load on $1 has died: $(tail -n 3 "$cluster/load.$1.err")"
	for try in {1..1200}; do
		kill -0 "$pid" 2>/dev/null || break
		[ "$try" -lt 1200 ] || fail "the load on $1 does not stop"
		sleep 0.1
	done
	unset "load_pid[$1]"
	wait "$pid" || true
}

kill_loads() {
	[ ${#load_pid[@]} -eq 0 ] || kill -TERM "${load_pid[@]}" 2>/dev/null || true
}

# Transactions that failed and clients that gave up.
load_failures() {
	local failed aborted
	failed=$(sed -n 's/^number of failed transactions: \([0-9]*\).*/\1/p' "$cluster/load.$1.out")
	aborted=$(grep -c 'aborted in command' "$cluster/load.$1.err" || true)
	echo $((${failed:-1} + aborted))
}

# load_times DATABASE FROM TO lag|no_lag: of each transaction with a part of it between these moments when it ended, in
# seconds after FROM, and how long it took in ms: since it was due, or without the time until its client was free
load_times() {
	cat "$cluster/load.$1".[0-9]* | awk -v from="$2" -v to="$3" -v lag="$4" '
		$3 ~ /^[0-9]+$/ {
			ended = ($5 - int(from)) + $6 / 1e6 - (from - int(from))
			began = ended - $3 / 1e6
			if (began < to - from && ended > 0)
				printf "%.3f %.3f\n", ended, ($3 - (lag == "lag" ? 0 : $7)) / 1000
		}'
}
