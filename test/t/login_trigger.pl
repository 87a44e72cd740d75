# An event trigger ON login that runs queries (17 on) does not keep a release that is not served from
# connecting: it must be able to ask tandem.health.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => "session_preload_libraries = 'pg_tandem'");

sub sql { return $node->safe_psql('postgres', $_[0]); }

plan skip_all => 'no event triggers ON login before 17' if sql('SHOW server_version_num') < 170000;

sql(<<'SQL');
CREATE TABLE logins (role name, release text, state text);
CREATE TABLE items (id int PRIMARY KEY, price int);
INSERT INTO items VALUES (1, 1);
CREATE FUNCTION note_login() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
	INSERT INTO public.logins SELECT session_user, current_setting('tandem.release'),
		CASE WHEN current_setting('tandem.release') <> '0' THEN (tandem.health(current_setting('tandem.release')::int)).state END;
	PERFORM count(*) FROM public.items;
END $$;
CREATE EVENT TRIGGER note_login ON login EXECUTE FUNCTION note_login();
ALTER EVENT TRIGGER note_login ENABLE ALWAYS;
CREATE ROLE app LOGIN;
GRANT SELECT ON items TO app;
SQL
expand_price($node, 'items', release => 42);

sub ask
{
	my ($release, $statement) = @_;
	my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$statement",
		connstr => $node->connstr('postgres') . " user=app options=-ctandem.release=$release");

	return $err =~ /(\w{5})$/ ? $1 : $out;
}

is(ask(42, 'SELECT state FROM tandem.health(42)'), 'read_only', 'a release that may only read connects');
is(ask(42, 'SELECT count(*) FROM items'), '1', 'and reads');
is(ask(43, 'SELECT state FROM tandem.health(43)'), 'unknown', 'one that nobody knows connects');
is(ask(43, 'SELECT count(*) FROM items'), '55T01', 'and is refused by its own statements');
is(ask(43, 'DO $$ BEGIN PERFORM count(*) FROM items; END $$'), '55T01', 'also within functions');
sql(q(SET client_min_messages = error; CALL tandem.migrate('items'); CALL tandem.contract('items', undeclared => 'ignore')));
is(ask(41, 'SELECT state FROM tandem.health(41)'), 'retired', 'a retired one connects');
is(ask(41, 'SELECT 1'), '55T01', 'and is refused');
sql('ALTER ROLE app SET tandem.undeclared = refuse');
is(ask(0, 'SELECT state FROM tandem.health(42)'), 'ready', 'who says nothing connects');
is(ask(0, 'SELECT 1'), '55T03', 'and is refused');
is(sql(q(SELECT string_agg(DISTINCT release || ' ' || state, ', ' ORDER BY release || ' ' || state) FROM logins WHERE role = 'app' AND release <> '0')),
	'41 retired, 42 read_only, 43 unknown', 'the trigger has asked, too');

done_testing();
