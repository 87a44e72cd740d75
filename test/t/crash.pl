# A backfill under load that is killed again and again goes on where it was: every row is filled
# once, none is skipped, and no writer's value is lost.  What must be in the table is known from a
# journal, which the writers of both releases write in the transaction of each change.
# Hazard: a crashed backfill begins again or skips rows.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

# many more than are filled before the last kill, however late it comes
my $rows = 500000;
my $node = new_server('main');
my $release2 = write_script('release2', <<'SQL');
\set aid random(1, 500000)
\set cents random(-500000, 500000)
BEGIN;
UPDATE pgbench_accounts SET abalance_cents = :cents WHERE aid = :aid;
INSERT INTO journal (aid, cents, abalance) SELECT aid, abalance_cents, abalance FROM pgbench_accounts WHERE aid = :aid;
END;
SQL

sub start_writers
{
	return map { start_pgbench($node, @$_) } (
		[ '-c', '2', '-T', '600' ], [ '-c', '2', '-T', '600', '-f', $release2 ]);
}

sub progress
{
	return split /\|/, $node->safe_psql('postgres', <<'SQL');
SELECT done, rows_filled, state FROM tandem.progress WHERE step = 'backfill'
SQL
}

$node->append_conf('postgresql.conf', "restart_after_crash = on\ntandem.batch_target = '10ms'");
$node->reload;
$node->command_ok([ 'pgbench', '-i', '-q', '-s', '5', '-h', $node->host, '-p', $node->port, 'postgres' ],
	'tables of pgbench');
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE journal (id bigserial PRIMARY KEY, aid int, cents bigint, abalance int);
SQL
expand_accounts($node, 0);
# slow enough to be met in its middle five times
$node->safe_psql('postgres', q(SELECT tandem.configure('cents', 'tandem.max_rows_per_second', '20000')));

my $filled_before = 0;
my $blocks_before = 0;

foreach my $round (1 .. 5)
{
	my @writers = start_writers();
	my $target = $blocks_before + 150;
	# odd rounds lose a backend, which takes all others with it; even ones the whole server
	my $migrate = start_psql($node, 'postgres', q(CALL tandem.migrate('cents')));
	wait_for_running($node, 'SELECT running_pid IS NOT NULL FROM tandem.migrations');
	my $pid = $node->safe_psql('postgres', 'SELECT running_pid FROM tandem.migrations');
	wait_for_running($node, "SELECT done >= $target FROM tandem.progress WHERE step = 'backfill'");
	if ($round % 2)
	{
		my $offset = -s $node->logfile;
		kill('KILL', $pid) == 1 or die "no process $pid to kill";
		$migrate->{run}->finish;
		# not by a query: a psql that cannot connect may end before it is given one, which ends the test
		$node->wait_for_log(qr/all server processes terminated; reinitializing.*database system is ready to accept connections/s, $offset);
	}
	else
	{
		$node->stop('immediate');
		$migrate->{run}->finish;
		$node->start;
	}
	$_->{run}->finish foreach @writers;
	my ($blocks, $filled, $state) = progress();
	is($state, 'pending', "round $round: the backfill was stopped in its middle, at block $blocks");
	cmp_ok($blocks, '>=', $target, "round $round: its position is kept");
	cmp_ok($filled, '>=', $filled_before, "round $round: and its count");
	is($node->safe_psql('postgres', 'SELECT running_pid IS NULL, phase, problem IS NULL FROM tandem.migrations'),
		't|migrate|t', "round $round: nobody is said to run it");
	($filled_before, $blocks_before) = ($filled, $blocks);
}

# how many rows are filled is known twice: by the count of the batches, and by the table
my @writers = start_writers();
$node->safe_psql('postgres', q(SELECT tandem.configure('cents', 'tandem.max_rows_per_second', NULL)));
my $migrate = start_psql($node, 'postgres', q(CALL tandem.migrate('cents')));
ok(finish($migrate), 'migrate called again comes to its end under load');
like($migrate->{err}, qr/NOTICE/, 'and tells how far it is');
$_->{run}->kill_kill foreach @writers;
wait_for_running($node, q(SELECT count(*) = 0 FROM pg_stat_activity
	WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()));

is( $node->safe_psql('postgres',
		q(SELECT rows_checked, rows_unfilled, rows_mismatched FROM tandem.verify('cents'))),
	"$rows|0|0", 'verify finds nothing');
is( $node->safe_psql('postgres',
		'SELECT count(*) FROM pgbench_accounts WHERE abalance_cents IS NULL OR abalance <> abalance_cents / 100'),
	0, 'no row was skipped');
my ($blocks, $filled) = progress();
cmp_ok($filled, '<=', $rows, 'no row was filled twice');
my $written = $node->safe_psql('postgres',
	'SELECT count(DISTINCT aid) FROM (SELECT aid FROM pgbench_history UNION ALL SELECT aid FROM journal) w');
cmp_ok($filled + $written, '>=', $rows, 'rows that no writer touched were filled by a batch');

# release 1 adds to whatever is there, so a row's balance is its last absolute value and the sum since
is( $node->safe_psql('postgres', <<'SQL'), 0, 'no value that release 1 wrote is lost');
SELECT count(*) FROM pgbench_accounts a
JOIN (SELECT aid, sum(delta) AS delta FROM pgbench_history GROUP BY aid) h USING (aid)
WHERE a.abalance <> h.delta AND aid NOT IN (SELECT aid FROM journal)
SQL
is( $node->safe_psql('postgres', <<'SQL'), 0, 'no value that release 2 wrote is lost');
SELECT count(*) FROM pgbench_accounts a
JOIN (SELECT DISTINCT ON (aid) aid, cents FROM journal ORDER BY aid, id DESC) j USING (aid)
WHERE a.abalance_cents <> j.cents AND aid NOT IN (SELECT aid FROM pgbench_history)
SQL
is( $node->safe_psql('postgres', <<'SQL'), 0, 'rows that nobody wrote have what they had');
SELECT count(*) FROM pgbench_accounts
WHERE (abalance <> 0 OR abalance_cents <> 0)
	AND aid NOT IN (SELECT aid FROM journal) AND aid NOT IN (SELECT aid FROM pgbench_history)
SQL
is($node->safe_psql('postgres', 'SELECT count(*) FROM journal WHERE abalance <> cents / 100'),
	0, 'each change of release 2 was seen in the old column at once');
is($node->safe_psql('postgres', q(CALL tandem.contract('cents'); SELECT phase FROM tandem.migrations)),
	'done', 'contract');

done_testing();
