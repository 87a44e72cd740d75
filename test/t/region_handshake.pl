# Two of three regions are about to switch, to contract or to abort at the same time; a line between them is cut, or the
# server of one is killed between its announcement and its act.  Never do both act where that does not go together, each call
# ends, and what was announced is taken back, so that the calls can be made again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use Regions;
use TandemTest;
use Test::More;

my $MIGRATIONS = 5;
start_regions([qw(a b c)], conf => "wal_retrieve_retry_interval = 100ms\nwal_receiver_status_interval = 1s\nlog_min_messages = error\n");

# the migration at hand, of release 41 + its number
my $number = 0;

# Each says how far it is, and takes back what nobody acts on any more; and all have heard that, and what was written before.
sub beat
{
	my %seq = map { $_ => sql($_, "SELECT tandem.region_beat(); SELECT seq FROM tandem.region WHERE region = '$_'") =~ /(\d+)/ } regions();

	foreach my $name (regions())
	{
		wait_for($name, 'SELECT count(*) = 2 FROM tandem.region WHERE ' . join ' OR ', map { "region = '$_' AND seq >= $seq{$_}" } others($name));
	}
	return;
}

# Lines, each [ to, from ], or those between a and b.
sub set_lines
{
	my ($what, @lines) = @_;

	@lines = ([qw(a b)], [qw(b a)]) if !@lines;
	sql($_->[0], "ALTER SUBSCRIPTION s_$_->[0]_$_->[1] $what") foreach @lines;
	return if $what eq 'ENABLE';
	# which by itself looks once a second
	sql($_->[0], "SELECT pg_terminate_backend(pid) FROM pg_stat_subscription WHERE subname = 's_$_->[0]_$_->[1]'") foreach @lines;
	wait_for($_->[0], "SELECT pid IS NULL FROM pg_stat_subscription WHERE subname = 's_$_->[0]_$_->[1]'") foreach @lines;
	return;
}

