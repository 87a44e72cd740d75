# Rows that are changed after the switch: in each region those that are its own, once it has switched, and again when
# another region has.  Contract waits for the last of them.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use Regions;
use TandemTest;
use Test::More;

# a resumes what is wanted in the background
start_regions([qw(a b)], conf_of => { a => "shared_preload_libraries = 'pg_tandem'\ntandem.launcher_interval = 1\n" });

sub links
{
	my ($name) = @_;

	return sql($name, q(SELECT string_agg(concat_ws(' ', target_region, version, n), ', ' ORDER BY target_region, version)
		FROM (SELECT target_region, version, count(*) AS n FROM links GROUP BY 1, 2) l));
}

sub state
{
	my ($name) = @_;

	return sql($name, 'SELECT state, waits_for FROM tandem.after_switches');
}

foreach my $name (regions())
{
	sql($name, 'CREATE TABLE links (id int, target_region text, version text, PRIMARY KEY (id, target_region));
		CREATE PUBLICATION p FOR TABLE links' . own_rows($name, 'target_region'));
}
join_all();
subscribe_all();
sql($_, "INSERT INTO links SELECT i, '$_', 'v1' FROM generate_series(1, 1000) i") foreach regions();
catch_up();

sql($_, q(BEGIN; SELECT tandem.create_migration('m', 42);
	SELECT tandem.add_after_switch('m', 'links', set => $$version = 'v2'$$,
		condition => $$target_region = tandem.region() AND version = 'v1'$$, back => $$version = 'v1'$$); COMMIT;)) foreach regions();
sql($_, q(CALL tandem.migrate('m'))) foreach regions();
catch_up();
is(state('a'), 'waits for the switch|{b}', 'nothing is changed before the switch');

# Rule: each region changes its own rows, and the others are sent them.
sql('a', 'SELECT tandem.switch_release(42)');
is(state('a'), 'due|{b}', 'a has switched');
sql('a', q(CALL tandem.migrate('m')));
is(links('a'), 'a v2 1000, b v1 1000', 'a has changed its own rows');
is(state('a'), 'waits for regions|{b}', 'and waits for b');
like(sql('a', q(SELECT regexp_replace(what, '\s+', ' ', 'g') FROM tandem.status)), qr/waits until region b has switched to release 42/, 'which status says');
catch_up();
is(links('b'), 'a v2 1000, b v1 1000', 'which are sent to b');
is_refused(server_of('a'), q(CALL tandem.contract('m', undeclared => 'ignore')),
	qr/not ready for contract.*links are to be changed after the switch, which has not been made in region b.*switch_release\(42\); where/s,
	'contract before b has switched');

# Rule: what another region has written before it switched is changed once it has, by a run in the background too.
sql('a', q(CALL tandem.migrate('m', background => true)));
ok(server_of('a')->poll_query_until('postgres', q(SELECT background AND running_pid IS NULL FROM tandem.migrations)),
	'a run in the background has nothing to do, and is wanted still');
if (has_origin())
{
	sql('b', q(INSERT INTO links SELECT i, 'a', 'v1' FROM generate_series(4001, 4100) i));
	catch_up();
	is(links('a'), 'a v1 100, a v2 1000, b v1 1000', 'release 41 in b still makes links as it knows them');
}
sql('b', 'SELECT tandem.switch_release(42)');
catch_up();
ok(server_of('a')->poll_query_until('postgres', q(SELECT state = 'done' FROM tandem.after_switches)), 'a looks again once b has switched');
ok(server_of('a')->poll_query_until('postgres', q(SELECT NOT background FROM tandem.migrations)), 'and is done then');
sql('b', q(CALL tandem.migrate('m')));
catch_up();
my $all = has_origin() ? 'a v2 1100, b v2 1000' : 'a v2 1000, b v2 1000';
is(links($_), $all, "$_: all links are new") foreach regions();

# Rule: a region that switches back takes it back here.
sql('b', 'SELECT tandem.switch_release(41)');
catch_up();
is(state('a'), 'waits for regions|{b}', 'b has switched back');
is_refused(server_of('a'), q(CALL tandem.contract('m', undeclared => 'ignore')), qr/has not been made in region b/, 'contract then');
sql('b', q(CALL tandem.migrate('m')));
catch_up();
is(links('a'), $all =~ s/b v2/b v1/r, 'b has changed its rows back');
sql('b', 'SELECT tandem.switch_release(42)');
catch_up();
is(state('a'), 'due|{}', 'it is looked again');
sql($_, q(CALL tandem.migrate('m'))) foreach regions();
catch_up();
is(state($_), 'done|{}', "$_ is done") foreach regions();
foreach my $name (regions())
{
	sql($name, q(CALL tandem.contract('m', undeclared => 'ignore')));
	catch_up();
}
is(links($_), $all, "$_ has contracted") foreach regions();

# Rule: a row that two regions would change is warned of.
my (undef, undef, $warning) = server_of('a')->psql('postgres', q(BEGIN; SELECT tandem.create_migration('n', 43);
	SELECT tandem.add_after_switch('n', 'links', 'version = $$v3$$', 'version = $$v2$$'); ROLLBACK));
like($warning, qr/each region will change all rows of table "links".*target_region = tandem\.region\(\)/s, 'a condition that names no region');

# Rule: where nothing is written back nobody goes back once another region has contracted.
sql($_, q(BEGIN; SELECT tandem.create_migration('one way', 44); SELECT tandem.add_column('one way', 'links', 'kind', 'text');
	SELECT tandem.sync_column('one way', 'links', 'version', 'kind', 'upper(version)'); COMMIT;)) foreach regions();
sql($_, q(CALL tandem.migrate('one way'))) foreach regions();
catch_up();
foreach my $name (regions())
{
	sql($name, 'SELECT tandem.switch_release(44)');
	catch_up();
}
sql('a', 'SELECT tandem.switch_release(42)');
catch_up();
is_refused(server_of('b'), q(CALL tandem.contract('one way', undeclared => 'ignore')), qr/region a has switched to release 42, and a value of the new columns cannot/,
	'contract where another has gone back');
sql('a', 'SELECT tandem.switch_release(44)');
catch_up();
sql('b', q(CALL tandem.contract('one way', undeclared => 'ignore')));
catch_up();
is_refused(server_of('a'), 'SELECT tandem.switch_release(42)', qr/region b has contracted up to release 44, and writes nothing to the old columns.*Go on to contract here/s,
	'a switch back after contract in another region');
sql('a', q(CALL tandem.contract('one way', undeclared => 'ignore')));

done_testing();
