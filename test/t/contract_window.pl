# Whatever moment contract fails at, the fence that it has put up goes with it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => "session_preload_libraries = 'pg_tandem'");

sub sql { return $node->safe_psql('postgres', $_[0]); }

# What happens at the commit of contract, after all is done: a deferred trigger of somebody's log of DDL.
sql(<<'SQL');
CREATE TABLE items (id int PRIMARY KEY, price int);
INSERT INTO items SELECT i, i FROM generate_series(1, 10) i;
SELECT tandem.register_release(41);
CREATE TABLE ddl_log (command text);
CREATE TABLE at_commit (command text);
CREATE FUNCTION run_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN EXECUTE (SELECT string_agg(command, ';') FROM at_commit); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER run_at_commit AFTER INSERT ON ddl_log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION run_at_commit();
CREATE FUNCTION log_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.ddl_log VALUES (tg_tag); END $$;
SQL
expand_price($node, 'items', release => 42);
sql(q(SET client_min_messages = error; CALL tandem.migrate('items'); CREATE EVENT TRIGGER log_ddl ON ddl_command_end EXECUTE FUNCTION log_ddl()));

sub fails_at_commit
{
	my ($command, $pattern, $what) = @_;

	sql("TRUNCATE at_commit; INSERT INTO at_commit VALUES (\$x\$$command\$x\$)");
	is_refused($node, q(SET tandem.lock_retry_time = '10s'; CALL tandem.contract('items', undeclared => 'ignore')), $pattern, $what);
	wait_for_running($node, 'SELECT contracting IS NULL FROM tandem.registry');
	is(sql('SET tandem.release = 41; SELECT price FROM items WHERE id = 7'), '7', "$what: release 41 is served");
	is(sql('SELECT phase FROM tandem.migrations'), 'contract', "$what: nothing was done");
	return;
}

fails_at_commit('SELECT 1 / 0', qr/division by zero/, 'an error at its commit');
fails_at_commit('SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(10)', qr/canceling statement due to user request/, 'a cancel at its commit');
fails_at_commit('SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(10)', qr/terminating connection/, 'its end at its commit');

# a cancel at any moment, the commit of the fence and the wait behind it included
my $old = $node->background_psql('postgres');
$old->query_safe('SET tandem.release = 41; BEGIN; SELECT count(*) FROM items');
foreach my $ms (map { $_ * 3 } 1 .. 60)
{
	$node->psql('postgres', qq(SET statement_timeout = '${ms}ms'; CALL tandem.contract('items', undeclared => 'ignore')));
	last if sql('SELECT count(*) FROM tandem.registry WHERE contracting IS NOT NULL') ne '0';
}
is(sql('SELECT count(*) FROM tandem.registry WHERE contracting IS NOT NULL'), '0', 'a statement timeout at sixty moments');
$old->query_safe('COMMIT');
is($old->query_safe('SELECT price FROM items WHERE id = 7'), '7', 'release 41 goes on');
$old->quit;

sql('TRUNCATE at_commit; INSERT INTO at_commit VALUES ($$SELECT 1$$)');
sql(q(CALL tandem.contract('items', undeclared => 'ignore')));
is(sql('SELECT phase FROM tandem.migrations'), 'done', 'contract without a mishap');
is(sql('SELECT lowest, contracting FROM tandem.registry'), '42|', 'leaves its fence for good');

done_testing();
