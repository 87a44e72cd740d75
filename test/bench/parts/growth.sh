# The same fill on ever larger tables: its speed and the memory of the process that fills.
# shellcheck shell=bash
: "${cluster:?}"
small=$(size 1000000 100000 5000)
middle=$(size 10000000 200000 10000)
large=$(size 40000000 400000 20000)
# the large one has one round: it takes as long as all others
growth_rounds=2

title 'Growth of the table'
note 'Rows a second of the whole CALL tandem.migrate. Memory: the most that the process which fills has of its own (RssAnon in /proc), looked at ten times a second. The largest table has one round.'
measure rate 'rows a second'
measure memory MB

# peak_memory PID: in kB, until the process is gone
peak_memory() {
	local peak=0 now
	while now=$(awk '/^RssAnon:/ { print $2 }' "/proc/$1/status" 2>/dev/null) && [ -n "$now" ]; do
		[ "$now" -le "$peak" ] || peak=$now
		sleep 0.1
	done
	echo "$peak"
}

# the table, filled, and the WAL
fits() {
	local free
	free=$(df --output=avail -k "$cluster" | tail -n 1)
	[ "$((free / 1024))" -gt "$(($1 * 250 / 1000000 + 12000))" ]
}

turn() {
	local rows=$2 watcher pid ms
	[ "$rows" != "$large" ] || [ "$1" = 1 ] || return 0
	fits "$rows" || {
		note "$rows rows are left out: the disk is too small."
		return 0
	}
	item_template "$rows"
	if [ "$rows" = "$large" ]; then
		query postgres "ALTER DATABASE items_$rows RENAME TO growing"
		warm_items growing
	else
		fresh_items growing
	fi
	run_file growing test/bench/contenders/sync/tandem.sql >/dev/null
	# a session that says its process id and then fills
	mkfifo "$cluster/pid"
	{
		echo "SELECT pg_backend_pid() \\g $cluster/pid"
		printf '%s\n' '\timing on'
		echo "CALL tandem.migrate('cents');"
	} | PGOPTIONS='-c client_min_messages=warning' psql_on growing -f - >"$cluster/growing.out" &
	watcher=$!
	read -r pid <"$cluster/pid"
	rm "$cluster/pid"
	value memory "$rows" "$1" "$(peak_memory "$pid" | awk '{ print $1 / 1024 }')"
	wait "$watcher" || fail "the fill of $rows rows failed"
	ms=$(awk '/^Time: / { print $2 }' "$cluster/growing.out")
	value rate "$rows" "$1" "$(awk -v ms="$ms" -v rows="$rows" 'BEGIN { print rows * 1000 / ms }')"
	check_cents growing
	drop_databases growing
}

for rows in "$middle" "$large"; do
	target "growth, $rows rows: rows/s, of $small rows" "rate:$rows" "rate:$small" '>=' 0.9
	target "growth, $rows rows: memory of the process that fills, of $small rows" "memory:$rows" "memory:$small" '<=' 1.1
done
interleave "$growth_rounds" turn "$small" "$middle" "$large"
drop_databases "items_$middle"
