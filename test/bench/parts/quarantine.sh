# A tenth of the rows cannot be transformed: what it costs to note them, and to try them again.
# shellcheck shell=bash
: "${rounds:?}"
rows=$(size 1000000 100000 5000)
half=$((rows / 2))
quarantine_rounds=$(size 3 2 1)

title "A tenth of $rows rows in quarantine"
note "Rows without and with a primary key, each bad one with a value of its own or all with the same. fill: CALL tandem.migrate for a table whose rows a tenth are bad; none: the same with no bad one. write: one UPDATE of the bad rows, which notes each. retry: CALL tandem.migrate again, with all of them noted by that writer. mend: up works now, and CALL tandem.migrate fills them. half: of $half rows."
for what in fill write retry mend; do
	measure "$what" s
done
for table in key bare same; do
	target "quarantine, table $table: time of the fill, of one without bad rows" "fill:$table" fill:none '<=' 10
	for what in fill retry mend; do
		target "quarantine, table $table: time of $what, of half the rows" "$what:$table" "$what:half_$table" '<=' 2.5
	done
done

# seconds MEASURE CONTENDER ROUND STATEMENT
seconds() {
	local ms
	ms=$(PGOPTIONS='-c client_min_messages=error' run_ms noted "$4")
	[ -n "$ms" ] || fail "quarantine, $2: $1 failed"
	value "$1" "$2" "$3" "$(awk -v ms="$ms" 'BEGIN { print ms / 1000 }')"
}

# is WHAT QUERY RESULT
is() {
	local result
	result=$(query noted "$2")
	[ "$result" = "$3" ] || fail "quarantine, $1: $result in place of $3"
}

turn() {
	local count=$rows key='PRIMARY KEY' value="i || ' EUR'" bad='i % 10 = 0'
	case $2 in half_*) count=$half ;; esac
	case $2 in
		*bare) key='' ;;
		*same) key='' value="'n/a'" ;;
		none) bad='false' ;;
	esac
	fresh_database noted
	query noted 'CREATE EXTENSION pg_tandem'
	query noted "CREATE FUNCTION number(text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN \$1::int; END'"
	query noted "CREATE TABLE item (id int $key, price text, filler text DEFAULT repeat('x', 60))"
	query noted "INSERT INTO item SELECT i, CASE WHEN $bad THEN $value ELSE i::text END FROM generate_series(1, $count) i"
	query noted 'VACUUM (FREEZE, ANALYZE) item'
	query noted "SELECT tandem.create_migration('m')" >/dev/null
	query noted "SELECT tandem.add_column('m', 'item', 'cents', 'int')" >/dev/null
	query noted "SELECT tandem.sync_column('m', 'item', 'price', 'cents', 'number(price)', 'cents::text', on_error => 'quarantine')" >/dev/null
	seconds fill "$2" "$1" "CALL tandem.migrate('m')"
	[ "$2" != none ] || return 0
	is "$2" 'SELECT count(*) FROM item WHERE cents IS NULL' "$((count / 10))"
	seconds write "$2" "$1" "UPDATE item SET price = price || '!' WHERE cents IS NULL"
	seconds retry "$2" "$1" "CALL tandem.migrate('m')"
	is "$2" "SELECT count(DISTINCT price) FROM item WHERE cents IS NULL" "$(query noted "SELECT count(*) FROM tandem.quarantined_row")"
	query noted "CREATE OR REPLACE FUNCTION number(text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN length(\$1); END'"
	seconds mend "$2" "$1" "CALL tandem.migrate('m')"
	is "$2" 'SELECT count(*) FROM tandem.quarantined_row' 0
	drop_databases noted
}

interleave "$quarantine_rounds" turn none key bare same half_key half_bare half_same
