# The contenders that a sync is measured beside, and by what.
# shellcheck shell=bash
: "${c_triggers:?}"
sync_contenders=(none generated noop_c c_by_hand plpgsql pgroll_manner tandem)
sync_measures=(INSERT UPDATE 'UPDATE of another column')
export sync_contenders sync_measures

# measure_sync UNIT TOTAL: the measures, and ours beside the do-nothing C trigger; TOTAL: what is counted of a write
measure_sync() {
	local on
	for on in "${sync_measures[@]}"; do
		measure "$on" "$1"
	done
	for on in INSERT UPDATE; do
		target "sync on $on: $2, of the do-nothing C trigger writing the same row" "$on:tandem" "$on:noop_c" '<=' 1.10
	done
	on=${sync_measures[2]}
	target "sync on an $on: $2, of the do-nothing C trigger" "$on:tandem" "$on:noop_c" '<=' 1.03
}

# make_sync_contender NAME ROWS: the database sync_NAME, with the rows in source and none in item
make_sync_contender() {
	fresh_database "sync_$1"
	psql_on "sync_$1" -v rows="$2" -f test/bench/contenders/item.sql </dev/null
	query "sync_$1" "ALTER TABLE item RENAME TO source; ALTER TABLE source RENAME CONSTRAINT item_pkey TO source_pkey;
		ALTER INDEX item_created RENAME TO source_created;
		CREATE TABLE item (LIKE source INCLUDING ALL) WITH (autovacuum_enabled = off)"
	run_file "sync_$1" "test/bench/contenders/sync/$1.sql" -v c_triggers="$c_triggers" >/dev/null
}

# sync_statements NAME: those of the measures, one a line
sync_statements() {
	local columns='id, price, stock, created, name' values='id, price, stock, created, name' set='price = price + 1'
	if [ "$1" = noop_c ]; then
		columns+=', cents' values+=', price * 100::bigint' set+=', cents = (price + 1) * 100::bigint'
	fi
	echo "INSERT INTO item ($columns) SELECT $values FROM source"
	echo "UPDATE item SET $set"
	echo 'UPDATE item SET stock = stock + 1'
}
