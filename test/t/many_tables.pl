# Many tables in one migration: what is done for one of them does not depend on how many there are, none is locked
# for another, and their statements at top level share a worker.  Counted, not timed: see the bench for that.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $tables = 30;

# starts of workers are in the log
my $node = new_server('main', conf => <<'CONF');
log_min_messages = debug1
log_statement = none
jit = off
max_parallel_workers_per_gather = 0
max_locks_per_transaction = 256
CONF

sub ask { return $node->safe_psql('postgres', $_[0]); }

# A migration of many tables, each with an index.  Options: more for each table, with %s for its name.
sub expand_many
{
	my ($name, $count, @more) = @_;
	my $sql = "SELECT tandem.create_migration('$name');";

	foreach my $table (map { "${name}_$_" } 1 .. $count)
	{
		$sql .= "CREATE TABLE $table (id int PRIMARY KEY, price int); INSERT INTO $table SELECT i, i FROM generate_series(1, 20) i;";
		$sql .= "SELECT tandem.add_column('$name', '$table', 'cents', 'bigint', up => 'price * 100::bigint');";
		$sql .= sprintf($_, ($table) x 4) . ';' foreach @more;
	}
	ask($sql);
	return;
}

my $an_index = q(SELECT tandem.add_index(tandem_name('%1$s'), 'CREATE INDEX %1$s_cents ON %1$s (cents)'));
ask(q(CREATE FUNCTION tandem_name(text) RETURNS text LANGUAGE sql AS $$SELECT regexp_replace($1, '_\d+$', '')$$));

sub is_done
{
	my ($name, $count) = @_;

	is(ask("SELECT phase FROM tandem.migrations WHERE name = '$name'"), 'contract', "$name: it comes to its end");
	is(ask("SELECT count(*) FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid WHERE c.relname ~ '^${name}_\\d+_cents\$' AND i.indisvalid"),
		$count, "$name: each index is there");
	is(ask(join ' UNION ALL ', map { "SELECT count(*) FROM ${name}_$_ HAVING count(*) <> count(*) FILTER (WHERE cents = price * 100)" } 1 .. $count),
		'', "$name: each row is filled");
	return;
}

