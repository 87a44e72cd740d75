# How near the estimate of tandem.rehearse_change is to what a fill then takes.
# shellcheck shell=bash
: "${cluster:?}"
rows=$(size 1000000 200000 20000)
estimate_rounds=$(size 3 2 1)

title "What tandem.rehearse_change tells of the fill of $rows rows"
note 'all: of all rows; sample: of one row in fifty. off: the difference from what the fill took, as a part of it; bytes of the index: of the one whose estimate is worst.'
for what in time wal heap index; do
	measure "$what" %
	for how in all sample; do
		target "estimate of $how rows, $what off, %" "$what:$how" 1 '<=' 30
	done
done

# told HOW SAMPLE: what it tells, as "fill_time item 12345"
told() {
	query estimated "SELECT replace(finding, ' ', '_'), object, coalesce(bytes, extract(epoch FROM duration) * 1000000)
		FROM tandem.rehearse_change('item', 'bigint', 'price * 100::bigint', sample_rows => $2) WHERE finding ~ 'fill'" >"$cluster/told.$1"
}

off() {
	awk -v told="$1" -v is="$2" 'BEGIN { print (told > is ? told - is : is - told) / is * 100 }'
}

turn() {
	local before wal us worst index bytes how
	fresh_items estimated
	run_file estimated test/bench/contenders/sync/tandem.sql >/dev/null
	told all NULL
	told sample $((rows / 50))
	query estimated CHECKPOINT >/dev/null
	before=$(query estimated 'SELECT pg_current_wal_insert_lsn()')
	PGOPTIONS='-c client_min_messages=warning' psql_on estimated -c "CALL tandem.migrate('cents')" </dev/null
	wal=$(query estimated "SELECT pg_current_wal_insert_lsn() - '$before'")
	us=$(query estimated "SELECT 1000000 * extract(epoch FROM min(v.started_at) - min(b.started_at)) FROM tandem.step b, tandem.step v WHERE b.kind = 'backfill' AND v.kind = 'verify'")
	for how in all sample; do
		value time "$how" "$1" "$(off "$(awk '$1 == "fill_time" { print $3 }' "$cluster/told.$how")" "$us")"
		value wal "$how" "$1" "$(off "$(awk '$1 == "fill_wal" { print $3 }' "$cluster/told.$how")" "$wal")"
		value heap "$how" "$1" "$(off "$(awk '$1 == "heap_after_fill" { print $3 }' "$cluster/told.$how")" "$(query estimated "SELECT pg_relation_size('item')")")"
		worst=0
		while read -r index bytes; do
			worst=$(printf '%s\n' "$worst" "$(off "$bytes" "$(query estimated "SELECT pg_relation_size('$index')")")" | sort -g | tail -n 1)
		done < <(awk '$1 == "index_after_fill" { print $2, $3 }' "$cluster/told.$how")
		value index "$how" "$1" "$worst"
	done
	drop_databases estimated
}

item_template "$rows"
interleave "$estimate_rounds" turn both
