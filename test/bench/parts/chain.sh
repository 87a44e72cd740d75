# Several syncs on one wide table.
# shellcheck shell=bash
: "${rounds:?}"
rows=$(size 300000 40000 2000)
contenders=(none one parallel_4 chain_4)

title "Several syncs on a table of 30 columns, $rows rows"
note 'parallel_4: four pairs of columns; chain_4: five columns, each made from the one before, as four releases in a row leave them. Every statement writes the four first columns, of which one syncs the first.'
measure INSERT 'us a row'
measure UPDATE 'us a row'
for what in INSERT UPDATE; do
	for which in parallel chain; do
		target "4 ${which/chain/chained} syncs on a 30-column table, $what: time over none, of one sync's" \
			"$what:${which}_4-none" "$what:one-none" '<=' 1.5
	done
done

# add_sync DATABASE OLD NEW
add_sync() {
	query "$1" "BEGIN;
		SELECT tandem.create_migration('$3');
		SELECT tandem.add_column('$3', 'wide', '$3', 'int');
		SELECT tandem.sync_column('$3', 'wide', old => '$2', new => '$3', up => '$2 + 1', down => '$3 - 1');
		COMMIT" >/dev/null
}

make_contender() {
	local database=chain_$1 i columns values
	columns=$(printf 'c%d int, ' {2..29})
	values=$(printf 'i + %d, ' {2..29})
	fresh_database "$database"
	query "$database" "CREATE EXTENSION pg_tandem;
		CREATE TABLE wide (c1 int PRIMARY KEY, $columns name text) WITH (autovacuum_enabled = off);
		CREATE INDEX ON wide (c29);
		CREATE TABLE source (LIKE wide);
		INSERT INTO source SELECT i, $values repeat('x', 40) FROM generate_series(1, $rows) i;
		ANALYZE source"
	query "$database" 'VACUUM source'
	case $1 in
		one) add_sync "$database" c2 d2 ;;
		parallel_4) for i in {2..5}; do add_sync "$database" "c$i" "d$i"; done ;;
		chain_4)
			add_sync "$database" c2 d2
			for i in {3..5}; do add_sync "$database" "d$((i - 1))" "d$i"; done
			;;
	esac
}

# cost ROUND CONTENDER MEASURE STATEMENT
cost() {
	write_cost "$1" "$2" "$3" "chain_$2" wide "$rows" "$4"
}

check() {
	local wrong=false
	case $1 in
		one) wrong='d2 IS DISTINCT FROM c2 + 1' ;;
		parallel_4) wrong='(d2, d3, d4, d5) IS DISTINCT FROM (c2 + 1, c3 + 1, c4 + 1, c5 + 1)' ;;
		chain_4) wrong='(d2, d3, d4, d5) IS DISTINCT FROM (c2 + 1, c2 + 2, c2 + 3, c2 + 4)' ;;
	esac
	[ "$(query "chain_$1" "SELECT count(*) FROM wide WHERE $wrong")" = 0 ] || fail "chain_$1: rows are wrong"
}

turn() {
	query "chain_$2" 'TRUNCATE wide'
	cost "$1" "$2" INSERT "INSERT INTO wide ($columns name) SELECT * FROM source"
	cost "$1" "$2" UPDATE 'UPDATE wide SET c2 = c2 + 1, c3 = c3 + 1, c4 = c4 + 1, c5 = c5 + 1'
	check "$2"
}

columns=$(printf 'c%d, ' {1..29})
for contender in "${contenders[@]}"; do
	make_contender "$contender"
done
interleave "$rounds" turn "${contenders[@]}"
drop_databases "${contenders[@]/#/chain_}"
