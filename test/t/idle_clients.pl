# Who is no client at work: a session that has ended, whose entry in shared memory keeps what it had, and a WAL
# sender that decodes.  A fill beside them does not rest.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => <<'CONF');
tandem.nice_ratio = 3
tandem.batch_target = '5ms'
tandem.vacuum_every = 0
autovacuum = off
max_wal_senders = 3
CONF

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

# Runs the migration in the one session that is there; whatever a batch says that it waits for is kept.
sub causes_of_rest
{
	my ($name) = @_;

	ask("TRUNCATE said; CALL tandem.migrate('$name')");
	is(ask("SELECT phase FROM tandem.migrations WHERE name = '$name'"), 'contract', "$name: it is filled");
	cmp_ok(ask('SELECT batches FROM looks'), '>', 20, "$name: in many batches");
	return ask("SELECT coalesce(string_agg(DISTINCT waiting, ', '), 'none') FROM said");
}

ask(<<'SQL');
CREATE TABLE said (waiting text);
CREATE TABLE looks (batches int);
INSERT INTO looks VALUES (0);
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE public.looks SET batches = batches + 1;
	INSERT INTO public.said SELECT waiting FROM tandem.step_report WHERE step = NEW.id AND waiting IS NOT NULL;
	RETURN NULL;
END $$;
CREATE TRIGGER note AFTER UPDATE OF blocks_todo ON tandem.step FOR EACH ROW EXECUTE FUNCTION note();
SQL
expand_table($node, $_, rows => 60000) foreach qw(gone decoded beside);

# several at a time, so that later sessions do not use all of their entries again
my @sessions = map { start_psql($node, 'postgres', 'SELECT pg_sleep(1)') } 1 .. 8;
ok(finish($_), 'a session that came and went') foreach @sessions;
is(causes_of_rest('gone'), 'none', 'sessions that have ended are no clients at work');

my %receiver = (out => '', err => '');
ask(q(SELECT pg_create_logical_replication_slot('decoding', 'test_decoding')));
# work for longer than the fill takes
ask(q(CREATE TABLE backlog AS SELECT i, repeat('x', 100) AS filler FROM generate_series(1, 1000000) i));
$receiver{run} = IPC::Run::start(
	[ $node->installed_command('pg_recvlogical'), '-d', $node->connstr('postgres'), '--slot', 'decoding', '--start', '-f', '/dev/null' ],
	'<', \undef, '>', \$receiver{out}, '2>', \$receiver{err},
	IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default));
wait_for_running($node, 'SELECT count(*) = 1 FROM pg_stat_replication');
ask(q(SELECT tandem.configure('decoded', 'tandem.lag_sources', '')));
is(causes_of_rest('decoded'), 'none', 'a WAL sender that decodes is no client at work');
is(ask('SELECT state FROM pg_stat_replication'), 'catchup', 'it was at work all the time');
# first the client, which would connect again
$receiver{run}->signal('KILL');
$receiver{run}->finish;
ask('SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active');
wait_for_running($node, 'SELECT NOT active FROM pg_replication_slots');
ask(q(SELECT pg_drop_replication_slot('decoding')));

# the same look sees who is
my $client = start_pgbench($node, '-T', '300', '-f', write_script('busy', 'SELECT sum(i) FROM generate_series(1, 100000) i;'));
wait_for_running($node, q(SELECT count(*) > 0 FROM pg_stat_activity WHERE application_name = 'pgbench'));
like(causes_of_rest('beside'), qr/clients are at work/, 'a session that computes is one');
end_pgbench($client);

$node->stop;
done_testing();
