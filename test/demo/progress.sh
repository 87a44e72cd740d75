# How far a migration is: one line redrawn on a terminal, else a line every second.
# shellcheck shell=bash

# progress_lines CONDITION
progress_lines() {
	query "SELECT concat_ws('  ', format('%s [%s] %s %%', rpad(step, 10), bar, lpad(percent::text, 5)),
			CASE WHEN total > 0 AND doing IS NULL AND object IS NULL THEN lpad(to_char(rows_done, 'FM9,999,999'), 9) || ' rows' END,
			coalesce(doing, object), to_char(nullif(rows_per_second, 0), 'FM9,999,999') || '/s', time_left || ' left',
			waiting, 'waits for ' || blockers)
		FROM tandem.progress WHERE $1"
}

# show_progress MIGRATION: until its run in the background has ended
show_progress() {
	local line pause=1 head='' tail=$'\n'
	[ ! -t 1 ] || pause=0.2 head=$'\r' tail=$'\e[K'
	while [ "$(query "SELECT background FROM tandem.migrations WHERE name = '$1'")" = t ]; do
		line=$(progress_lines "migration = '$1' AND state IN ('running', 'waiting') AND (rows_done > 0 OR doing IS NOT NULL) LIMIT 1")
		[ -z "$line" ] || printf '%s   %s%s' "$head" "${line:0:120}" "$tail"
		sleep "$pause"
	done
	printf '%s' "$head${head:+$'\e[K'}"
	progress_lines "migration = '$1'" | sed 's/^/   /'
}
