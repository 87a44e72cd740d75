# The table most parts work on: rows of about 120 bytes, two indexes.
# shellcheck shell=bash
: "${root:?}"
export item_bytes=120

# item_template ROWS: makes the database items_ROWS, unless it is there; its name is in $template
item_template() {
	template=items_$1
	[ -z "$(query postgres "SELECT 1 FROM pg_database WHERE datname = '$template'")" ] || return 0
	say "making a table of $1 rows"
	fresh_database "$template"
	psql_on "$template" -v rows="$1" -f "$root/test/bench/contenders/item.sql" </dev/null
}

# fresh_items NAME: a copy of $template, its table in the server's memory as far as it fits
fresh_items() {
	fresh_database "$1" "$template"
	warm_items "$1"
}

warm_items() {
	query "$1" "SELECT count(pg_prewarm(c)) FROM unnest('{item,item_pkey,item_created}'::regclass[]) c" >/dev/null
	query "$1" CHECKPOINT
}

# check_cents DATABASE: that every row has what up makes of it
check_cents() {
	local wrong
	wrong=$(query "$1" 'SELECT count(*) FROM item WHERE cents IS DISTINCT FROM price * 100::bigint')
	[ "$wrong" = 0 ] || fail "$1: $wrong rows are wrong"
}
