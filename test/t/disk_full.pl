# The disk is full in the middle of a migration: it stops with a clear error and the remedy, loses
# nothing, leaves no invalid index, and goes on when there is space again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $rows = 50000;
my $disk = PostgreSQL::Test::Utils::tempdir . '/disk';
my $library = PostgreSQL::Test::Utils::tempdir . '/full_disk.so';
my $node = new_server('main');

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

sub fill_disk
{
	append_to_file("$disk.full", '');
	return;
}

sub free_disk
{
	unlink "$disk.full" or die "$disk.full is not there";
	return;
}

# What one step says of its error.
sub is_told
{
	my ($migration, $step) = @_;
	my ($state, $error, $hint) = split /\|/, ask(<<"SQL");
SELECT state, error, hint FROM tandem.progress WHERE migration = '$migration' AND step = '$step'
SQL

	is($state, 'failed', "$step: the step has failed");
	like($error, qr/could not extend file .*: No space left on device/, "$step: with the reason");
	like($hint, qr/Check free disk space/, "$step: and what to do");
	is(ask("SELECT phase, background, running_pid IS NULL FROM tandem.migrations WHERE name = '$migration'"),
		'migrate|f|t', "$step: nobody runs it any more");
	return;
}

mkdir $disk or die "$disk: $!";
my ($compiler) = split ' ', `$ENV{PG_CONFIG} --cc`;
system_or_bail($compiler, '-shared', '-fPIC', '-o', $library, "$FindBin::Bin/lib/full_disk.c", '-ldl');
{
	local $ENV{LD_PRELOAD} = preload($library);
	local $ENV{FULL_DISK} = $disk;
	$node->append_conf('postgresql.conf', 'autovacuum = off');
	$node->restart;
}
ask("CREATE TABLESPACE small LOCATION '$disk'");
ask(<<"SQL");
CREATE TABLE items (id int PRIMARY KEY, price int, filler text DEFAULT repeat('x', 150)) TABLESPACE small;
INSERT INTO items SELECT i, i FROM generate_series(1, $rows) i;
CHECKPOINT;
SQL

# the shim does what a full disk does
fill_disk();
my ($status, $out, $err) = $node->psql('postgres', 'INSERT INTO items SELECT i, i FROM generate_series(100001, 102000) i',
	extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/ERROR:  53100: could not extend file/, 'the disk is full');
free_disk();

# in the middle of the fill
ask(<<'SQL');
BEGIN;
SELECT tandem.create_migration('fill');
SELECT tandem.add_column('fill', 'items', 'cents', 'bigint');
SELECT tandem.sync_column('fill', 'items', 'price', 'cents', 'price * 100::bigint', '(cents / 100)::int');
SELECT tandem.configure('fill', 'tandem.batch_target', '5ms');
SELECT tandem.configure('fill', 'tandem.max_rows_per_second', '4000');
COMMIT;
CALL tandem.migrate('fill', background => true);
SQL
my $backfill = q(FROM tandem.progress WHERE migration = 'fill' AND step = 'backfill');
# on the first visits of its pages, which move rows to new ones
wait_for_running($node, "SELECT rows_filled > 100 $backfill");
fill_disk();
wait_for_running($node, "SELECT state = 'failed' $backfill");
wait_for_running($node, q(SELECT running_pid IS NULL FROM tandem.migrations));
is_told('fill', 'backfill');
like(ask('SELECT error FROM tandem.migrations'), qr/No space left on device/, 'and so does the migration');
is(ask('SELECT count(*) FROM items WHERE cents IS NOT NULL'), ask("SELECT rows_filled $backfill"),
	'what was committed is filled, and nothing else');
cmp_ok(ask("SELECT rows_filled $backfill"), '<', $rows, 'that is not all');

# there is no space yet: the same again
($status, $out, $err) = $node->psql('postgres', q(CALL tandem.migrate('fill')), extra_params => [ '-v', 'VERBOSITY=verbose' ]);
like($err, qr/ERROR:  53100: could not extend file .*: No space left on device.*HINT:  Check free disk space/s,
	'called again it says the same');
is_told('fill', 'backfill');

my $filled = ask("SELECT rows_filled $backfill");
my $unfilled = ask('SELECT count(*) FROM items WHERE cents IS NULL');
free_disk();
ask(q(SELECT tandem.configure('fill', 'tandem.max_rows_per_second', NULL); CALL tandem.migrate('fill')));
is(ask("SELECT rows_filled, error IS NULL $backfill"), ($filled + $unfilled) . '|t', 'with space again it fills the rest, once');
is(ask('SELECT count(*) FROM items WHERE cents = price * 100'), $rows, 'no row is lost or wrong');
ask(q(CALL tandem.contract('fill')));

# while an index is being built, and while a constraint makes one
foreach my $case ([ 'an index', 'index', q(tandem.add_index('m', 'CREATE INDEX items_cents ON items (cents) TABLESPACE small')) ],
	[ 'a unique constraint', 'constraint', q(tandem.add_constraint('m', 'items', 'items_cents', 'UNIQUE (cents) USING INDEX TABLESPACE small')) ])
{
	my ($what, $step, $call) = @$case;

	ask("SELECT tandem.create_migration('m'); SELECT $call");
	fill_disk();
	($status, $out, $err) = $node->psql('postgres', q(CALL tandem.migrate('m')), extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	like($err, qr/ERROR:  53100: could not extend file .*: No space left on device.*HINT:  Check free disk space/s,
		"$what: it stops with the reason and what to do");
	is_told('m', $step);
	is(ask('SELECT count(*) FROM pg_index WHERE NOT indisvalid'), 0, "$what: no invalid index stays");
	free_disk();
	ask(q(CALL tandem.migrate('m')));
	is(ask(q(SELECT indisvalid AND indisready FROM pg_index WHERE indexrelid = 'items_cents'::regclass)), 't',
		"$what: with space again it is built");
	ask(q(CALL tandem.abort('m')));
	is(ask(q(SELECT count(*) FROM pg_class WHERE relname = 'items_cents')), 0, "$what: and taken away by abort");
	ask('DROP EXTENSION pg_tandem; CREATE EXTENSION pg_tandem');
}

done_testing();
