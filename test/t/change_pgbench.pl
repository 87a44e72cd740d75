# The stock TPC-B script of pgbench, unmodified, is both releases of an application, each through its views: the type
# of abalance changes under the same name, beside the clients of both, and the balance of the tellers with an index,
# a CHECK and a default.  No transaction fails, contract included, and TPC-B's own sums agree at the end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => "session_preload_libraries = 'pg_tandem'");

sub sql { return $node->safe_psql('postgres', $_[0]); }

$node->command_ok([ 'pgbench', '-i', '-q', '-s', '2', '-h', $node->host, '-p', $node->port, 'postgres' ], 'tables of pgbench');
sql(<<'SQL');
ALTER TABLE pgbench_tellers ALTER tbalance SET DEFAULT 0, ADD CONSTRAINT tellers_balance CHECK (tbalance > -1000000000);
CREATE INDEX tellers_balance_idx ON pgbench_tellers (tbalance) WHERE tbalance <> 0;
SELECT tandem.register_release(1); SELECT tandem.switch_release(1);
SELECT tandem.create_views(1, schemas => '{public}');
SQL

sub start_release
{
	my ($release) = @_;

	local $ENV{PGOPTIONS} = "-c tandem.release=$release -c search_path=release_$release";
	return start_pgbench($node, '-s', '2', '-c', '2', '-M', 'prepared', '-T', '600');
}

# Waits until there are more transactions than can have been under way.
sub progressed
{
	my ($what) = @_;
	my $before = sql('SELECT count(*) FROM pgbench_history');

	wait_for_running($node, "SELECT count(*) > $before + 200 FROM pgbench_history");
	pass("clients go on $what");
	return;
}

my $old = start_release(1);
progressed('before expand');
sql(<<'SQL');
SELECT tandem.create_migration('wide', release => 2);
SELECT tandem.change_column('wide', 'pgbench_accounts', 'abalance', 'bigint');
SQL
sql(q(SELECT tandem.change_column('wide', 'pgbench_tellers', 'tbalance', 'bigint')));
sql(q(SELECT tandem.create_views(2, schemas => '{public}')));
progressed('after expand');
sql(q(SET tandem.batch_target = '20ms'; SET client_min_messages = warning; CALL tandem.migrate('wide')));
is(sql(q(SELECT string_agg(rows_unfilled || ' ' || rows_mismatched, ', ') FROM tandem.verify('wide'))), '0 0, 0 0', 'all is filled, and equal');
my $new = start_release(2);
progressed('after migrate');
is(sql('SELECT count(*) FROM release_1.pgbench_accounts o JOIN release_2.pgbench_accounts n USING (aid) WHERE o.abalance <> n.abalance'), 0,
	'both releases see the same');
sql('SELECT tandem.switch_release(2)');
ends_without_failure($old, 'release 1');
sql(q(SET client_min_messages = error; CALL tandem.contract('wide', undeclared => 'ignore')));
progressed('after contract');
ends_without_failure($new, 'release 2');

is(sql(q(SELECT string_agg(attrelid::regclass || '.' || attname || ' ' || atttypid::regtype, ', ' ORDER BY attname) FROM pg_attribute
	WHERE attname ~ '^[at]balance' AND attrelid IN ('pgbench_accounts'::regclass, 'pgbench_tellers'::regclass) AND NOT attisdropped)),
	'pgbench_accounts.abalance bigint, pgbench_tellers.tbalance bigint', 'the types are new, and the names the same');
is(sql(q(SELECT pg_get_indexdef('tellers_balance_idx'::regclass))),
	'CREATE INDEX tellers_balance_idx ON public.pgbench_tellers USING btree (tbalance) WHERE (tbalance <> 0)', 'with its index');
is(sql(q(SELECT count(*) FROM pg_constraint WHERE conname = 'tellers_balance' AND convalidated)), 1, 'and its CHECK');
is(sql(<<'SQL'), 't|t|t', 'each balance has every change of the history');
SELECT (SELECT sum(abalance) FROM pgbench_accounts) = h.sum, (SELECT sum(tbalance) FROM pgbench_tellers) = h.sum,
	(SELECT sum(bbalance) FROM pgbench_branches) = h.sum FROM (SELECT sum(delta) FROM pgbench_history) h
SQL

done_testing();
