# Whose rights a run in the background has: never more than the owner of the tables, whoever calls it.
# Often that role cannot log in: then a worker connects without it, and becomes it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

# A migration of app_owner, whose functions tell as whom they are called and try to be more.
sub expand
{
	my ($name) = @_;

	ask(<<"SQL");
SET ROLE app_owner;
CREATE TABLE $name (id int PRIMARY KEY, price int);
INSERT INTO $name SELECT i, i FROM generate_series(1, 100) i;
BEGIN;
SELECT tandem.create_migration('$name');
SELECT tandem.add_column('$name', '$name', 'cents', 'bigint');
SELECT tandem.sync_column('$name', '$name', 'price', 'cents', 'spy(price)', '(cents / 100)::int');
SELECT tandem.add_index('$name', 'CREATE INDEX ON $name (spied(cents))');
COMMIT;
TRUNCATE seen;
SQL
	return;
}

sub is_done
{
	my ($name, $how) = @_;

	wait_for_running($node, "SELECT running_pid IS NULL AND NOT background FROM tandem.migrations WHERE name = '$name'");
	is(ask("SELECT phase, error FROM tandem.migrations WHERE name = '$name'"), 'contract|', "$how: it comes to its end");
	is(ask('SELECT DISTINCT role, reads_secret, more FROM seen'), 'app_owner|f|f', "$how: up has the rights of the owner and no more");
	is(ask('SELECT count(*) > 0, bool_and(pid <> 0) FROM seen WHERE in_worker'), 't|t', "$how: in a worker");
	return;
}

# Runs statements, whose last is to begin a run in the background.
sub start_as
{
	my ($name, $become) = @_;

	return $node->psql('postgres', "$become; CALL tandem.migrate('$name', background => true, workers => 2)");
}

ask(<<'SQL');
CREATE ROLE app_owner NOLOGIN;
CREATE ROLE member LOGIN IN ROLE app_owner;
CREATE ROLE stranger LOGIN;
GRANT CREATE ON SCHEMA public TO app_owner;
CREATE TABLE secret (word text);
CREATE TABLE seen (role name, pid int, in_worker boolean, reads_secret boolean, more boolean);
ALTER TABLE seen OWNER TO app_owner;
SET ROLE app_owner;
-- whether a function can get at the rights of the session that called it
CREATE FUNCTION gets_more() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('role', 'none', false);
	RETURN current_user <> 'app_owner';
EXCEPTION WHEN insufficient_privilege THEN
	RETURN false;
END $$;
CREATE FUNCTION spy(price int) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.seen SELECT current_user, pg_backend_pid(),
		current_setting('application_name') = 'pg_tandem',
		has_table_privilege('public.secret', 'SELECT'), public.gets_more();
	RETURN price * 100;
