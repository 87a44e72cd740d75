# The closing table. A line with a known right answer is checked against it.
# shellcheck shell=bash
: "${root:?}" "${demo:?}"
wrong=()

# line WHAT VALUE [RIGHT]
line() {
	local verdict=
	if [ $# -gt 2 ] && [ "$2" = "$3" ]; then
		verdict=$(paint green ok)
	elif [ $# -gt 2 ]; then
		verdict=$(paint red "wrong: should be $3")
		wrong+=("$1: $2, should be $3")
	fi
	printf '   %-48s %14s   %s\n' "$1" "$2" "$verdict"
}

summarize_release() {
	local name=$1 title=${1/_/ } logged
	logged=$(cat "$demo/$name".[0-9]* | grep -vc ' failed ')
	line "$title: transactions" "$(transactions_of "$name")" "$logged"
	line "$title: failures" "$(failures_of "$name")" 0
}

summarize_sums() {
	local accounts tellers branches history
	read -r accounts tellers branches history < <(query "
		SELECT (SELECT sum(abalance) FROM pgbench_accounts)::numeric(20, 2),
			(SELECT sum(tbalance_cents) / 100.0 FROM pgbench_tellers)::numeric(20, 2),
			(SELECT sum(bbalance) FROM pgbench_branches)::numeric(20, 2),
			(SELECT sum(delta) FROM pgbench_history)::numeric(20, 2)")
	line 'sum of the history' "$history"
	line 'sum of the branches' "$branches" "$history"
	line 'sum of the tellers, from cents' "$tellers" "$history"
	line 'sum of the accounts' "$accounts" "$history"
}

summarize_phases() {
	local name releases length count longest rate
	printf '\n%s\n' "$(paint bold "   phase      releases       length   transactions/s   longest stall")"
	while read -r name releases length count longest; do
		rate=-
		# shorter, it is too short to speak of a rate
		[ "$length" -lt 1000 ] || rate=$((count * 1000 / length))
		printf '   %-10s %-8s %9d ms %16s %12s ms\n' "$name" "$releases" "$length" "$rate" "$longest"
	done < <(awk -f "$root/test/demo/stalls.awk" "$demo/phases" "$demo"/release_[1-3].[0-9]*)
}

conclude() {
	echo
	if [ ${#wrong[@]} -gt 0 ]; then
		printf 'demo failed: %s\n' "${wrong[@]}" >&2
		exit 1
	fi
	say "$(paint green "All releases worked all the time, and nothing was lost. $1")"
}