sub expand_at
{
	my ($name) = @_;
	my $release = 41 + $number;

	sql($name, "BEGIN; SELECT tandem.create_migration('m$number', $release);
		SELECT tandem.add_column('m$number', 'images', 'new$number', 'bigint');
		SELECT tandem.sync_column('m$number', 'images', 'old$number', 'new$number', 'old$number * 100::bigint', '(new$number / 100)::int'); COMMIT");
	sql($name, "CALL tandem.migrate('m$number')");
	return;
}

sub expand
{
	$number++;
	my $release = 41 + $number;

	expand_at($_) foreach regions();
	wait_for($_, "SELECT healthy FROM tandem.health($release)") foreach regions();
	return;
}

sub call_of
{
	my ($act) = @_;

	return $act eq 'switch' ? 'SELECT tandem.switch_release(' . (41 + $number) . ')'
	  : $act eq 'contract' ? "CALL tandem.contract('m$number', undeclared => 'ignore')" : "CALL tandem.abort('m$number')";
}

# Does it, which must succeed.
sub act
{
	my ($name, $act, $what) = @_;
	my ($status, $out, $err) = server_of($name)->psql('postgres', 'SET client_min_messages = error; ' . call_of($act));

	is("$status $err", '0 ', $what // "$act in $name");
	return;
}

# How far each is: nobody has done anything while this is the same.
sub states
{
	return join '; ', map { sql($_, "SELECT (SELECT phase FROM tandem.migration WHERE name = 'm$number' ORDER BY id DESC LIMIT 1), (SELECT current || ' ' || coalesce(lowest, 0) || ' ' || coalesce(contracting, 0) FROM tandem.registry),"
		. q[ (SELECT string_agg(attname, ' ') FROM pg_attribute WHERE attrelid = 'images'::regclass), (SELECT string_agg(subpublications::text, ' ' ORDER BY subname) FROM pg_subscription)]) } regions();
}

sub start
{
	my ($name, $act, $timeout) = @_;

	return start_psql(server_of($name), 'postgres', 'SET client_min_messages = error', "SET tandem.region_timeout = $timeout", call_of($act));
}

# Both are called, and wait: neither hears the other's answer.  Where one is refused at once, it announces nothing.
sub start_both
{
	my ($of_a, $of_b, $timeout, $announces) = @_;
	my %job;

	set_lines('DISABLE');
	$job{a} = start('a', $of_a, $timeout) if $announces =~ /a/;
	$job{b} = start('b', $of_b, 1) if $announces =~ /b/;
	# which c hears
	wait_for('c', "SELECT intent LIKE '" . ($_ eq 'a' ? $of_a : $of_b) . "%' FROM tandem.regions WHERE region = '$_'") foreach sort keys %job;
	return %job;
}

sub is_given_up
{
	my ($job, $other, $what) = @_;

	ok(!finish($job), "$what: gives up");
	like($job->{err}, qr/was not answered by every region within 1 s.*region $other has not/s, "$what: names the other");
	return;
}

# The act of a, and that of b, at the same time; announces: those that are not refused at once because the other has
# switched already.  Nobody acts, and nothing stays.
sub try_pair
{
	my ($of_a, $of_b, $announces) = @_;
	my $pair = "$of_a in a, $of_b in b";
	my $before = states();

	# Rule: with a line that is cut both give up.
	my %job = start_both($of_a, $of_b, 1, $announces);
	is_given_up($job{a}, 'b', "$pair, a line is cut: a") if $job{a};
	is_given_up($job{b}, 'a', "$pair, a line is cut: b") if $job{b};
	set_lines('ENABLE');
	beat();
	is(states(), $before, "$pair, a line is cut: nobody has acted");

	# Rule: if one is killed while it waits, the other gives up.
	%job = start_both($of_a, $of_b, 600, $announces);
	is(sql('c', q(SELECT string_agg(region, '' ORDER BY region) FROM tandem.regions WHERE intent IS NOT NULL)), $announces, "$pair: announced");
	kill_region('a');
	ok(!finish($job{a}), "$pair, a is killed: its call is lost") if $job{a};
	is_given_up($job{b}, 'a', "$pair, a is killed: b") if $job{b};
	is_refused(server_of('b'), 'SET tandem.region_timeout = 1; ' . call_of($of_b), qr/region a has switched/, "$pair, while a is away") if !$job{b};
	server_of('a')->start;
	set_lines('ENABLE');
	beat();
	is(states(), $before, "$pair, a was killed: nobody has acted");
	is(sql($_, 'SELECT count(*) FROM tandem.region WHERE intent IS NOT NULL'), 0, "$pair, a is back: $_ knows of no announcement") foreach qw(a b);
	return;
}

foreach my $name (regions())
{
	my $columns = join ', ', map { "old$_ int" } 1 .. $MIGRATIONS;
	sql($name, <<"SQL");
CREATE TABLE images (id int, region text, $columns, PRIMARY KEY (id, region));
INSERT INTO images SELECT i, '$name', i, i, i, i, i FROM generate_series(1, 20) i;
CREATE PUBLICATION p FOR TABLE images WHERE (region = '$name');
SQL
}
join_all();
subscribe_all();

# Rule: an abort that is not answered leaves the run in the background as it was.
sql('a', q(BEGIN; SELECT tandem.create_migration('slow', 42); SELECT tandem.add_column('slow', 'images', 'new1', 'bigint');
	SELECT tandem.sync_column('slow', 'images', 'old1', 'new1', 'old1 * 100::bigint', '(new1 / 100)::int'); COMMIT;
	SELECT tandem.configure('slow', 'tandem.max_rows_per_second', '1');
	CALL tandem.migrate('slow', background => true)));
my $run = q(SELECT running_pid FROM tandem.migrations WHERE name = 'slow');
wait_for('a', "SELECT EXISTS ($run AND running_pid IS NOT NULL)");
my $runner = sql('a', $run);
set_lines('DISABLE');
is_refused(server_of('a'), q(SET tandem.region_timeout = 1; CALL tandem.abort('slow')), qr/was not answered by every region within 1 s/, 'abort beside a run');
is(sql('a', $run), $runner, 'abort beside a run: the run goes on');
set_lines('ENABLE');
sql('a', q(CALL tandem.abort('slow')));
beat();

# Rule: who has announced an abort counts as one that has aborted, until more is heard of it.
$number = 1;
expand_at($_) foreach qw(b c);
beat();
set_lines('DISABLE', [qw(b c)]);
my $abort = start('b', 'abort', 600);
wait_for($_, q(SELECT intent LIKE 'abort%' FROM tandem.regions WHERE region = 'b')) foreach qw(a c);
set_lines('DISABLE', [qw(a b)]);
set_lines('ENABLE', [qw(b c)]);
ok(finish($abort), 'b aborts, and a does not hear of it');
expand_at('a');
is(sql('a', 'SELECT expanded FROM tandem.regions WHERE region = \'b\''), 42, 'a takes it for expanded');
like(sql('a', 'SELECT state, reason FROM tandem.health(42)'),
	qr/^read_only\|release 42 waits until it is expanded in all regions: region b is about to abort 'm1' of release 42/, 'and release 42 is not ready in a');
set_lines('ENABLE', [qw(a b)]);
beat();

# Rule: who expands again what others have kept is told.
my (undef, undef, $kept) = server_of('b')->psql('postgres', q(BEGIN; SELECT tandem.create_migration('m1', 42); ROLLBACK));
like($kept, qr/WARNING:  release 42 was aborted here, and is expanded in another region.*region a has release 42.*region c has release 42.*Abort it in all regions before/s,
	'b expands again what a and c have not aborted');
act($_, 'abort') foreach qw(a c);
beat();
$number = 0;

# Two that abort: both may.
expand();
try_pair('abort', 'abort', 'ab');
act($_, 'abort') foreach regions();
beat();

# Rule: a release that was ready, and that all have aborted, waits for all again.
expand_at('a');
like(sql('a', 'SELECT state, reason FROM tandem.health(42)'), qr/^read_only\|release 42 waits until it is expanded in all regions: region b has release 41/,
	'release 42 is not ready in a, which alone has expanded it again');
act('a', 'abort');
beat();

# One aborts, the other switches: whoever is first.
expand();
try_pair('switch', 'abort', 'ab');
act('b', 'abort');
beat();
is_refused(server_of('a'), call_of('switch'), qr/cannot switch|waits for another region.*region b/s, 'a switch, b has aborted');
act($_, 'abort') foreach qw(a c);
beat();

expand();
try_pair('abort', 'switch', 'ab');
act('b', 'switch');
beat();
is_refused(server_of('a'), call_of('abort'), qr/region b has switched/, 'abort in a, b has switched');

# Who aborts beside one that contracts finds that it has switched.
try_pair('abort', 'contract', 'b');
try_pair('switch', 'contract', 'ab');
act('a', 'switch');
act('b', 'contract');
act('a', 'contract');
act('c', $_) foreach qw(switch contract);
beat();

expand();
act('a', 'switch');
beat();
try_pair('contract', 'abort', 'a');
try_pair('contract', 'switch', 'ab');
act('b', 'switch');
act('a', 'contract');
act('b', 'contract');
act('c', $_) foreach qw(switch contract);
beat();

# Two that go on: both may.
expand();
try_pair('switch', 'switch', 'ab');
act($_, 'switch') foreach regions();
beat();
try_pair('contract', 'contract', 'ab');
act($_, 'contract') foreach regions();
beat();
is(sql($_, 'SELECT count(*), sum(new3), sum(new4), sum(new5) FROM images'), '60|63000|63000|63000', "$_: all rows are there") foreach regions();
done_testing();
