# What the sync costs where a row costs least: a table of numbers, one index.
# shellcheck shell=bash
: "${rounds:?}" "${c_triggers:?}"
rows=$(size 1000000 100000 5000)
contenders=(none plpgsql tandem)

title "Cost of the sync on a narrow table, $rows rows"
note 'The time of one statement over all rows, a VACUUM and a CHECKPOINT before each. Rows of three numbers, one index: hardly anything of a write that a trigger could hide behind.'
for what in INSERT UPDATE 'UPDATE of another column'; do
	measure "$what" 'us a row'
done
for what in INSERT UPDATE; do
	target "sync on $what of a narrow table: time over no trigger, of the hand-written PL/pgSQL trigger's" \
		"$what:tandem-none" "$what:plpgsql-none" '<=' 0.5
done

make_contender() {
	fresh_database "narrow_$1"
	query "narrow_$1" 'CREATE TABLE item (id int PRIMARY KEY, price int, other int) WITH (autovacuum_enabled = off)'
	run_file "narrow_$1" "test/bench/contenders/sync/$1.sql" -v c_triggers="$c_triggers" >/dev/null
}

# cost ROUND CONTENDER MEASURE STATEMENT
cost() {
	write_cost "$1" "$2" "$3" "narrow_$2" item "$rows" "$4"
}

turn() {
	query "narrow_$2" 'TRUNCATE item'
	cost "$1" "$2" INSERT "INSERT INTO item (id, price) SELECT i, i FROM generate_series(1, $rows) i"
	cost "$1" "$2" UPDATE 'UPDATE item SET price = price + 1'
	cost "$1" "$2" 'UPDATE of another column' 'UPDATE item SET other = 1'
	[ "$2" = none ] || check_cents "narrow_$2"
}

for contender in "${contenders[@]}"; do
	make_contender "$contender"
done
interleave "$rounds" turn "${contenders[@]}"
drop_databases "${contenders[@]/#/narrow_}"
