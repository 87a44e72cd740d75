# The key of pgbench_accounts becomes a bigint, while both releases write rows by ON CONFLICT (aid), by the name of the
# constraint on the table itself, with UPDATE and in what refers to it, through expand, migrate and contract: no statement
# fails, and the sums are right.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use TandemTest;
use Test::More;

my $node = new_server('main', conf => <<'CONF');
session_preload_libraries = 'pg_tandem'
CONF

sub sql { return $node->safe_psql('postgres', $_[0]); }

# 1. Clients who always have the table referred to, and then write the one that refers to it, which is the older one: a
# foreign key is built between them, though each piece of the run makes one try to lock both.
sql(<<'SQL');
CREATE TABLE pages (book_id int NOT NULL, n int);
CREATE TABLE books (id int PRIMARY KEY, n int);
INSERT INTO books SELECT i, 0 FROM generate_series(1, 100) i;
ALTER TABLE pages ADD FOREIGN KEY (book_id) REFERENCES books;
SQL
my $readers = start_pgbench($node, '-c', '4', '-T', '600', '-f', write_script('pages', <<'SQL'));
\set id :client_id + 1
BEGIN;
UPDATE books SET n = n + 1 WHERE id = :id;
SELECT pg_sleep(0.05);
INSERT INTO pages VALUES (:id, 1);
END;
SQL
wait_for_running($node, 'SELECT count(*) > 20 FROM pages');
sql(q(SELECT tandem.create_migration('books', release => 1);
	SELECT tandem.change_column('books', 'books', 'id', 'bigint', cascade => true)));
sql(q(SET client_min_messages = warning; SET tandem.lock_retry_time = '15s'; CALL tandem.migrate('books')));
pass('a foreign key is built, whatever the order in which clients take the tables');
ok(end_pgbench($readers), 'and they go on');
sql(q(CALL tandem.abort('books'); DROP TABLE pages, books));

# 2. The tables of pgbench.
init_pgbench($node, 1);
# few of the rows are written by all, new ones come; each change is told in the history
sql(<<'SQL');
ALTER TABLE pgbench_history ADD FOREIGN KEY (aid) REFERENCES pgbench_accounts ON UPDATE CASCADE, ADD COLUMN IF NOT EXISTS kind text;
CREATE INDEX ON pgbench_history (aid);
CREATE TABLE pgbench_notes (aid int PRIMARY KEY REFERENCES pgbench_accounts ON DELETE CASCADE, n int NOT NULL DEFAULT 0);
SELECT tandem.register_release(1);
SELECT tandem.switch_release(1);
SELECT tandem.create_views(1, schemas => '{public}');
SQL
my $constraints = q(SELECT conrelid::regclass, conname, contype, pg_get_constraintdef(oid), convalidated FROM pg_constraint
	WHERE connamespace = 'public'::regnamespace AND contype <> 'n' ORDER BY 1, 2);
my $before = sql($constraints);

my $upserts = write_script('upserts', <<'SQL');
\set aid random(1, 50) * 4001
\set delta random(-5000, 5000)
BEGIN;
INSERT INTO pgbench_accounts (aid, bid, abalance) VALUES (:aid, 1, :delta) ON CONFLICT (aid) DO UPDATE SET abalance = pgbench_accounts.abalance + excluded.abalance;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, :aid, :delta, CURRENT_TIMESTAMP);
INSERT INTO pgbench_notes (aid, n) VALUES (:aid, 1) ON CONFLICT (aid) DO UPDATE SET n = pgbench_notes.n + 1;
END;
SQL
my $others = write_script('others', <<'SQL');
\set aid random(1, 100000)
\set new random(200000, 2000000000)
\set delta random(-5000, 5000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (2, 1, :aid, :delta, CURRENT_TIMESTAMP);
INSERT INTO pgbench_accounts (aid, bid, abalance) VALUES (:new, 1, 0) ON CONFLICT (aid) DO NOTHING;
DELETE FROM pgbench_accounts WHERE aid = :new AND NOT EXISTS (SELECT FROM pgbench_history h WHERE h.aid = :new) AND NOT EXISTS (SELECT FROM pgbench_notes n WHERE n.aid = :new);
END;
SQL
# an index of the table has a name that no view knows
my $named = write_script('named', <<'SQL');
\set aid random(1, 50) * 4001
\set delta random(-5000, 5000)
BEGIN;
INSERT INTO public.pgbench_accounts (aid, bid, abalance) VALUES (:aid, 1, :delta) ON CONFLICT ON CONSTRAINT pgbench_accounts_pkey DO UPDATE SET abalance = pgbench_accounts.abalance + excluded.abalance;
INSERT INTO public.pgbench_history (tid, bid, aid, delta, mtime) VALUES (3, 1, :aid, :delta, CURRENT_TIMESTAMP);
END;
SQL

sub start_release
{
	my ($release, @options) = @_;

	local $ENV{PGOPTIONS} = "-c tandem.release=$release -c search_path=release_$release";
	return start_pgbench($node, '-c', '3', '-T', '600', '-f', $upserts, '-f', $others, @options);
}

sub progressed
{
	my ($what) = @_;
	my $count = sql('SELECT count(*) FROM pgbench_history');

	wait_for_running($node, "SELECT count(*) > $count + 300 FROM pgbench_history");
	pass("clients go on $what");
	return;
}

my $old = start_release(1, '-f', $named, '-M', 'prepared');
progressed('before expand');
sql(q(SELECT tandem.create_migration('key', release => 2); SELECT tandem.change_column('key', 'pgbench_accounts', 'aid', 'bigint', cascade => true);
	SELECT tandem.create_views(2, schemas => '{public}')));
progressed('after expand');
sql(q(SET tandem.batch_target = '20ms'; SET client_min_messages = warning; CALL tandem.migrate('key')));
my $new = start_release(2);
my $prepared = start_release(2, '-M', 'prepared');
progressed('after migrate, of both releases');
is(sql(q(SELECT count(*) FROM pgbench_accounts WHERE aid IS DISTINCT FROM aid__2) . q( UNION ALL SELECT count(*) FROM pgbench_history WHERE aid IS DISTINCT FROM aid__2)), "0\n0", 'both keys are one');
sql('SELECT tandem.switch_release(2)');
ends_without_failure($old, 'release 1');
sql(q(SET client_min_messages = error; CALL tandem.contract('key', undeclared => 'ignore')));
progressed('after contract');
ends_without_failure($new, 'release 2');
ends_without_failure($prepared, 'release 2, prepared');
is(sql('SELECT sum(abalance) FROM pgbench_accounts'), sql('SELECT sum(delta) FROM pgbench_history'), 'accounts have every change of the history');
is(sql('SELECT sum(n) FROM pgbench_notes'), sql('SELECT count(*) FROM pgbench_history WHERE tid = 1'), 'and notes each upsert');
is(sql($constraints), $before, 'all keys are the same');
is(sql(q(SELECT DISTINCT atttypid::regtype FROM pg_attribute WHERE attname = 'aid' AND attrelid IN ('pgbench_accounts'::regclass, 'pgbench_history'::regclass, 'pgbench_notes'::regclass))),
	'bigint', 'of another type');

done_testing();
