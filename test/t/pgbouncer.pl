# Behind PgBouncer in transaction pooling: two releases declare themselves by the role of their pool or
# by what it says at connecting; the fence holds for each client, whichever server connection it gets.
# Hazard: SET is lost under transaction pooling.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my ($program) = grep { -x } map { "$_/pgbouncer" } '/usr/sbin', split /:/, $ENV{PATH};

plan skip_all => 'pgbouncer is needed' if !defined $program;

my $node = new_server('main');
my $folder = PostgreSQL::Test::Utils::tempdir_short;
my $port = PostgreSQL::Test::Cluster::get_free_port();
my $server = sprintf 'host=%s port=%s dbname=postgres', $node->host, $node->port;
my $pgbouncer = { out => '' };

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub pool { return "host=$folder port=$port dbname=$_[0]"; }

# A statement of a client of a pool; what it prints, or its error with the SQLSTATE.
sub ask
{
	my ($pool, $statement) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$statement", connstr => pool($pool));

	return $out eq '' && $err ne '' ? $err : $out;
}

# A client that stays.
sub client
{
	my ($pool) = @_;
	my %job = (in => '', out => '', err => '');

	$job{run} = IPC::Run::start([ $node->installed_command('psql'), '-XAtq', '-d', pool($pool) ], '<', \$job{in},
		'>', \$job{out}, '2>', \$job{err}, IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default));
	return \%job;
}

# What a client prints, errors too.
sub say_to
{
	my ($client, $statement) = @_;

	$client->{out} = $client->{err} = '';
	$client->{in} .= "$statement;\n\\echo said\n";
	$client->{run}->pump until $client->{out} =~ s/said\n//;
	$client->{run}->pump_nb;
	return $client->{err} . $client->{out};
}

# Clients that work until it is over; pgbench's own sockets know the pool.
sub start_load
{
	my ($pool, $script, @options) = @_;
	my %job = (out => '', err => '', what => "pgbench of $pool");

	$job{run} = IPC::Run::start([ $node->installed_command('pgbench'), '-n', '-f', write_script($pool, $script), @options, pool($pool) ],
		'<', \undef, '>', \$job{out}, '2>', \$job{err}, IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default));
	return \%job;
}

$node->append_conf('postgresql.conf', "session_preload_libraries = 'pg_tandem'");
$node->restart;
sql(<<'SQL');
CREATE ROLE app LOGIN;
CREATE ROLE app_41 LOGIN IN ROLE app;
CREATE ROLE app_42 LOGIN IN ROLE app;
ALTER ROLE app_41 SET tandem.release = 41;
ALTER ROLE app_42 SET tandem.release = 42;
CREATE TABLE items (id int PRIMARY KEY, price int);
INSERT INTO items SELECT i, 0 FROM generate_series(1, 1000) i;
CREATE TABLE bookings (release int, pid int);
GRANT ALL ON items, bookings TO app;
SELECT tandem.register_release(41);
SQL
expand_price($node, 'items', migration => 'cents', release => 42);
sql(q(CALL tandem.migrate('cents')));
append_to_file("$folder/pgbouncer.ini", <<"INI");
[databases]
role_41 = $server user=app_41
role_42 = $server user=app_42
query_41 = $server user=app connect_query='SET tandem.release = 41'
query_42 = $server user=app connect_query='SET tandem.release = 42'
path_41 = $server user=app connect_query='SET search_path = release_41, public'
path_42 = $server user=app connect_query='SET search_path = release_42, public'
mute = $server user=app