END $$;
CREATE FUNCTION spied(cents bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.seen VALUES (current_user, 0, false,
		has_table_privilege('public.secret', 'SELECT'), public.gets_more());
	RETURN cents;
EXCEPTION WHEN read_only_sql_transaction OR feature_not_supported THEN
	RETURN cents;
END $$;
SQL

foreach my $case (
	[ 'member_as_owner', 'SET SESSION AUTHORIZATION member; SET ROLE app_owner', 'a member that has taken the role' ],
	[ 'member_as_itself', 'SET SESSION AUTHORIZATION member', 'a member as itself' ],
	[ 'superuser_as_owner', 'SET ROLE app_owner', 'a superuser that has taken the role' ],
	[ 'superuser', 'RESET ROLE', 'a superuser' ])
{
	my ($name, $become, $how) = @$case;

	expand($name);
	my ($status, $out, $err) = start_as($name, $become);
	is($status, 0, "$how: migrate begins") or diag($err);
	is_done($name, $how);
}

# nobody that can log in; nor, later, may anybody of it connect
expand('nobody');
my ($status, $out, $err) = start_as('nobody', 'SET SESSION AUTHORIZATION app_owner');
is($status, 0, 'nobody that can log in: migrate begins') or diag($err);
is_done('nobody', 'nobody that can log in');
ask('REVOKE CONNECT ON DATABASE postgres FROM PUBLIC');
expand('unconnected');
($status, $out, $err) = start_as('unconnected', 'SET ROLE member');
is($status, 0, 'nobody that may connect: migrate begins') or diag($err);
is_done('unconnected', 'nobody that may connect');
ask('GRANT CONNECT ON DATABASE postgres TO PUBLIC');

# who does not own the tables
expand('of_others');
foreach my $call (q(CALL tandem.migrate('of_others', background => true)), q(CALL tandem.migrate('of_others')),
	map { "SELECT tandem.$_" } (q(pause('of_others')), q(resume('of_others')), q(cancel('of_others')), q(configure('of_others', 'tandem.vacuum_every', '0'))))
{
	is_refused($node, "SET SESSION AUTHORIZATION stranger; $call",
		qr/ERROR:  permission denied for (migration "of_others"|schema tandem|(function|procedure) \w+)\n/, "a stranger: $call");
}
ask('GRANT USAGE ON SCHEMA tandem TO stranger');
is_refused($node, q(SET SESSION AUTHORIZATION stranger; CALL tandem.migrate('of_others', background => true)),
	qr/ERROR:  permission denied for migration "of_others"\nDETAIL:  .*"app_owner".*\nHINT:  /, 'a stranger with a right on the schema');
is(ask(q(SELECT phase, background, paused_by, settings FROM tandem.migrations WHERE name = 'of_others')), 'expand|f||{}', 'nothing has changed');

# the creator no longer owns the tables: it has no say any more
ask('CREATE ROLE new_owner LOGIN; GRANT CREATE ON SCHEMA public TO new_owner; ALTER TABLE of_others OWNER TO new_owner; GRANT INSERT ON seen TO new_owner');
is_refused($node, q(SET ROLE app_owner; CALL tandem.migrate('of_others', background => true)),
	qr/ERROR:  permission denied for migration "of_others"\nDETAIL:  .*"new_owner".*\nHINT:  /, 'a creator whose table has changed hands');
is(ask(q(SELECT background, count(*) OVER () > 0 FROM tandem.migrations WHERE name = 'of_others')), 'f|t', 'nobody is left to run it');
ask(q(SET SESSION AUTHORIZATION new_owner; CALL tandem.migrate('of_others', background => true)));
wait_for_running($node, q(SELECT running_pid IS NULL AND NOT background FROM tandem.migrations WHERE name = 'of_others'));
is(ask(q(SELECT phase, error FROM tandem.migrations WHERE name = 'of_others')), 'contract|', 'the new owner brings it to its end');

# a creator that is more than the caller: the run has the caller's rights
ask(<<'SQL');
CREATE TABLE of_superuser (id int PRIMARY KEY, price int);
INSERT INTO of_superuser SELECT i, i FROM generate_series(1, 100) i;
ALTER TABLE of_superuser OWNER TO app_owner;
SELECT tandem.create_migration('of_superuser');
SELECT tandem.add_column('of_superuser', 'of_superuser', 'cents', 'bigint');
SELECT tandem.sync_column('of_superuser', 'of_superuser', 'price', 'cents', 'spy(price)', '(cents / 100)::int');
TRUNCATE seen;
SQL
($status, $out, $err) = start_as('of_superuser', 'SET SESSION AUTHORIZATION member');
is($status, 0, 'a migration that a superuser has created: migrate begins') or diag($err);
is_done('of_superuser', 'a migration that a superuser has created');
is(ask(q(SELECT tandem.role_name(run_as) FROM tandem.migration WHERE name = 'of_superuser')), 'member', 'its run has the rights of who called');

# a database that lets nobody in any more: what the caller is told, in the background and of a statement
expand('closed');
expand('closed_statement');
my $inside = $node->background_psql('postgres', on_error_stop => 0);
my $out_inside = $inside->query(q(SELECT 'inside'));
$node->safe_psql('template1', 'ALTER DATABASE postgres ALLOW_CONNECTIONS false');
$inside->query(q(CALL tandem.migrate('closed', background => true)));
like($inside->{stderr}, qr/ERROR:  the run of migration "closed" in the background has ended\nDETAIL:  Database postgres does not accept connections\.\nHINT:  Run ALTER DATABASE postgres ALLOW_CONNECTIONS true/,
	'a run that cannot connect: the reason and what to do');
$inside->{stderr} = '';
$inside->query(q(CALL tandem.migrate('closed_statement')));
like($inside->{stderr}, qr/ERROR:  the worker for a statement of the migration could not connect\nDETAIL:  Database postgres does not accept connections\.\nHINT:  Run ALTER DATABASE postgres ALLOW_CONNECTIONS true/,
	'a statement whose worker cannot connect: the reason and what to do');
$node->safe_psql('template1', 'ALTER DATABASE postgres ALLOW_CONNECTIONS true');
$inside->quit;
is(ask(q(SELECT background FROM tandem.migrations WHERE name = 'closed')), 'f', 'and no run is wanted');
foreach my $name ('closed', 'closed_statement')
{
	ask("CALL tandem.migrate('$name')");
	is(ask("SELECT phase, error FROM tandem.migrations WHERE name = '$name'"), 'contract|', "$name: goes on when it can");
}
$node->stop;
done_testing();
