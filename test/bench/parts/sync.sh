# What the sync costs each write: CPU bound, all in memory.
# shellcheck shell=bash
: "${rounds:?}" "${item_bytes:?}" "${c_triggers:?}"
rows=$(size 1000000 100000 5000)
contenders=(none generated noop_c c_by_hand plpgsql pgroll_manner tandem)

title "Cost of the sync, $rows rows"
note "The server's time of one statement over all rows. Rows of about $item_bytes bytes, two indexes, everything in memory, a VACUUM and a CHECKPOINT before each. For noop_c the statement writes both columns itself, so that it leaves the same rows as tandem; none has no second column."
measure INSERT 'us a row'
measure UPDATE 'us a row'
measure 'UPDATE of another column' 'us a row'
for what in INSERT UPDATE; do
	target "sync on $what: time over no trigger, of the pgroll-manner pair's" "$what:tandem-none" "$what:pgroll_manner-none" '<=' 0.125
done
target "sync on INSERT: time over no trigger, of the hand-written PL/pgSQL trigger's" INSERT:tandem-none INSERT:plpgsql-none '<=' 0.333
target "sync on UPDATE: time over no trigger, of the hand-written PL/pgSQL trigger's" UPDATE:tandem-none UPDATE:plpgsql-none '<=' 0.5
for what in INSERT UPDATE; do
	target "sync on $what: total time, of the do-nothing C trigger writing the same row" "$what:tandem" "$what:noop_c" '<=' 1.10
done
# the floor: what the lines above come to when whoever writes the trigger knows the table
for what in INSERT UPDATE; do
	target "sync on $what: total time, of a C trigger written by hand for this table" "$what:tandem" "$what:c_by_hand" '<=' 1.05
done
target 'sync on an UPDATE of another column: total time, of the do-nothing C trigger' \
	'UPDATE of another column:tandem' 'UPDATE of another column:noop_c' '<=' 1.03

make_contender() {
	fresh_database "sync_$1"
	psql_on "sync_$1" -v rows="$rows" -f test/bench/contenders/item.sql </dev/null
	query "sync_$1" "ALTER TABLE item RENAME TO source; ALTER TABLE source RENAME CONSTRAINT item_pkey TO source_pkey;
		ALTER INDEX item_created RENAME TO source_created;
		CREATE TABLE item (LIKE source INCLUDING ALL) WITH (autovacuum_enabled = off)"
	run_file "sync_$1" "test/bench/contenders/sync/$1.sql" -v c_triggers="$c_triggers" >/dev/null
}

# cost ROUND CONTENDER MEASURE STATEMENT
cost() {
	local ms
	ms=$(run_ms "sync_$2" "$4")
	value "$3" "$2" "$1" "$(awk -v ms="$ms" -v rows="$rows" 'BEGIN { print ms * 1000 / rows }')"
	query "sync_$2" 'VACUUM item'
}

turn() {
	local columns='id, price, stock, created, name' values='id, price, stock, created, name' set='price = price + 1'
	if [ "$2" = noop_c ]; then
		columns+=', cents' values+=', price * 100::bigint' set+=', cents = (price + 1) * 100::bigint'
	fi
	query "sync_$2" 'TRUNCATE item'
	cost "$1" "$2" INSERT "INSERT INTO item ($columns) SELECT $values FROM source"
	cost "$1" "$2" UPDATE "UPDATE item SET $set"
	cost "$1" "$2" 'UPDATE of another column' 'UPDATE item SET stock = stock + 1'
	[ "$2" = none ] || check_cents "sync_$2"
}

for contender in "${contenders[@]}"; do
	make_contender "$contender"
done
interleave "$rounds" turn "${contenders[@]}"
drop_databases "${contenders[@]/#/sync_}"
