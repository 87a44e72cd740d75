# The stock TPC-B script of pgbench, unmodified, is release 1 of an application.  It never stops
# while its table is expanded, migrated and contracted, next to a release 2 that knows the new
# column.  No transaction of either fails, and TPC-B's own sums agree at the end.
# Hazard: writes fail between the transactions of expand or contract.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');
my $release2 = write_script('release2', <<'SQL');
\set aid random(1, 100000 * :scale)
\set bid random(1, 1 * :scale)
\set tid random(1, 10 * :scale)
\set delta random(-5000, 5000)
BEGIN;
SELECT coalesce(abalance_cents, abalance * 100::bigint) AS cents FROM pgbench_accounts WHERE aid = :aid FOR UPDATE \gset
UPDATE pgbench_accounts SET abalance_cents = :cents + :delta * 100 WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
END;
SQL
# Waits until there are more transactions than can have been under way.
sub progressed
{
	my ($what, $only_old) = @_;
	my $before = $node->safe_psql('postgres', 'SELECT count(*) FROM pgbench_history');

	wait_for_running($node, "SELECT count(*) > $before + 200 FROM pgbench_history");
	pass($only_old ? "release 1 works $what" : "both releases go on $what");
	return;
}

$node->command_ok([ 'pgbench', '-i', '-q', '-s', '2', '-h', $node->host, '-p', $node->port, 'postgres' ],
	'tables of pgbench');
my $old = start_pgbench($node, '-c', '3', '-M', 'prepared', '-T', '600');
progressed('before expand', 1);

expand_accounts($node, 1);
my $new = start_pgbench($node, '-s', '2', '-c', '2', '-M', 'prepared', '-f', $release2, '-T', '600');
progressed('after expand');

$node->safe_psql('postgres', q(SET tandem.batch_target = '20ms'; SET client_min_messages = warning;
	CALL tandem.migrate('cents')));
progressed('after migrate');
is( $node->safe_psql('postgres',
		q(SELECT rows_checked, rows_unfilled, rows_mismatched, sample FROM tandem.verify('cents'))),
	'200000|0|0|[]',
	'verify finds nothing while both write');

# what stands in both columns at the moment of contract
my $contracted = $node->safe_psql('postgres', <<'SQL');
BEGIN;
CALL tandem.contract('cents', undeclared => 'ignore');
SELECT sum(abalance), sum(abalance_cents) FROM pgbench_accounts;
COMMIT;
SQL
my ($base, $base_cents) = split /\|/, $contracted;
is($base_cents, $base * 100, 'both columns agree at the moment of contract');
progressed('after contract, where the old column is kept');

ends_without_failure($old, 'release 1');
ends_without_failure($new, 'release 2');

# since contract each column has the changes of its own release alone
my ($accounts, $tellers, $branches, $history) = split /\|/,
  $node->safe_psql('postgres', <<"SQL");
SELECT (SELECT sum(abalance) + (sum(abalance_cents) / 100)::bigint - $base FROM pgbench_accounts),
	(SELECT sum(tbalance) FROM pgbench_tellers),
	(SELECT sum(bbalance) FROM pgbench_branches),
	(SELECT sum(delta) FROM pgbench_history)
SQL
is($accounts, $history, 'accounts have every change of the history');
is($tellers, $history, 'tellers have every change of the history');
is($branches, $history, 'branches have every change of the history');
is($node->safe_psql('postgres', 'SELECT count(*) FROM pgbench_accounts WHERE abalance_cents IS NULL'),
	0, 'no row is left unfilled');
is($node->safe_psql('postgres', 'SELECT phase FROM tandem.migrations'), 'done', 'the migration is done');

done_testing();
