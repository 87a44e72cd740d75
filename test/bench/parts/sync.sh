# What the sync costs each write: CPU bound, all in memory.
# shellcheck shell=bash
: "${root:?}" "${item_bytes:?}"
# shellcheck source=/dev/null
. "$root/test/bench/lib/sync.sh"
: "${sync_contenders[0]:?}" "${sync_measures[0]:?}"
rows=$(size 3000000 100000 5000)
# a turn is a small part of them, so that what else the machine does comes to all contenders alike
turns=$(size 30 5 5)
turn_rows=$((rows / turns))

title "Cost of the sync, $rows rows"
note "The server's time of one statement over $turn_rows rows, $turns times. Rows of about $item_bytes bytes, two indexes, everything in memory, a VACUUM and a CHECKPOINT before each. For noop_c the statement writes both columns itself, so that it leaves the same rows as tandem; none has no second column."
for what in INSERT UPDATE; do
	target "sync on $what: time over no trigger, of the pgroll-manner pair's" "$what:tandem-none" "$what:pgroll_manner-none" '<=' 0.125
done
target "sync on INSERT: time over no trigger, of the hand-written PL/pgSQL trigger's" INSERT:tandem-none INSERT:plpgsql-none '<=' 0.333
target "sync on UPDATE: time over no trigger, of the hand-written PL/pgSQL trigger's" UPDATE:tandem-none UPDATE:plpgsql-none '<=' 0.5
measure_sync 'us a row' 'total time'

turn() {
	local statements i
	mapfile -t statements < <(sync_statements "$2")
	query "sync_$2" 'TRUNCATE item'
	for i in "${!statements[@]}"; do
		write_cost "$1" "$2" "${sync_measures[i]}" "sync_$2" item "$turn_rows" "${statements[i]}"
	done
	[ "$2" = none ] || check_cents "sync_$2"
}

for contender in "${sync_contenders[@]}"; do
	make_sync_contender "$contender" "$turn_rows"
done
interleave "$turns" turn "${sync_contenders[@]}"
drop_databases "${sync_contenders[@]/#/sync_}"
