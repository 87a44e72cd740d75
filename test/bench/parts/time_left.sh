# How near the time left is that tandem.stat_progress tells of a fill.
# shellcheck shell=bash
: "${cluster:?}"
rows=$(size 4000000 500000 50000)
time_left_rounds=$(size 3 2 1)

title "The time left of a fill of $rows rows"
note 'full: at full speed, with the VACUUMs between. rests: with tandem.max_rows_per_second at a fifth of that. Five looks a second, from a tenth of the fill on; off: of nine looks in ten at most so far from the time left by the wall clock, as a part of it. unknown: the part of the looks that tell nothing.'
measure off %
measure unknown %
for what in full rests; do
	target "time left, $what: nine looks in ten are off by at most, %" "off:$what" 1 '<=' 25
	target "time left, $what: looks that tell nothing, %" "unknown:$what" 1 '<=' 5
done

# looks: when, the part done, the seconds left, until the fill has ended
looks() {
	{
		echo '\set FETCH_COUNT 0'
		echo "SELECT extract(epoch FROM clock_timestamp()), 1.0 * blocks_done / nullif(blocks_total, 0), coalesce(seconds_left, -1), state
			FROM tandem.stat_progress WHERE kind = 'backfill' \\watch 0.2"
	} | psql_on timed -f - 2>/dev/null
}

turn() {
	local watcher ended rate
	fresh_items timed
	run_file timed test/bench/contenders/sync/tandem.sql >/dev/null
	rate=$(size 50000 20000 5000)
	[ "$2" = full ] || query timed "SELECT tandem.configure('cents', 'tandem.max_rows_per_second', '$rate')" >/dev/null
	looks >"$cluster/looks" &
	watcher=$!
	# the time left is that of the fill, which has ended when verify begins
	PGOPTIONS='-c client_min_messages=warning' psql_on timed -c "CALL tandem.migrate('cents')" </dev/null
	ended=$(query timed "SELECT extract(epoch FROM min(started_at)) FROM tandem.step WHERE kind = 'verify'")
	kill "$watcher" 2>/dev/null
	wait "$watcher" 2>/dev/null || true
	awk -v ended="$ended" '
		$1 < ended && $2 >= 0.1 {
			n++
			if ($3 < 0) { unknown++; next }
			is = ended - $1
			# of the last second nobody asks
			if (is >= 1) print ($3 > is ? $3 - is : is - $3) / is * 100
		}
		END { print (n ? unknown * 100 / n : 100) > "/dev/stderr" }' "$cluster/looks" 2>"$cluster/unknown" | sort -n >"$cluster/off"
	[ -s "$cluster/off" ] || fail "$2: no time left was told"
	value off "$2" "$1" "$(awk '{ off[NR] = $1 } END { print off[int((NR - 1) * 0.9) + 1] }' "$cluster/off")"
	value unknown "$2" "$1" "$(cat "$cluster/unknown")"
	drop_databases timed
}

item_template "$rows"
interleave "$time_left_rounds" turn full rests
