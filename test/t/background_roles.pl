# Whose rights a run in the background has: never more than the owner of the tables, whoever calls it.
# Often that role cannot log in; servers before 17 then need somebody of it who can.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');
my $any_role = $node->pg_version >= 17;

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

# nobody that can log in
expand('nobody');
my ($status, $out, $err) = start_as('nobody', 'SET SESSION AUTHORIZATION app_owner');
if ($any_role)
{
	is($status, 0, 'nobody that can log in: migrate begins');
	is_done('nobody', 'nobody that can log in');
}
else
{
	isnt($status, 0, 'nobody that can log in: refused');
	like($err, qr/ERROR:  role "app_owner" cannot log in, and so cannot run in the background\nHINT:  ALTER ROLE app_owner LOGIN; or /,
		'nobody that can log in: with the reason and what to do');
	is(ask(q(SELECT phase, background FROM tandem.migrations WHERE name = 'nobody')), 'expand|f', 'nobody that can log in: nothing is begun');
}

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

# a role that may not connect, or no more often
expand('limited');
ask('ALTER ROLE member CONNECTION LIMIT 0') if !$any_role;
ask('ALTER ROLE app_owner CONNECTION LIMIT 0') if $any_role;
($status, $out, $err) = start_as('limited', 'SET SESSION AUTHORIZATION member');
if ($status != 0)
{
	like($err, qr/ERROR:  the run of migration "limited" in the background has ended\nDETAIL:  .*log.*\nHINT:  /, 'a worker that cannot connect: an error');
	is(ask(q(SELECT background FROM tandem.migrations WHERE name = 'limited')), 'f', 'and no run is wanted');
}
else
{
	is_done('limited', 'a server whose workers are not limited');
}
$node->stop;
done_testing();
