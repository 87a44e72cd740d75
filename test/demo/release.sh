# A release of the application: a pgbench that works until it is told to stop.
# shellcheck shell=bash
: "${bindir:?}" "${demo:?}"
declare -A release_pid=()

# start_release NAME OPTION...: every session of it declares its release, the number in its name, and
# finds its views
start_release() {
	local name=$1 declare="-c tandem.release=${1#release_} -c search_path=$1"
	shift
	show "PGOPTIONS='$declare' pgbench $*"
	PGOPTIONS=$declare PGAPPNAME=$name "$bindir/pgbench" -n -T 86400 -l --log-prefix="$demo/$name" "$@" \
		>"$demo/$name.out" 2>"$demo/$name.err" </dev/null &
	release_pid[$name]=$!
}

# SIGALRM is what ends pgbench at its -T: each client finishes its transaction, then it reports.
stop_release() {
	local name=$1 try pid=${release_pid[$1]}
	check_release "$name"
	kill -ALRM "$pid"
	for try in {1..100}; do
		kill -0 "$pid" 2>/dev/null || break
		[ "$try" -lt 100 ] || fail "$name does not stop"
		sleep 0.1
	done
	unset "release_pid[$name]"
	wait "$pid" || fail "$name ended with status $?: $(tail -n 3 "$demo/$name.err")"
}

# await_refusal NAME: until all its clients have been refused
await_refusal() {
	local name=$1 try pid=${release_pid[$1]}
	for try in {1..100}; do
		kill -0 "$pid" 2>/dev/null || break
		[ "$try" -lt 100 ] || fail "$name goes on"
		sleep 0.1
	done
	unset "release_pid[$name]"
	wait "$pid"
	note "$(grep -m 1 'no longer served' "$demo/$name.err")"
}

refusals_of() {
	grep -cE "\] $1: ERROR: .* is no longer served" "$demo/server.log"
}

check_release() {
	kill -0 "${release_pid[$1]}" 2>/dev/null || fail "$1 has died: $(tail -n 3 "$demo/$1.err")"
}

kill_releases() {
	[ ${#release_pid[@]} -eq 0 ] || kill -TERM "${release_pid[@]}" 2>/dev/null
}

transactions_of() {
	sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$demo/$1.out"
}

# Transactions that pgbench counts as failed, clients that gave up, statements that the server
# answered with an error, other than a refusal of the release.
failures_of() {
	local failed aborted errors
	failed=$(sed -n 's/^number of failed transactions: \([0-9]*\).*/\1/p' "$demo/$1.out")
	aborted=$(grep 'aborted in command' "$demo/$1.err" | grep -vc 'no longer served')
	errors=$(grep -E "\] $1: (ERROR|FATAL|PANIC):" "$demo/server.log" | grep -vc 'no longer served')
	echo $((${failed:-1} + aborted + errors))
}
