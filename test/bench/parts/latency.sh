# What the clients of an application at half of its peak feel of a fill.
# shellcheck shell=bash
: "${cluster:?}" "${rounds:?}"
rows=$(size 1000000 200000 20000)
contenders=(none cpu_alone tandem_1 keyset_triggers update)
# of each of three runs, of which the best counts: others use the machine's host too
peak_seconds=$(size 5 2 1)
# how long none is looked at
calm_seconds=$(size 15 4 1)

title "Latency of the application during the fill, $rows rows"
note 'Transactions of test/bench/load/sale.sql (a random item is repriced, read and sold) by 4 clients of pgbench at half of the peak rate without a fill; a transaction counts from the moment it was due. none: no migration; cpu_alone: a process that computes as long as a batch of ours beside clients, rests as long, and does nothing else. All settings at their defaults, synchronous_commit on.'
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

turn() {
	local began ended seconds times=$cluster/times sorted=$cluster/sorted
	fresh_items selling
	start_load selling -R "$rate" "${load[@]}"
	sleep "$(size 3 1)"
	began=$EPOCHREALTIME
	if [ "$2" = none ]; then
		sleep "$calm_seconds"
	else
		# the expand of each takes milliseconds
		run_file selling "test/bench/contenders/fill/$2.sql" >/dev/null
	fi
	ended=$EPOCHREALTIME
	sleep 1
	stop_load selling
	[ "$(load_failures selling)" = 0 ] || fail "a transaction failed: $(tail -n 3 "$cluster/load.selling.err")"
	load_times selling "$began" "$ended" lag >"$times"
	cut -d ' ' -f 2 "$times" | sort -g >"$sorted"
	seconds=$(awk -v a="$began" -v b="$ended" 'BEGIN { print b - a }')
	value p50 "$2" "$1" "$(percentile 0.5 <"$sorted")"
	value p99 "$2" "$1" "$(percentile 0.99 <"$sorted")"
	value longest "$2" "$1" "$(tail -n 1 "$sorted")"
	value rate "$2" "$1" "$(awk -v s="$seconds" 'END { print NR / s }' "$sorted")"
	[ "$2" = none ] || [ "$2" = cpu_alone ] || value 'fill' "$2" "$1" "$seconds"
	# update has no sync: rows that are written meanwhile are lost to it
	case $2 in
		tandem_1 | keyset_triggers) check_cents selling ;;
	esac
	[ "$2" != tandem_1 ] || value ended "$2" "$1" "$(query selling "SELECT (phase = 'contract')::int FROM tandem.migrations")"
	[ "$1" != "$rounds" ] || curve "$2" <"$times"
}

item_template "$rows"
fresh_items selling
peak=$(for _ in 1 2 3; do tps selling -n -T "$peak_seconds" "${load[@]}"; done | sort -g | tail -n 1)
rate=$((${peak%.*} / 2))
[ "$rate" -gt 0 ] || fail "no peak rate: $peak"
note "Peak: ${peak%.*} transactions a second, so the load is $rate a second."
interleave "$rounds" turn "${contenders[@]}"
drop_databases selling
