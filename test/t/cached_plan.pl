# The hazard "cached plan must not change result type": prepared SELECT * and RETURNING *, from the table
# and from the views of releases, over expand, fill, contract and abort.  Views list their columns, so what is
# prepared on them goes on.  What the server does with the bare table is shown, and how a session gets
# over it.
# Hazard: cached plan must not change result type.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');
my $changed = qr/ERROR:  0A000: cached plan must not change result type/;

sub sql { return $node->safe_psql('postgres', $_[0]); }

# What a session gets for a statement: rows, or the error.
sub answer
{
	my ($session, $statement) = @_;
	my $rows = $session->query($statement);
	my $error = $session->{stderr};

	$session->{stderr} = '';
	return $error eq '' ? $rows : $error;
}

# A session that has prepared with stars, and run it until the plans are generic.
sub prepared_in
{
	my ($schema) = @_;
	my $session = $node->background_psql('postgres', on_error_stop => 0);

	$session->query_safe("\\set VERBOSITY verbose\nSET search_path = $schema");
	$session->query_safe('PREPARE row(int) AS SELECT * FROM items WHERE id = $1');
	$session->query_safe('PREPARE change(int, numeric) AS UPDATE items SET weight = $2 WHERE id = $1 RETURNING *');
	$session->query_safe("EXECUTE row(1); EXECUTE change(1, $_)") foreach 1 .. 6;
	return $session;
}

# That both prepared statements give the columns that they were prepared for.
sub goes_on
{
	my ($session, $row, $when) = @_;

	is(answer($session, 'EXECUTE row(1)'), $row, "$when: SELECT *");
	is(answer($session, 'EXECUTE change(1, 6)'), $row, "$when: RETURNING *");
	return;
}

sub is_changed
{
	my ($session, $when) = @_;

	like(answer($session, 'EXECUTE row(1)'), $changed, "$when: SELECT * of the table");
	like(answer($session, 'EXECUTE change(1, 6)'), $changed, "$when: RETURNING *");
	return;
}

# A release that has a view already.  The types are such that a column made by an expression would
# differ if it were not made alike: in length, precision or collation.
sql(<<'SQL');
CREATE TABLE items (id int PRIMARY KEY, name text COLLATE "C", is_public boolean, weight numeric(10,2));
INSERT INTO items SELECT i, 'one', i % 2 = 1, 1 FROM generate_series(1, 100) i;
SELECT tandem.create_migration('rename', release => 1);
SELECT tandem.sync_column('rename', 'items', 'name', 'title', 'name', stored => false);
SELECT tandem.create_views(1);
CALL tandem.migrate('rename');
SQL
my $expand = <<'SQL';
BEGIN;
SELECT tandem.create_migration('m', release => 2);
SELECT tandem.add_column('m', 'items', 'visibility', 'varchar(9)');
SELECT tandem.add_column('m', 'items', 'grams', 'numeric(12,3)');
SELECT tandem.sync_column('m', 'items', 'is_public', 'visibility',
	$$ CASE WHEN is_public THEN 'public' ELSE 'private' END $$, $$ visibility = 'public' $$);
SELECT tandem.sync_column('m', 'items', 'weight', 'grams', 'weight * 1000', 'grams / 1000');
SELECT tandem.create_views(1), tandem.create_views(2);
COMMIT;
SQL
my ($table, $old, $named) = (prepared_in('public'), prepared_in('release_1'), $node->background_psql('postgres'));
$named->query_safe('PREPARE row(int) AS SELECT id, weight FROM items WHERE id = $1');
$named->query_safe('PREPARE add(int, text, boolean, numeric) AS INSERT INTO items VALUES ($1, $2, $3, $4)');
$named->query_safe("EXECUTE row(2); EXECUTE add(100 + $_, 'more', true, 1)") foreach 1 .. 6;
goes_on($table, '1|one|t|6.00', 'table, before expand');
goes_on($old, '1|one|t|6.00', 'view of release 1, before expand');