[pgbouncer]
listen_addr =
listen_port = $port
unix_socket_dir = $folder
auth_type = any
pool_mode = transaction
default_pool_size = 2
ignore_startup_parameters = extra_float_digits, options
logfile = ${PostgreSQL::Test::Utils::log_path}/pgbouncer_main.log
INI
$pgbouncer->{run} = IPC::Run::start([ $program, "$folder/pgbouncer.ini" ], '<', \undef, '>&', \$pgbouncer->{out});
# ended however the test ends
END
{
	my $status = $?;
	$pgbouncer->{run}->kill_kill if $pgbouncer && $pgbouncer->{run};
	$? = $status;
}
foreach my $try (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
{
	$pgbouncer->{run}->pump_nb;
	last if -S "$folder/.s.PGSQL.$port";
	die "pgbouncer did not start: $pgbouncer->{out}" if !$pgbouncer->{run}->pumpable;
	select undef, undef, undef, 0.1;
}

my $own = 'SELECT release, release_state FROM tandem.sessions WHERE pid = pg_backend_pid()';
foreach my $by ('role', 'query', 'path')
{
	is(ask("${by}_41", $own), '41|ready', "release 41 is declared by $by");
	is(ask("${by}_42", $own), '42|ready', "and release 42");
}
is(ask('mute', $own), '|undeclared', 'who declares nothing is seen');
is(ask('mute', "BEGIN; SET LOCAL tandem.release = 42; $own; COMMIT"), '42|ready', 'and may do so for a transaction');
is(ask('mute', $own), '|undeclared', 'which the next client of the connection does not inherit');
is(ask('mute', "BEGIN; SET LOCAL search_path = release_42, public; $own; COMMIT"), '42|ready', 'or by the search_path of a transaction');
is(ask('mute', $own), '|undeclared', 'which is not inherited either');

# many clients on two connections
my $book = 'BEGIN; UPDATE items SET %s = %s WHERE id = :client_id + %d; INSERT INTO bookings VALUES (%d, pg_backend_pid()); COMMIT;' =~ s/; /;\n/gr;
my $load = start_load('role_41', sprintf($book, 'price', 'price + 1', 1, 41), '-c', '10', '-t', '40');
ok(finish($load), 'ten clients of release 41');
is((pgbench_counts($load))[0], 400, 'all of their transactions are done');
is(sql('SELECT count(*), count(DISTINCT pid) BETWEEN 1 AND 2 FROM bookings'), '400|t', 'on no more than two connections');

# contract, with a client of release 41 in a transaction and clients of release 42 at work
$ENV{PGOPTIONS} = '-ctandem.release=42';
sql(q(SELECT pg_terminate_backend(pid) FROM tandem.sessions WHERE release IS NULL AND user_name = 'app'));
my $hanging = client('query_41');
my $idle = client('query_41');
is(say_to($idle, 'SELECT price FROM items WHERE id = 1000'), "0\n", 'an idle client of release 41');
is(say_to($hanging, 'BEGIN; UPDATE items SET price = 7 WHERE id = 1000'), '', 'and one in a transaction');
$load = start_load('query_42', sprintf($book, 'cents', 'cents + 100', 101, 42), '-c', '10', '-T', '4');
wait_for_running($node, 'SELECT count(*) > 0 FROM bookings WHERE release = 42');
my $contract = start_psql($node, 'postgres', q(SET tandem.lock_retry_time = '30s'), q(CALL tandem.contract('cents')));
wait_for_running($node, <<'SQL');
SELECT count(*) > 0 FROM tandem.sessions s, tandem.migrations m
WHERE s.release = 41 AND s.release_state = 'retired' AND s.pid = ANY (pg_blocking_pids(m.running_pid))
SQL
like(say_to($idle, "\\set VERBOSITY verbose\nSELECT 1"), qr/ERROR:  55T01: release 41 is no longer served/, 'the idle client is refused on the other connection');
is(ask('role_41', 'SELECT 1'), 'psql:<stdin>:2: ERROR:  55T01', 'as is one of the other pool');
is(ask('role_41', 'SELECT healthy, state FROM tandem.health(41)'), 'f|retired', 'which may ask why');
is(say_to($hanging, 'UPDATE items SET price = 8 WHERE id = 1000; COMMIT'), '', 'the transaction goes on and commits');
ok(finish($contract), 'contract waits for that');
is(ask('query_42', 'SELECT cents FROM items WHERE id = 1000'), '800', 'what it wrote is there');
like(say_to($hanging, "\\set VERBOSITY verbose\nSELECT 1"), qr/ERROR:  55T01/, 'its client is refused from then on');
is(ask($_, 'SELECT 1'), 'psql:<stdin>:2: ERROR:  55T01', "clients of $_ too") foreach 'role_41', 'query_41';
ok(finish($load), 'clients of release 42 have worked meanwhile');
is((pgbench_counts($load))[1], 0, 'and none of their transactions has failed');
is(sql('SELECT sum(cents) - 800 FROM items WHERE cents > 0'), sql('SELECT 100 * count(*) FROM bookings'), 'every booking is there');
foreach my $client ($hanging, $idle)
{
	$client->{in} .= "\\q\n";
	$client->{run}->finish;
}

done_testing();
