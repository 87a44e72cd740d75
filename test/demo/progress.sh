# How far a migration is: one line redrawn on a terminal, else a line every second.
# shellcheck shell=bash

# progress_lines CONDITION
progress_lines() {
	query "SELECT format('%s [%s] %s %%  %s rows%s%s', rpad(step, 8), bar, lpad(percent::text, 5),
			lpad(to_char(rows_done, 'FM9,999,999'), 9),
			coalesce('  ' || to_char(rows_per_second, 'FM9,999,999') || '/s', ''),
			coalesce('  ' || time_left || ' left', ''))
		FROM tandem.progress WHERE $1 ORDER BY step"
}

# show_progress PID: until that process ends
show_progress() {
	local line pause=1 head='' tail=$'\n'
	[ ! -t 1 ] || pause=0.2 head=$'\r' tail=$'\e[K'
	while kill -0 "$1" 2>/dev/null; do
		line=$(progress_lines "state = 'running' AND rows_done > 0")
		[ -z "$line" ] || printf '%s   %s%s' "$head" "$line" "$tail"
		sleep "$pause"
	done
	printf '%s' "$head${head:+$'\e[K'}"
	progress_lines true | sed 's/^/   /'
}
