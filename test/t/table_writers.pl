# A table that a migration renames or drops, and that nothing keeps in sync: contract is refused as long as a
# session that has written it since expand may still be of the release before.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');

sub sql { return $node->safe_psql('postgres', $_[0]); }

my $setup = <<'SQL';
CREATE TABLE events (id int, part int) PARTITION BY LIST (part);
CREATE TABLE events_1 PARTITION OF events FOR VALUES IN (1);
CREATE TABLE events_2 PARTITION OF events FOR VALUES IN (2);
CREATE TABLE log (id int);
INSERT INTO events VALUES (1, 1);
SQL
sql("$setup; SELECT tandem.register_release(41); SELECT tandem.create_views(41, schemas => '{public}')");
my $triggers = q(SELECT string_agg(DISTINCT tgrelid::regclass::text, ' ' ORDER BY tgrelid::regclass::text) FROM pg_trigger WHERE tgname = '~tandem_writer');
my $marked = q(SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND classid = 'tandem.migration'::regclass AND objsubid = 7);

sub expand
{
	sql(<<'SQL');
SELECT tandem.create_migration('m', release => 42);
SELECT tandem.rename_table('m', 'events', 'happenings');
SELECT tandem.drop_table('m', 'log');
SELECT tandem.create_views(42, schemas => '{public}');
SQL
	return;
}

my $early = $node->background_psql('postgres');
$early->query_safe('INSERT INTO events VALUES (0, 1); INSERT INTO log VALUES (0)');
expand();
is(sql($triggers), 'events events_1 events_2 log', 'each table that is written by its name has a trigger');
is(sql($marked), '0', 'what was written before expand does not count');

# tables that come to the tree, and leave it, by a role that does not own them, too
is(sql(<<"SQL"), 'events events_1 events_2 events_3 events_4 events_4_1 log more.events_5', 'partitions that are created or attached get it');
CREATE TABLE events_3 PARTITION OF events FOR VALUES IN (3);
CREATE TABLE events_4 (id int, part int) PARTITION BY RANGE (id);
CREATE TABLE events_4_1 PARTITION OF events_4 DEFAULT;
ALTER TABLE events ATTACH PARTITION events_4 FOR VALUES IN (4);
CREATE SCHEMA more CREATE TABLE events_5 PARTITION OF public.events FOR VALUES IN (5);
$triggers
SQL
is(sql(<<"SQL"), 'events events_1 events_2 events_3 log', 'those that are detached lose it');
CREATE ROLE mover;
GRANT CREATE ON SCHEMA public TO mover;
ALTER TABLE events OWNER TO mover;
SET ROLE mover;
ALTER TABLE events DETACH PARTITION events_4;
RESET ROLE;
ALTER TABLE events OWNER TO CURRENT_USER;
ALTER TABLE events DETACH PARTITION more.events_5 CONCURRENTLY;
$triggers
SQL
sql('DROP TABLE events_4, more.events_5');

# each way to write, as one that does not say who it is; on the left what tells it from the others
my %writes = (
	'an INSERT' => q(INSERT INTO events VALUES (2, 2)),
	'an UPDATE' => q(UPDATE events SET id = 3),
	'an INSERT into a partition that came later' => q(INSERT INTO events_3 VALUES (4, 3)),
	'an INSERT into a partition' => q(INSERT INTO events_2 VALUES (4, 2)),
	'a COPY' => q(COPY events FROM PROGRAM 'echo 5,1' WITH (FORMAT csv)),
	'a write of the table that goes' => q(INSERT INTO log VALUES (1)),
	'a view of the release before' => q(INSERT INTO release_41.events VALUES (6, 1)),
	'a setting of the release before' => q(SET tandem.release = 41; INSERT INTO events VALUES (7, 1)));
foreach my $what (sort keys %writes)
{
	my $session = $node->background_psql('postgres');

	$session->query_safe($writes{$what});
	is_refused($node, q(CALL tandem.contract('m')), qr/1 session that has written tables of migration "m" has not declared a release/,
		"contract: $what");
	$session->quit;
	wait_for_running($node, "SELECT ($marked) = 0");
}

# who writes as release 42, or only reads, is not in the way
my @others = map { $node->background_psql('postgres') } 1 .. 4;
$others[0]->query_safe('SET tandem.release = 42; INSERT INTO events VALUES (8, 1)');
$others[1]->query_safe('SET search_path = release_42; UPDATE happenings SET id = 9 WHERE id = 8');
$others[2]->query_safe('INSERT INTO release_42.happenings VALUES (10, 1)');
$others[3]->query_safe('SELECT count(*) FROM events, log; BEGIN; ROLLBACK');
is(sql($marked), '0', 'writers of release 42, by setting, path or view, and readers are not marked');

# a session that knows the trigger from one migration is marked for the next
$early->query_safe('SET tandem.release = 42; INSERT INTO events VALUES (11, 1)');
sql(q(SELECT tandem.create_migration('n', release => 43); SELECT tandem.rename_table('n', 'events', 'occurrences')));
$early->query_safe('INSERT INTO events VALUES (12, 1)');
is(sql($marked), '1', 'the migration that renames it again');
sql(q(CALL tandem.abort('n')));
is(sql($triggers), 'events events_1 events_2 events_3 log', 'abort leaves the trigger that another migration needs');
$early->query_safe('INSERT INTO events VALUES (13, 1)');
is(sql($marked), '0', 'and takes the mark back');

sql(q(CALL tandem.abort('m')));
is(sql($triggers), '', 'abort of the last one takes the triggers along');

sql('SELECT tandem.drop_views(42)');
expand();
$early->query_safe('RESET tandem.release; INSERT INTO events VALUES (14, 1)');
is_refused($node, q(CALL tandem.contract('m')), qr/1 session that has written tables/, 'after abort and expand again');
sql(q(SET client_min_messages = error; CALL tandem.contract('m', undeclared => 'ignore')));
is(sql($triggers), '', 'contract takes the triggers along');
is(sql('SELECT count(*) > 5 FROM happenings'), 't', 'and renames the table');
$_->quit foreach $early, @others;

# A column that changes on the table itself, to what is not alike: a statement that waits in contract's lock would store
# values of the old kind as new ones, so nobody who may do that is passed over.
sql(<<'SQL');
CREATE TABLE prices (id int PRIMARY KEY, price int);
INSERT INTO prices VALUES (1, 100);
SELECT tandem.create_migration('euros', release => 50);
SELECT tandem.change_column('euros', 'prices', 'price', 'numeric', up => 'price / 100.0', down => '(price * 100)::int', bare_table => true);
CALL tandem.migrate('euros');
SELECT tandem.switch_release(50);
SQL
my $writer = $node->background_psql('postgres');
$writer->query_safe('UPDATE prices SET price = 200 WHERE id = 1');
is_refused($node, q(CALL tandem.contract('euros')), qr/has not declared a release/, 'contract beside a writer of the table');
is_refused($node, q(CALL tandem.contract('euros', undeclared => 'ignore')), qr/has not declared a release.*They are not passed over, since a column changes on the table itself/s,
	'nor is it passed over');
$writer->quit;
sql(q(CALL tandem.contract('euros', undeclared => 'ignore')));
is(sql('SELECT price FROM prices'), '2.0000000000000000', 'once it has gone contract comes to its end');

done_testing();
