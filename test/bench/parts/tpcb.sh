# Stock TPC-B beside a sync of the column that it writes.
# shellcheck shell=bash
: "${bindir:?}" "${short_rounds:?}"
scale=$(size 10 5 1)
seconds=$(size 5 2 1)

title "pgbench TPC-B, scale $scale, with the sync on"
note "Stock script, 2 clients, $seconds s a run, synchronous_commit = off so that the disk does not hide the cost. pgbench_accounts.abalance is synced with abalance_cents."
measure tps 'transactions a second'
target 'pgbench TPC-B with the sync on: tps, of without' tps:tandem tps:none '>=' 0.97

make_contender() {
	fresh_database "tpcb_$1"
	"$bindir/pgbench" -i -q -I dtp -s "$scale" "tpcb_$1" 2>/dev/null
	query "tpcb_$1" 'ALTER TABLE pgbench_accounts SET (autovacuum_enabled = off)'
	[ "$1" = none ] || query "tpcb_$1" "CREATE EXTENSION pg_tandem;
		BEGIN;
		SELECT tandem.create_migration('cents');
		SELECT tandem.add_column('cents', 'pgbench_accounts', 'abalance_cents', 'bigint');
		SELECT tandem.sync_column('cents', 'pgbench_accounts', old => 'abalance', new => 'abalance_cents',
			up => 'abalance * 100::bigint', down => '(abalance_cents / 100)::int');
		COMMIT" >/dev/null
	"$bindir/pgbench" -i -q -I Gv -s "$scale" "tpcb_$1" 2>/dev/null
}

turn() {
	query postgres CHECKPOINT
	value tps "$2" "$1" "$(PGOPTIONS='-c synchronous_commit=off' tps "tpcb_$2" -c 2 -j 1 -T "$seconds")"
}

make_contender none
make_contender tandem
interleave "$short_rounds" turn none tandem
[ "$(query tpcb_tandem 'SELECT count(*) FROM pgbench_accounts WHERE abalance_cents IS DISTINCT FROM abalance * 100::bigint')" = 0 ] ||
	fail "tpcb_tandem: rows are wrong"
drop_databases tpcb_none tpcb_tandem
