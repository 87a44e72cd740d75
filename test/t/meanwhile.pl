# A table is dropped, or given to a superuser, while a call of its owner waits for its lock: the call says so, and
# neither ends the server nor has a text of the former owner read as the new one.
use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');

sub ask { return $node->safe_psql('postgres', $_[0]); }

ask(<<'SQL');
CREATE ROLE alice LOGIN;
GRANT CREATE ON SCHEMA public TO alice;
GRANT CREATE ON DATABASE postgres TO alice;
CREATE TABLE kept (id int PRIMARY KEY, price int, cents bigint);
ALTER TABLE kept OWNER TO alice;
SET ROLE alice;
-- notes as whom it runs: what is immutable runs while a text is planned
CREATE FUNCTION note() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE WARNING 'runs as %', current_user; RETURN 0; END $$;
CREATE FUNCTION noted(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT note()); END $$;
SELECT tandem.create_migration('m');
SQL

# What alice is told by a call that waits for the lock of t, on which a statement of a superuser has been run.
sub call_meanwhile
{
	my ($call, $statement) = @_;
	my $other = $node->background_psql('postgres');

	ask('DROP TABLE IF EXISTS t; CREATE TABLE t (id int PRIMARY KEY, price int, cents bigint); ALTER TABLE t OWNER TO alice');
	$other->query_safe("BEGIN; $statement");

	my $job = start_psql($node, 'postgres', "SET tandem.lock_timeout = '60s'; SET SESSION AUTHORIZATION alice; $call");
	wait_for_running($node, q(SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'));
	$other->query_safe('COMMIT');
	$other->quit;
	$job->{run}->finish;
	return $job->{err};
}

my @calls = (
	q(SELECT tandem.add_column('m', 't', 'x', 'int')),
	q(SELECT tandem.sync_column('m', 't', 'price', 'cents', 'price + noted(1)')),
	q(SELECT tandem.sync_column('m', 't', 'price', 'view_only', 'price + noted(1)', stored => false)),
	q(SELECT tandem.add_index('m', 'CREATE INDEX ON t ((price + noted(1)))')),
	q(SELECT tandem.add_index('m', 'CREATE INDEX ON t (price) WHERE price > noted(1)')),
	q(SELECT tandem.add_not_null('m', 't', 'price')),
	q(SELECT tandem.add_constraint('m', 't', 'c', 'CHECK (price > noted(1))')),
	q(SELECT tandem.add_constraint('m', 't', 'u', 'UNIQUE (price)')),
	q(SELECT tandem.add_constraint('m', 't', 'f', 'FOREIGN KEY (price) REFERENCES kept (id)')),
	q(SELECT tandem.create_views(1, '{t}')));

foreach my $call (@calls)
{
	like(call_meanwhile($call, 'DROP TABLE t'), qr/ERROR:  relation (?:with OID \d+|"t") does not exist/, "dropped meanwhile: $call");

	my $err = call_meanwhile($call, 'ALTER TABLE t OWNER TO CURRENT_USER');
	like($err, qr/ERROR:  must be owner of table "?t"?$/m, "given away meanwhile: $call");
	unlike($err, qr/runs as (?!alice)/, "given away meanwhile: nothing runs as the new owner");
	is(ask(q(SELECT count(*) FROM tandem.step t JOIN pg_class c ON c.oid = t.relation WHERE c.relname = 't')
		  . q( UNION ALL SELECT count(*) FROM tandem.sync)), "0\n0", 'given away meanwhile: nothing is noted');
}

# create_views waits for another one, while the second of its tables goes
my $other = $node->background_psql('postgres');
ask('DROP TABLE IF EXISTS t; CREATE TABLE t (id int)');
$other->query_safe(q(BEGIN; SELECT tandem.create_views(1, '{kept}')));
my $job = start_psql($node, 'postgres', q(SET tandem.lock_timeout = '60s'; SELECT tandem.create_views(1, '{kept,t}')));
wait_for_running($node, q(SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'));
ask('DROP TABLE t');
$other->query_safe('COMMIT');
$other->quit;
$job->{run}->finish;
like($job->{err}, qr/ERROR:  relation with OID \d+ does not exist\nHINT:  It was dropped meanwhile/, 'a table of create_views dropped meanwhile');
# what a migration or a view of a release works on goes while a call waits to read it
sub told_meanwhile
{
	my ($statement, $call) = @_;
	my $other = $node->background_psql('postgres');

	ask('DROP SCHEMA IF EXISTS release_1 CASCADE; DROP TABLE IF EXISTS t');
	expand_table($node, 't', migration => 'gone', rows => 10);
	ask('SELECT tandem.create_views(1)');
	$other->query_safe("BEGIN; $statement");

	my $job = start_psql($node, 'postgres', "\\set VERBOSITY sqlstate", $call);
	wait_for_running($node, q(SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'));
	$other->query_safe('COMMIT');
	$other->quit;
	$job->{run}->finish;
	ask(q(SET client_min_messages = error; CALL tandem.abort('gone')));
	return $job->{err} . $job->{out};
}

is(told_meanwhile('DROP VIEW release_1.t; DROP TABLE t', q(SELECT * FROM tandem.verify('gone'))), '', 'a table dropped while verify waits for it has no rows');
is(told_meanwhile('DROP VIEW release_1.t; DROP TABLE t', q(SELECT tandem.create_views(1))), "ERROR:  42P01\n", 'a table dropped while its view is looked at');
is(told_meanwhile('DROP VIEW release_1.t', q(SELECT tandem.create_views(1))), "ERROR:  42P01\n", 'a view dropped while it is looked at');

unlike(slurp_file($node->logfile), qr/was terminated by signal|\(null\)|could not open relation with OID/, 'the server goes on');
$node->stop;
done_testing();
