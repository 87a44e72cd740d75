# Without a superuser: the extension is trusted, so whoever may create schemas in a database may create it.  That role
# owns the extension and nothing in it: it decides who moves releases, and gains no rights on tables, roles or rows.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE shop LOGIN;
CREATE ROLE deployer LOGIN;
CREATE ROLE stranger LOGIN;
CREATE DATABASE shop OWNER shop;
CREATE DATABASE copy OWNER shop;
SQL
$node->safe_psql('shop', 'DROP EXTENSION IF EXISTS pg_tandem; GRANT USAGE ON SCHEMA public TO deployer, stranger');
$node->safe_psql('copy', 'DROP EXTENSION IF EXISTS pg_tandem');

# As a role, in a session of its own: its output, which is to be without an error.
sub as
{
	my ($role, $sql, $database) = @_;

	return $node->safe_psql($database // 'shop', $sql, extra_params => [ '-U', $role ]);
}

sub is_refused_to
{
	my ($role, $sql, $why) = @_;
	my ($status, undef, $err) = $node->psql('shop', $sql, extra_params => [ '-U', $role ]);

	ok($status != 0 && $err =~ $why, "$role: $sql") or diag($err);
	return;
}

is_refused_to('stranger', 'CREATE EXTENSION pg_tandem', qr/permission denied to create extension/);
as('shop', 'CREATE EXTENSION pg_tandem');
is(as('shop', q(SELECT extowner::regrole FROM pg_extension WHERE extname = 'pg_tandem')), 'shop', 'it is the extension of who created it');
is(as('shop', q(SELECT count(*) FROM pg_proc WHERE pronamespace = 'tandem'::regnamespace AND proowner = 'shop'::regrole)), 0, 'who owns nothing in it');

# All of a migration, with a release and workers, by the owner of the database and by a role that it lets in.
as('shop', <<'SQL');
GRANT EXECUTE ON FUNCTION tandem.switch_release, tandem.register_release, tandem.record_shape TO deployer;
GRANT CREATE ON DATABASE shop TO deployer;
GRANT CREATE ON SCHEMA public TO deployer;
SQL
as('deployer', <<'SQL');
CREATE TABLE items (id int PRIMARY KEY, price int NOT NULL);
CREATE INDEX ON items (price);
INSERT INTO items SELECT i, i FROM generate_series(1, 1000) i;
SELECT tandem.register_release(41);
SELECT tandem.switch_release(41);
SELECT tandem.create_views(41, relations => '{items}');
BEGIN;
SELECT tandem.create_migration('prices', release => 42);
SELECT tandem.change_column('prices', 'items', 'price', 'bigint');
SELECT tandem.create_views(42, relations => '{items}');
COMMIT;
SET client_min_messages = warning;
CALL tandem.migrate('prices', workers => 2);
SQL

# In the middle of it the database is dumped and restored, by its owner, who may read the tables.
$node->safe_psql('postgres', 'GRANT deployer TO shop');
my $dump = $node->basedir . '/shop.sql';
$node->command_ok([ 'pg_dump', '-h', $node->host, '-p', $node->port, '-U', 'shop', '-f', $dump, 'shop' ], 'its owner dumps the database');
like(slurp_file($dump), qr/^CREATE EXTENSION IF NOT EXISTS pg_tandem/m, 'with the extension');
as('deployer', q(SET client_min_messages = warning; SELECT tandem.switch_release(42); CALL tandem.contract('prices')));
is(as('deployer', q(SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = 'items'::regclass AND attname = 'price')), 'bigint', 'and contract');
as('shop', 'GRANT ALL ON SCHEMA public TO deployer', 'copy');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-h', $node->host, '-p', $node->port, '-U', 'shop', '-d', 'copy', '-f', $dump ], 'and restores it');
is(as('deployer', q(SELECT phase FROM tandem.migrations), 'copy'), 'contract', 'the migration is where it was');
as('deployer', q(SET client_min_messages = warning; CALL tandem.migrate('prices'); SELECT tandem.switch_release(42); CALL tandem.contract('prices')), 'copy');

# What the owner of the extension may not do with it.
as('shop', 'CREATE FUNCTION public.mine() RETURNS int LANGUAGE sql AS $$SELECT 1$$');
as('deployer', q(SELECT tandem.create_migration('open'); SELECT tandem.add_column('open', 'items', 'note', 'text')));
is_refused_to('shop', $_->[0], $_->[1])
  foreach ([ 'ALTER EXTENSION pg_tandem SET SCHEMA public', qr/does not support SET SCHEMA/ ],
	[ 'ALTER EXTENSION pg_tandem DROP TABLE tandem.migration', qr/must be owner of table migration/ ],
	[ 'ALTER TABLE tandem.migration DISABLE TRIGGER ALL', qr/must be owner of table migration/ ],
	[ 'ALTER EVENT TRIGGER tandem_guard_ddl DISABLE', qr/must be owner of event trigger/ ],
	[ 'CREATE FUNCTION tandem.mine() RETURNS int LANGUAGE sql AS $$SELECT 1$$', qr/permission denied for schema tandem/ ],
	[ 'ALTER FUNCTION mine() SET SCHEMA tandem', qr/permission denied for schema tandem/ ],
	[ q(UPDATE tandem.registry SET lowest = 100), qr/permission denied for table registry/ ],
	[ q(SELECT tandem.region(); SET tandem.undeclared = refuse), qr/permission denied to set parameter/ ],
	[ q(GRANT EXECUTE ON FUNCTION tandem.load_row TO shop), qr/permission denied for function load_row/ ],
	[ q(DROP EXTENSION pg_tandem CASCADE), qr/while migrations are open.*Open: open/s ]);
is_refused_to('stranger', 'DROP EXTENSION pg_tandem', qr/must be owner of extension/);
is_refused_to('stranger', 'SELECT tandem.switch_release(42)', qr/permission denied for function switch_release/);

# It goes as it came.
as('deployer', q(CALL tandem.abort('open')));
as('shop', 'SET client_min_messages = error; DROP EXTENSION pg_tandem CASCADE');
is(as('shop', q(SELECT count(*) FROM pg_event_trigger)), 0, 'nothing is left');
$node->stop;

done_testing();
