# The sync beside the closest rival's pair of triggers, on tables of 10 and of 30 columns: each of the
# two has a variable for every column of the table, so what a write costs there grows with the table.
# shellcheck shell=bash
: "${short_rounds:?}" "${c_triggers:?}"
rows=$(size 100000 30000 2000)
contenders=()
for columns in 10 30; do
	contenders+=("none_$columns" "pgroll_manner_$columns" "tandem_$columns")
done

title "The sync beside a pair of triggers in pgroll's manner, tables of 10 and 30 columns"
note "The time of one statement over $rows rows; numbers, texts of 12 bytes and timestamps in turn, one index, a VACUUM and a CHECKPOINT before each. The pair is written from its description: two functions, a variable for each column in each, a SELECT of search_path, a column of its own that says whether the row is to be filled, written with each."
measure INSERT 'us a row'
measure UPDATE 'us a row'
for columns in 10 30; do
	target "sync on INSERT, $columns columns: time over no trigger, of the pgroll-manner pair's" \
		"INSERT:tandem_$columns-none_$columns" "INSERT:pgroll_manner_$columns-none_$columns" '<=' 0.10
done

# columns_of COLUMNS: id and price come first
columns_of() {
	local i types=(int text timestamptz)
	printf 'id int, price int'
	for ((i = 3; i <= $1; i++)); do
		printf ', c%d %s' "$i" "${types[i % 3]}"
	done
}

# values_of COLUMNS: of row i
values_of() {
	local i values=(i "left(md5(i::text), 12)" "'2025-01-01'::timestamptz + i * interval '1 s'")
	printf 'i AS id, i AS price'
	for ((i = 3; i <= $1; i++)); do
		printf ', %s AS c%d' "${values[i % 3]}" "$i"
	done
}

# names_of COLUMNS
names_of() {
	local i
	printf 'id, price'
	for ((i = 3; i <= $1; i++)); do
		printf ', c%d' "$i"
	done
}

# rival_function NAME COLUMNS COMPARISON ASSIGNMENT
rival_function() {
	local name
	echo "CREATE FUNCTION $1() RETURNS trigger LANGUAGE plpgsql AS \$\$ DECLARE"
	for name in $(names_of "$2" | tr -d ',') cents needs_fill; do
		echo "$name public.item.$name%TYPE := NEW.$name;"
	done
	echo "newest text; path text;
	BEGIN
		SELECT setting INTO path FROM current_setting('search_path') setting;
		IF path $3 'public_release_2' THEN
			$4;
			NEW.needs_fill := false;
		END IF;
		RETURN NEW;
	END \$\$;
	CREATE TRIGGER $1 BEFORE INSERT OR UPDATE ON item FOR EACH ROW EXECUTE FUNCTION $1();"
}

make_contender() {
	local database=rival_$1 columns=${1##*_}
	fresh_database "$database"
	query "$database" "CREATE TABLE source AS SELECT $(values_of "$columns") FROM generate_series(1, $rows) i"
	query "$database" "CREATE TABLE item ($(columns_of "$columns"), PRIMARY KEY (id)) WITH (autovacuum_enabled = off)"
	query "$database" 'VACUUM source'
	case $1 in
		pgroll_manner*)
			query "$database" 'ALTER TABLE item ADD COLUMN cents bigint, ADD COLUMN needs_fill boolean NOT NULL DEFAULT true'
			query "$database" "$(rival_function item_up "$columns" '<>' 'NEW.cents := price * 100::bigint')"
			query "$database" "$(rival_function item_down "$columns" '=' 'NEW.price := cents / 100')"
			;;
		tandem*) run_file "$database" test/bench/contenders/sync/tandem.sql >/dev/null ;;
	esac
}

# cost ROUND CONTENDER MEASURE STATEMENT
cost() {
	write_cost "$1" "$2" "$3" "rival_$2" item "$rows" "$4"
}

turn() {
	query "rival_$2" 'TRUNCATE item'
	cost "$1" "$2" INSERT "INSERT INTO item ($(names_of "${2##*_}")) SELECT * FROM source"
	cost "$1" "$2" UPDATE 'UPDATE item SET price = price + 1'
	[[ $2 == none* ]] || check_cents "rival_$2"
}

for contender in "${contenders[@]}"; do
	make_contender "$contender"
done
interleave "$short_rounds" turn "${contenders[@]}"
drop_databases "${contenders[@]/#/rival_}"
