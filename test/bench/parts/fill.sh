# Filling a table that nobody else works on: time, and what is left behind.
# shellcheck shell=bash
: "${rounds:?}" "${item_bytes:?}"
rows=$(size 2000000 100000 5000)
contenders=(update alter_type keyset_triggers keyset_update blocks_plpgsql tandem_1 tandem_2 tandem_1_no_vacuum tandem_2_no_vacuum tandem_1_room)
cores=$(nproc)

title "Filling a new column of $rows rows"
note "Rows of about $item_bytes bytes, two indexes. The time of ours is that of the whole CALL tandem.migrate: fill, VACUUM in between, ANALYZE, and the proof of every row; of that, fill step is the step that fills. tandem_1_room: pages of which less than half is in use, so that every new version stays on its page, in one visit; alter_type closes the table."
measure time s
measure rate 'rows a second'
measure 'fill step' s
measure heap 'after / before'
measure indexes 'after / before'
measure WAL MB
target 'fill, one worker: rows/s, of one UPDATE' rate:tandem_1 rate:update '>=' 1
target 'fill, one worker: rows/s, of keyset batches through triggers' rate:tandem_1 rate:keyset_triggers '>=' 1.5
[ "$cores" -lt 2 ] || target 'fill, 2 workers: rows/s, of one' rate:tandem_2 rate:tandem_1 '>=' 1.6
target "fill, one worker: time, of ALTER TYPE's" time:tandem_1 time:alter_type '<=' 1.5
[ "$cores" -lt 2 ] || target "fill, 2 workers: time, of ALTER TYPE's" time:tandem_2 time:alter_type '<=' 1
target 'heap after the fill, of before' heap:tandem_1 1 '<=' 1.12
target 'indexes after the fill, of what one UPDATE leaves' indexes:tandem_1 indexes:update '<=' 1
target 'WAL of the fill, of one UPDATE' WAL:tandem_1 WAL:update '<=' 1

sizes() {
	query filling "SELECT pg_relation_size('item'), pg_indexes_size('item'), pg_current_wal_insert_lsn() - '0/0'"
}

# ratio A B
ratio() {
	awk -v a="$1" -v b="$2" 'BEGIN { print a / b }'
}

make_room() {
	query filling 'ALTER TABLE item SET (fillfactor = 45)'
	query filling 'VACUUM (FULL, FREEZE, ANALYZE) item'
	warm_items filling
}

turn() {
	local heap indexes wal ms heap_after indexes_after wal_after
	fresh_items filling
	[ "$2" != tandem_1_room ] || make_room
	read -r heap indexes wal < <(sizes)
	ms=$(run_file filling "test/bench/contenders/fill/$2.sql")
	read -r heap_after indexes_after wal_after < <(sizes)
	value time "$2" "$1" "$(ratio "$ms" 1000)"
	value rate "$2" "$1" "$(ratio "${rows}000" "$ms")"
	value heap "$2" "$1" "$(ratio "$heap_after" "$heap")"
	value indexes "$2" "$1" "$(ratio "$indexes_after" "$indexes")"
	value WAL "$2" "$1" "$(ratio "$((wal_after - wal))" 1048576)"
	case $2 in tandem*)
		value 'fill step' "$2" "$1" "$(query filling "SELECT extract(epoch FROM run_time) FROM tandem.step WHERE kind = 'backfill'")"
		;;
	esac
	[ "$2" = alter_type ] || check_cents filling
}

item_template "$rows"
interleave "$rounds" turn "${contenders[@]}"
drop_databases filling