sql($expand);
goes_on($old, '1|one|t|6.00', 'view of release 1, after expand');
is_changed($table, 'after expand');
is_changed($table, 'and again: the server does not get over it');
is($named->query_safe('EXECUTE row(2)'), '2|1.00', 'columns named: the table, too, goes on');
$named->query_safe(q(EXECUTE add(200, 'late', true, 1)));
is(sql('SELECT visibility, grams FROM items WHERE id = 200'), 'public|1000.000', 'so does INSERT without a list of columns, synced');

# within a transaction block the error costs the block; prepared anew, the statement works
is(answer($table, "BEGIN; UPDATE items SET name = 'lost' WHERE id = 3"), '', 'a block');
like(answer($table, 'EXECUTE row(1)'), $changed, 'fails');
like(answer($table, 'SELECT 1'), qr/25P02/, 'as a whole');
$table->query_safe('ROLLBACK; DEALLOCATE ALL');
$table->query_safe('PREPARE row(int) AS SELECT * FROM items WHERE id = $1');
is(answer($table, 'EXECUTE row(2)'), '2|one|f|1.00||', 'prepared anew: SELECT * of the table, not filled yet');

# the new release, from the first second on: its view is read through, then plain, and then all there is
$old->quit;
$old = prepared_in('release_1');
my $new = $node->background_psql('postgres', on_error_stop => 0);
$new->query_safe("\\set VERBOSITY verbose\nSET search_path = release_2");
$new->query_safe('PREPARE row(int) AS SELECT * FROM items WHERE id = $1; PREPARE change(int, numeric) AS UPDATE items SET title = title WHERE id = $1 RETURNING *');
$new->query_safe("EXECUTE row(2); EXECUTE change(1, $_)") foreach 1 .. 6;
is(answer($new, 'EXECUTE row(2)'), '2|one|private|1000.000', 'view of release 2, read through: SELECT *');
like(sql(q(SELECT pg_get_viewdef('release_2.items'::regclass))), qr/CASE/, 'it is read through');
sql(q(CALL tandem.migrate('m')));
unlike(sql(q(SELECT pg_get_viewdef('release_2.items'::regclass))), qr/CASE/, 'after the fill it is plain');
goes_on($old, '1|one|t|6.00', 'view of release 1, after the fill');
goes_on($new, '1|one|public|6000.000', 'view of release 2, after the fill');
is(answer($table, 'EXECUTE row(2)'), '2|one|f|1.00|private|1000.000', 'table, after the fill');

# another migration comes and goes
sql(<<'SQL');
BEGIN;
SELECT tandem.create_migration('n', release => 3);
SELECT tandem.add_column('n', 'items', 'label', 'text');
SELECT tandem.sync_column('n', 'items', 'name', 'label', 'name', 'label');
SELECT tandem.create_views(1), tandem.create_views(2), tandem.create_views(3);
COMMIT;
SQL
goes_on($old, '1|one|t|6.00', 'view of release 1, after the next expand');
goes_on($new, '1|one|public|6000.000', 'view of release 2, after the next expand');
sql(q(CALL tandem.abort('n')));
goes_on($old, '1|one|t|6.00', 'view of release 1, after abort');
goes_on($new, '1|one|public|6000.000', 'view of release 2, after abort');
sql(q(CALL tandem.contract('m', undeclared => 'ignore')));
goes_on($new, '1|one|public|6000.000', 'view of release 2, after contract');
like(answer($table, 'EXECUTE row(2)'), $changed, 'after contract: SELECT * of the table');
like(answer($old, 'EXECUTE row(1)'), qr/55T01/, 'release 1 has ended');

# of a migration without a release every view shows the columns, that of a served release when it is asked to
sql(<<'SQL');
BEGIN;
SELECT tandem.create_migration('all');
SELECT tandem.add_column('all', 'items', 'label', 'text');
SELECT tandem.sync_column('all', 'items', 'name', 'label', 'name', 'label');
COMMIT;
SQL
goes_on($new, '1|one|public|6000.000', 'without a release, after expand');
sql('SELECT tandem.create_views(2)');
goes_on($new, '1|one|public|6000.000', 'without a release, after create_views');
sql('SELECT tandem.create_views(2, refresh => true)');
is_changed($new, 'without a release, after refresh');
$_->quit foreach $table, $old, $new, $named;

done_testing();