# The workers started since a moment, and the processes of the extension that are there.
sub workers_since
{
	my ($offset) = @_;

	return scalar(() = slurp_file($node->logfile, $offset) =~ /starting background worker process "pg_tandem: /g);
}

sub workers_left
{
	return ask(q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pg_tandem' AND datname IS NOT NULL));
}

# VACUUM, CREATE INDEX and ANALYZE of each table
expand_many('shared', $tables, $an_index);
my $offset = -s $node->logfile;
{
	# as far as the server can
	local $ENV{PGOPTIONS} = '-c jit=on -c jit_above_cost=0';

	ask(q(CALL tandem.migrate('shared')));
}
is(scalar(() = slurp_file($node->logfile, $offset) =~ /time to inline/g), 0, 'no query of ours is compiled');
cmp_ok(workers_since($offset), '<', $tables, 'three statements a table share their workers');
is(workers_left(), 0, 'which end with the run');
is_done('shared', $tables);

# What is read of our tables by a run, for each table of the migration.
sub reads_of_run
{
	my ($name, $count) = @_;
	my $reads = q(SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_all_tables
		WHERE relid IN ('tandem.step'::regclass, 'tandem.sync'::regclass));
	my $before;

	expand_many($name, $count);
	ask('SELECT pg_stat_reset()');
	$before = ask($reads) || 0;
	ask("CALL tandem.migrate('$name')");
	ask('SELECT pg_stat_clear_snapshot()');
	return (ask($reads) - $before) / $count;
}

# read by their indexes, as they are when they are large
ask($_) foreach 'ALTER SYSTEM SET enable_seqscan = off', 'SELECT pg_reload_conf()';
my $few = reads_of_run('few', 6);
my $many = reads_of_run('many', 60);
cmp_ok($many, '<', 1.3 * $few, 'a table of many needs no more reads of our tables than one of a few');
note("rows read a table: $few of 6, $many of 60");

# An index of a partitioned table: what is read of the catalog of indexes for each partition.
sub reads_of_index
{
	my ($name, $count) = @_;
	my $reads = q(SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_all_tables WHERE relid = 'pg_index'::regclass);
	my $before;

	ask("CREATE TABLE $name (id int) PARTITION BY RANGE (id);" .
		join('', map { "CREATE TABLE ${name}_$_ PARTITION OF $name FOR VALUES FROM ($_) TO ($_ + 1);" } 1 .. $count) .
		"SELECT tandem.create_migration('$name'), tandem.add_index('$name', 'CREATE INDEX ${name}_id ON $name (id)')");
	ask('SELECT pg_stat_reset()');
	$before = ask($reads) || 0;
	ask("CALL tandem.migrate('$name')");
	ask('SELECT pg_stat_clear_snapshot()');
	is(ask("SELECT i.indisvalid, (SELECT count(*) FROM pg_inherits h WHERE h.inhparent = i.indexrelid) FROM pg_index i WHERE i.indexrelid = '${name}_id'::regclass"),
		"t|$count", "$name: the index is there, with those of all partitions");
	return (ask($reads) - $before) / $count;
}

$few = reads_of_index('fewer', 6);
$many = reads_of_index('more', 60);
cmp_ok($many, '<', 1.3 * $few, 'a partition of many needs no more reads of the catalog than one of a few');
note("rows read a partition: $few of 6, $many of 60");
ask($_) foreach 'ALTER SYSTEM RESET enable_seqscan', 'SELECT pg_reload_conf()';

# No transaction of the run has more than one table locked against writers.
ask(<<'SQL');
CREATE TABLE locked (tag text, count int);
CREATE FUNCTION note_locks() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN
	INSERT INTO public.locked SELECT tg_tag, count(DISTINCT l.relation) FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation
	WHERE l.pid = pg_backend_pid() AND c.relkind = 'r' AND c.relname LIKE 'apart_%'
		AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock');
END$$;
SQL
expand_many('apart', 10, $an_index, q(SELECT tandem.add_not_null('apart', '%1$s', 'cents')));
ask('CREATE EVENT TRIGGER note_locks ON ddl_command_end EXECUTE FUNCTION note_locks()');
ask(q(CALL tandem.migrate('apart')));
ask('DROP EVENT TRIGGER note_locks');
is(ask(q(SELECT count(*) >= 20 AND max(count) = 1 FROM locked WHERE tag <> 'CREATE INDEX')), 't', 'one table is locked at a time');
is_done('apart', 10);

# A session that functions of others may have changed gets no other statement.
ask(<<'SQL');
CREATE FUNCTION change_session() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN
	RAISE LOG 'session is %, path is %', coalesce(current_setting('my.mark', true), 'new'), current_setting('search_path');
	PERFORM set_config('my.mark', 'used', false), set_config('search_path', 'nowhere', false);
END$$;
SQL
expand_many('fresh', 5, $an_index);
ask('CREATE EVENT TRIGGER change_session ON ddl_command_end WHEN TAG IN (\'CREATE INDEX\') EXECUTE FUNCTION change_session()');
$offset = -s $node->logfile;
ask(q(CALL tandem.migrate('fresh')));
ask('DROP EVENT TRIGGER change_session');
my $log = slurp_file($node->logfile, $offset);
is(scalar(() = $log =~ /session is new, path is "\$user", public/g), 5, 'each index is built in a session of its own');
is(scalar(() = $log =~ /session is used/g), 0, 'no setting of an event trigger is left for another statement');
is_done('fresh', 5);

# Tables of several owners: each statement in a session of the owner.
ask(<<'SQL');
CREATE ROLE one LOGIN; CREATE ROLE two; GRANT one, two TO CURRENT_USER;
GRANT CREATE ON SCHEMA public TO one, two;
CREATE FUNCTION seen(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$BEGIN RAISE LOG 'seen as %', current_user; RETURN $1; END$$;
SQL
my @owners = map { $_ % 2 ? 'one' : 'two' } 1 .. 6;
expand_many('owned', 6);
ask(join '', map { "SELECT tandem.add_index('owned', 'CREATE INDEX owned_${_}_cents ON owned_$_ ((seen(cents)))');
	ALTER TABLE owned_$_ OWNER TO $owners[$_ - 1];" } 1 .. 6);
$offset = -s $node->logfile;
ask(q(CALL tandem.migrate('owned')));
is(ask(q(SELECT string_agg(pg_get_userbyid(relowner), ' ' ORDER BY relname) FROM pg_class WHERE relname ~ '^owned_._cents$')),
	"@owners", 'each index is of the owner of its table');
my %built = map { $_ => 1 } slurp_file($node->logfile, $offset) =~ /seen as (\w+)/g;
is(join(' ', sort keys %built), 'one two', 'and its expressions were evaluated as he');
is_done('owned', 6);

# The error of one statement is its own: those before are kept, the next call goes on.
expand_many('failing', 8, q(SELECT tandem.add_index('failing', 'CREATE UNIQUE INDEX %1$s_cents ON %1$s (cents)')));
ask('UPDATE failing_5 SET price = 7 WHERE id = 8');
is_refused($node, q(CALL tandem.migrate('failing')), qr/could not create unique index "failing_5_cents"/, 'an index that cannot be built');
is(workers_left(), 0, 'no worker is left after an error');
is(ask(q(SELECT string_agg(object || ' ' || state, ', ' ORDER BY id) FROM tandem.step WHERE kind = 'index' AND state <> 'pending' AND object ~ '^failing')),
	join(', ', (map { "failing_${_}_cents done" } 1 .. 4), 'failing_5_cents failed'), 'those before are built');
ask('UPDATE failing_5 SET price = 8 WHERE id = 8; UPDATE failing_5 SET cents = 800 WHERE id = 8');
ask(q(CALL tandem.migrate('failing')));
is_done('failing', 8);

# A worker that waits for its next statement, or runs one, is ended by somebody; the run is cancelled; the server crashes.
sub run_and
{
	my ($name, $reached, $fault) = @_;
	my $run = start_psql($node, 'postgres', "CALL tandem.migrate('$name')");

	wait_for_running($node, "SELECT count(*) >= $reached FROM tandem.step s JOIN tandem.migration m ON m.id = s.migration
		WHERE m.name = '$name' AND s.kind = 'index' AND s.state = 'done'");
	$fault->();
	return finish($run);
}

expand_many('struck', $tables, $an_index);
ask(q(SELECT tandem.configure('struck', 'tandem.max_rows_per_second', '0')));
run_and('struck', 3, sub { ask(q(SELECT pg_cancel_backend(running_pid) FROM tandem.migrations WHERE name = 'struck')) });
is(workers_left(), 0, 'no worker is left of a cancelled run');
run_and('struck', 8, sub { ask(q(SELECT pg_terminate_backend(running_pid) FROM tandem.migrations WHERE name = 'struck')) });
wait_for_running($node, q(SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pg_tandem' AND datname IS NOT NULL));
run_and('struck', 12, sub { $node->stop('immediate'); $node->start; });
run_and('struck', 16, sub { ask(q(SELECT pg_terminate_backend(w) FROM tandem.migration m, unnest(tandem.worker_pids(m.id)) w WHERE name = 'struck' AND w <> tandem.runner_pid(m.id))) });
ask(q(SELECT tandem.cancel('struck')));
ask(q(CALL tandem.migrate('struck')));
is_done('struck', $tables);
is(workers_left(), 0, 'and none at the end');

done_testing();
