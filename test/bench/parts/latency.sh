# What the clients of an application at half of its peak feel of a fill.
# shellcheck shell=bash
: "${cluster:?}" "${rounds:?}"
rows=$(size 1000000 200000 20000)
contenders=(ours keyset_triggers update)
# of each of three runs, of which the best counts: others use the machine's host too
peak_seconds=$(size 5 2 1)
# how long our fill goes on, and is paused
stage_ms=$(size 3000 1000 100)

title "Latency of the application during the fill, $rows rows"
note 'Transactions of test/bench/load/sale.sql (a random item is repriced, read and sold) by 4 clients of pgbench at half of the peak rate without a fill; a transaction counts from the moment it was due. All settings at their defaults, synchronous_commit on.'
note "tandem_1, none and cpu_alone take turns within each fill of ours, for $stage_ms ms each, so that what else the disk and the host do comes to all of them: none is the fill while it is paused; cpu_alone is that, with a process beside it that computes as long as a batch of ours beside clients, rests as long, and does nothing else."
measure p50 ms
measure p99 ms
measure longest ms
measure 'fill' s
measure rate 'transactions a second'
target 'p99 latency at 50 % of the peak rate during the fill, of without' p99:tandem_1 p99:none '<=' 1.25
target 'p99 latency likewise, of beside a process that only computes as long' p99:tandem_1 p99:cpu_alone '<=' 1.25
target 'the fill ends under that load (rounds that it ended in, of all)' ended:tandem_1 1 '>=' 1

load=(-M prepared -f test/bench/load/sale.sql -D rows="$rows" -c 4 -j 2)

# percentile P: of sorted numbers
percentile() {
	awk -v p="$1" '{ v[NR] = $1 } END { i = int(NR * p); if (i < NR * p) i++; print NR ? v[i < 1 ? 1 : i] : 0 }'
}

# curve CONTENDER: the longest transaction of each quarter of a second
curve() {
	awk '{ t = int($1 * 4); if ($2 > longest[t]) longest[t] = $2; if (t > last) last = t }
		END { for (t = 0; t <= last; t++) if (t in longest) printf "%.2f %.3f\n", t / 4, longest[t] }' |
		while read -r t ms; do point "$1" "$t" "$ms"; done
}

# percentiles CONTENDER ROUND: of the times in $times
percentiles() {
	local sorted=$cluster/sorted
	cut -d ' ' -f 2 "$times" | sort -g >"$sorted"
	value p50 "$1" "$2" "$(percentile 0.5 <"$sorted")"
	value p99 "$1" "$2" "$(percentile 0.99 <"$sorted")"
	value longest "$1" "$2" "$(tail -n 1 "$sorted")"
	value rate "$1" "$2" "$(awk -v s="$seconds" 'END { print NR / s }' "$sorted")"
	[ "$2" != "$rounds" ] || curve "$1" <"$times"
}

begin_load() {
	fresh_items selling
	start_load selling -R "$rate" "${load[@]}"
	sleep "$(size 3 1)"
}

end_load() {
	sleep 1
	stop_load selling
	[ "$(load_failures selling)" = 0 ] || fail "a transaction failed: $(tail -n 3 "$cluster/load.selling.err")"
}

# a whole fill
turn() {
	local began ended seconds times=$cluster/times
	begin_load
	began=$EPOCHREALTIME
	run_file selling "test/bench/contenders/fill/$2.sql" >/dev/null
	ended=$EPOCHREALTIME
	end_load
	load_times selling "$began" "$ended" lag >"$times"
	seconds=$(awk -v a="$began" -v b="$ended" 'BEGIN { print b - a }')
	percentiles "$2" "$1"
	value 'fill' "$2" "$1" "$seconds"
	# update has no sync: rows that are written meanwhile are lost to it
	[ "$2" = update ] || check_cents selling
}

is_filling() { kill -0 "$filler" 2>/dev/null; }

# stay MS: or until the fill ends
stay() {
	local until=$((${EPOCHREALTIME/./} + $1 * 1000))
	while is_filling && [ "${EPOCHREALTIME/./}" -lt "$until" ]; do
		sleep 0.05
	done
}

pause_fill() {
	query selling "SELECT tandem.pause('cents')" >/dev/null
	until [ "$(query selling "SELECT coalesce(bool_or(waiting ~ '^paused'), false) FROM tandem.progress")" = t ]; do
		is_filling || return
		sleep 0.02
	done
}

# It looks five times a second whether it may go on.
resume_fill() {
	query selling "SELECT tandem.resume('cents')" >/dev/null || ! is_filling
	sleep 0.25
}

# stage NAME COMMAND...: what the clients feel while it runs
stage() {
	local began=$EPOCHREALTIME
	"${@:2}"
	echo "$began $EPOCHREALTIME" >>"$cluster/stage.$1"
}

# our fill, paused again and again
turns_of_ours() {
	local times=$cluster/times began ended before name seconds filler
	rm -f "$cluster"/stage.*
	begin_load
	run_file selling test/bench/contenders/sync/tandem.sql >/dev/null
	query selling "CALL tandem.migrate('cents', workers => 1)" 2>/dev/null &
	filler=$!
	while is_filling; do
		stage tandem_1 stay "$stage_ms"
		pause_fill || break
		stage none stay "$stage_ms"
		resume_fill
		stage tandem_1 stay "$stage_ms"
		pause_fill || break
		stage cpu_alone run_file selling test/bench/contenders/fill/cpu_alone.sql -v ms="$stage_ms" >/dev/null
		resume_fill
	done
	wait "$filler"
	end_load
	for name in none cpu_alone tandem_1; do
		# a short fill may not come to it
		[ -f "$cluster/stage.$name" ] || continue
		seconds=0
		: >"$times"
		while read -r began ended; do
			before=$seconds
			seconds=$(awk -v a="$began" -v b="$ended" -v s="$seconds" 'BEGIN { print s + b - a }')
			load_times selling "$began" "$ended" lag | awk -v s="$before" '{ $1 += s; print }' >>"$times"
		done <"$cluster/stage.$name"
		percentiles "$name" "$1"
		[ "$name" != tandem_1 ] || value 'fill' "$name" "$1" "$seconds"
	done
	check_cents selling
	value ended tandem_1 "$1" "$(query selling "SELECT (phase = 'contract')::int FROM tandem.migrations")"
}

turn_of() {
	if [ "$2" = ours ]; then
		turns_of_ours "$1"
	else
		turn "$1" "$2"
	fi
}

item_template "$rows"
fresh_items selling
peak=$(for _ in 1 2 3; do tps selling -n -T "$peak_seconds" "${load[@]}"; done | sort -g | tail -n 1)
rate=$((${peak%.*} / 2))
[ "$rate" -gt 0 ] || fail "no peak rate: $peak"
note "Peak: ${peak%.*} transactions a second, so the load is $rate a second."
interleave "$rounds" turn_of "${contenders[@]}"
drop_databases selling
