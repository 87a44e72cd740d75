# Changes of a schema as they are asked for every day, each from expand to contract, and once more from expand to abort.
# Every one is checked through the views of both releases before contract, on the table after it, and after an abort by
# pg_dump --schema-only, which must be what it was.
#
# The kinds of change are those of the 56 examples that pgroll publishes, here on tables of our own:
#   covered here: a column added that may be NULL (03, 06), with a default (03, 17, 26, 39, 41, 53), NOT NULL and
#     computed (03, 30), with a CHECK (26), of an enum type (41), to a table with a key of two columns (39), with a
#     default that is computed anew for each row (53); a column dropped, with and without down (09); a column renamed
#     (13); an index: plain, UNIQUE, partial, hash with a fillfactor, with an operator class (10, 37, 38, 42, 54);
#     UNIQUE of one and of two columns (15, 44), CHECK of one and of two (22, 45), FOREIGN KEY of one and of two
#     (21, 47), PRIMARY KEY (55), and NOT NULL (16) on columns that stay; another type, and values made to fit a
#     constraint, under another name (15, 16, 18, 22) and under its own, by one call (15, 16, 18, 22, 46, 49); NULL
#     allowed (31), a default alone (35), several at once (36); a constraint dropped (23, 24, 27, 48); a table renamed
#     (04) and dropped (07); an index dropped (11), a constraint renamed (32, 33), the replica identity (29).
#   plain DDL, that neither release needs to be shielded from: tables and types created (01, 02, 05, 08, 12, 14, 19, 20,
#     25, 28, 34, 40, 43, 50, 51, 52, 56).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');
my $number = 0;

$node->safe_psql('template1', 'CREATE EXTENSION pg_tandem');

sub rows
{
	my ($database, $release, $query) = @_;
	my $as = $release ? "SET tandem.release = $release; SET search_path = release_$release, public; " : '';

	return $node->safe_psql($database, $as . $query);
}

# The SQLSTATE of a statement.
sub state_of
{
	my ($database, $release, $statement) = @_;
	my ($status, $out, $err) = $node->psql($database,
		"\\set VERBOSITY sqlstate\nSET tandem.release = $release; SET search_path = release_$release, public;\n$statement");

	return $err =~ /(?:ERROR|FATAL):\s+(\w{5})/ ? $1 : '00000';
}

# In a database of its own: has the table, and the change until both releases write.  The new one reads what is not
# filled yet, and cannot write it through its view.
sub expand
{
	my ($change) = @_;
	my $database = 'd' . ++$number;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, $change->{table});
	$change->{was} = schema_of($node, $database);
	my $views = $change->{view} ? 'SELECT tandem.create_views(41), tandem.create_views(42);' : '';
	$node->safe_psql($database, <<"SQL");
SET client_min_messages = error;
BEGIN;
SELECT tandem.create_migration('m', release => 42);
$change->{calls}
COMMIT;
$views
SQL
	return $database;
}

# each: [ release, statement ], or [ release, query, result ], or [ release, statement, SQLSTATE, 'fails' ]; release 0: on the table
sub follow
{
	my ($database, $what, @steps) = @_;

	foreach my $step (@steps)
	{
		my ($release, $sql, $expected, $fails) = @$step;

		if ($fails) { is(state_of($database, $release, $sql), $expected, "$what: $sql of $release fails") }
		elsif (defined $expected) { is(rows($database, $release, $sql), $expected, "$what: $sql of $release") }
		else { rows($database, $release, $sql) }
	}
	return;
}

# table: SQL; calls: of the migration m, release 42; both: steps before migrate; filled: after it; after: after contract,
# of the table, too; view: what has views, if both releases need them; aborted: what the rows are after an abort.
sub check_change
{
	my ($name, %change) = @_;
	my $database = expand(\%change);

	follow($database, "$name, before migrate", @{ $change{both} || [] });
	$node->safe_psql($database, "SET client_min_messages = error; CALL tandem.migrate('m')");
	follow($database, "$name, migrated", @{ $change{filled} || [] });
	$node->safe_psql($database, "SET client_min_messages = error; SELECT tandem.switch_release(42);"
		  . "CALL tandem.contract('m', undeclared => 'ignore'" . ($change{accept} ? ", accept => '{$change{accept}}'" : '') . ')');
	is($node->safe_psql($database, "SELECT phase FROM tandem.migrations"), 'done', "$name: contracted");
	is(state_of($database, 41, "SELECT * FROM $change{view}"), '55T01', "$name: the old release has ended") if $change{view};
	follow($database, "$name, contracted", @{ $change{after} || [] });

	$database = expand(\%change);
	rows($database, $_->[0], $_->[1]) foreach grep { @$_ == 2 } @{ $change{both} || [] };
	$node->safe_psql($database, "SET client_min_messages = error; CALL tandem.migrate('m')");
	rows($database, $_->[0], $_->[1]) foreach grep { @$_ == 2 } @{ $change{filled} || [] };
	$node->safe_psql($database, "SET client_min_messages = error; CALL tandem.abort('m', force => true)");
	is(schema_of($node, $database), $change{was}, "$name: an abort leaves the schema as it was");
	follow($database, "$name, aborted", @{ $change{aborted} || [] });
	return;
}

my $books = <<'SQL';
CREATE TABLE book (isbn int PRIMARY KEY, title varchar(80) NOT NULL, pages int, blurb text);
INSERT INTO book SELECT n, 'Book ' || n, n * 100, 'x' FROM generate_series(1, 5) n;
SQL

check_change('a column that may be NULL', table => $books, view => 'book',
	calls => q(SELECT tandem.add_column('m', 'book', 'shelf', 'varchar(40)');),
	both => [
		[ 41, q(INSERT INTO book VALUES (6, 'Old', 60)) ],
		[ 42, q(INSERT INTO book (isbn, title, shelf) VALUES (7, 'New', 'C3')) ],
		[ 41, q(SELECT * FROM book WHERE isbn = 7), '7|New||' ],
		[ 42, q(SELECT isbn, shelf FROM book WHERE isbn > 5 ORDER BY 1), "6|\n7|C3" ],
		[ 41, q(SELECT shelf FROM book), '42703', 'fails' ] ],
	after => [ [ 0, q(SELECT isbn, shelf FROM book WHERE shelf IS NOT NULL), '7|C3' ] ],
	aborted => [ [ 0, q(SELECT title FROM book WHERE isbn = 7), 'New' ] ]);

check_change('a column that is computed', table => $books, view => 'book',
	calls => q(SELECT tandem.add_column('m', 'book', 'spine', 'varchar(80)', up => 'upper(title)');),
	both => [
		[ 42, q(SELECT spine FROM book WHERE isbn = 1), 'BOOK 1' ],
		[ 41, q(INSERT INTO book VALUES (6, 'Old')) ],
		[ 41, q(UPDATE book SET title = 'Changed' WHERE isbn = 2) ],
		[ 42, q(INSERT INTO book (isbn, title, spine) VALUES (7, 'New', 'mine')), '0A000', 'fails' ] ],
	filled => [
		[ 42, q(INSERT INTO book (isbn, title, spine) VALUES (7, 'New', 'mine')) ],
		[ 41, q(UPDATE book SET title = 'Newer' WHERE isbn = 7) ],
		[ 42, q(SELECT isbn, title, spine FROM book WHERE isbn IN (1, 2, 6, 7) ORDER BY 1), "1|Book 1|BOOK 1\n2|Changed|CHANGED\n6|Old|OLD\n7|Newer|mine" ] ],
	# nothing computes it any more
	after => [ [ 42, q(UPDATE book SET title = 'Late' WHERE isbn = 1) ], [ 0, q(SELECT spine FROM book WHERE isbn = 1), 'BOOK 1' ] ]);

check_change('a column with a default, NOT NULL', table => $books, view => 'book',
	calls => q(SELECT tandem.add_column('m', 'book', 'copies', 'int', default_value => '100', not_null => true);),
	both => [
		[ 42, q(SELECT DISTINCT copies FROM book), '100' ],
		[ 41, q(INSERT INTO book VALUES (6, 'Old')) ],
		[ 42, q(INSERT INTO book (isbn, title, copies) VALUES (7, 'New', 3)) ],
		[ 42, q(INSERT INTO book (isbn, title) VALUES (8, 'Plain')) ],
		[ 42, q(SELECT isbn, copies FROM book WHERE isbn > 5 ORDER BY 1), "6|100\n7|3\n8|100" ] ],
	filled => [ [ 42, q(INSERT INTO book (isbn, title, copies) VALUES (9, 'None', NULL)), '23502', 'fails' ] ],
	after => [
		[ 42, q(INSERT INTO book (isbn, title) VALUES (10, 'Late')) ],
		[ 0, q(SELECT copies FROM book WHERE isbn = 10), '100' ],
		[ 42, q(INSERT INTO book (isbn, title, copies) VALUES (11, 'None', NULL)), '23502', 'fails' ] ]);

check_change('a column that is computed, NOT NULL', table => $books, view => 'book',
	calls => q(SELECT tandem.add_column('m', 'book', 'genre', 'varchar(90)', up => $$title || ' (any)'$$, not_null => true);),
	both => [ [ 41, q(INSERT INTO book VALUES (6, 'Old')) ] ],
	filled => [ [ 42, q(INSERT INTO book (isbn, title, genre) VALUES (7, 'New', 'crime')) ], [ 42, q(SELECT isbn, genre FROM book WHERE isbn IN (1, 6, 7) ORDER BY 1), "1|Book 1 (any)\n6|Old (any)\n7|crime" ] ],
	after => [ [ 42, q(INSERT INTO book (isbn, title) VALUES (8, 'None')), '23502', 'fails' ] ]);

check_change('a column that is a constant for all', table => $books, view => 'book',
	calls => q(SELECT tandem.add_column('m', 'book', 'source', 'text', up => $$'before us'$$, not_null => true);),
	both => [ [ 41, q(INSERT INTO book VALUES (6, 'Old')) ] ],
	filled => [ [ 42, q(SELECT DISTINCT source FROM book), 'before us' ] ]);

check_change('a column with a CHECK', table => $books, view => 'book',
	calls => q(SELECT tandem.add_column('m', 'book', 'age', 'int', default_value => '18');
		SELECT tandem.add_constraint('m', 'book', 'adult', 'CHECK (age >= 18)');),
	both => [ [ 41, q(INSERT INTO book VALUES (6, 'Old')) ] ],
	filled => [ [ 42, q(INSERT INTO book (isbn, title, age) VALUES (7, 'New', 17)), '23514', 'fails' ], [ 42, q(SELECT count(*) FROM book WHERE age = 18), '6' ] ],
	after => [ [ 42, q(UPDATE book SET age = 3), '23514', 'fails' ] ]);

check_change('a column of an enum type', table => "CREATE TYPE binding AS ENUM ('paper', 'cloth'); $books", view => 'book',
	calls => q(SELECT tandem.add_column('m', 'book', 'bound', 'binding', default_value => $$'paper'$$);),
	both => [ [ 41, q(INSERT INTO book VALUES (6, 'Old')) ], [ 42, q(UPDATE book SET bound = 'cloth' WHERE isbn = 6) ], [ 42, q(INSERT INTO book (isbn, title) VALUES (7, 'New')) ] ],
	after => [ [ 0, q(SELECT isbn, bound FROM book WHERE isbn > 4 ORDER BY 1), "5|paper\n6|cloth\n7|paper" ] ]);

check_change('a default that is computed anew for each row', table => $books, view => 'book',
	calls => q(SELECT tandem.add_column('m', 'book', 'lot', 'int', default_value => '(random() * 1000)::int', up => '(random() * 1000)::int');),
	both => [ [ 41, q(INSERT INTO book VALUES (6, 'Old')) ], [ 42, q(INSERT INTO book (isbn, title) VALUES (7, 'New')) ] ],
	filled => [ [ 42, q(SELECT count(*) FROM book WHERE lot BETWEEN 0 AND 1000), '7' ] ],
	after => [ [ 42, q(INSERT INTO book (isbn, title) VALUES (8, 'Late')) ], [ 0, q(SELECT lot IS NOT NULL FROM book WHERE isbn = 8), 't' ] ]);

check_change('a column beside a key of two', view => 'seat',
	table => q(CREATE TABLE seat (hall text, place int, PRIMARY KEY (hall, place)); INSERT INTO seat VALUES ('A', 1), ('A', 2), ('B', 1);),
	calls => q(SELECT tandem.add_column('m', 'seat', 'price', 'int', default_value => '10');),
	both => [ [ 41, q(INSERT INTO seat VALUES ('B', 2)) ], [ 42, q(UPDATE seat SET price = 15 WHERE hall = 'B' AND place = 2) ] ],
	after => [ [ 0, q(SELECT * FROM seat ORDER BY 1, 2), "A|1|10\nA|2|10\nB|1|10\nB|2|15" ] ]);

check_change('a column that goes, with down', view => 'fare',
	table => q(CREATE TABLE fare (id int PRIMARY KEY, line text, price numeric(10, 2) NOT NULL); INSERT INTO fare VALUES (1, 'U1', 2.5), (2, 'U2', 3);),
	calls => q(SELECT tandem.drop_column('m', 'fare', 'price', down => '0');),
	both => [
		[ 42, q(INSERT INTO fare VALUES (3, 'U3')) ],
		[ 42, q(SELECT price FROM fare), '42703', 'fails' ],
		[ 41, q(INSERT INTO fare VALUES (4, 'U4', 4)) ],
		[ 42, q(UPDATE fare SET line = line || '!') ],
		[ 41, q(SELECT * FROM fare ORDER BY 1), "1|U1!|2.50\n2|U2!|3.00\n3|U3!|0.00\n4|U4!|4.00" ],
		[ 42, q(SELECT * FROM fare ORDER BY 1), "1|U1!\n2|U2!\n3|U3!\n4|U4!" ] ],
	accept => 'not null',
	after => [ [ 0, q(SELECT * FROM fare ORDER BY 1), "1|U1!\n2|U2!\n3|U3!\n4|U4!" ], [ 42, q(INSERT INTO fare VALUES (5, 'U5')) ] ],
	aborted => [ [ 0, q(SELECT id, price FROM fare ORDER BY 1), "1|2.50\n2|3.00\n3|0.00\n4|4.00" ] ]);

check_change('a column that goes, with its default', view => 'book', table => $books . q(ALTER TABLE book ALTER blurb SET DEFAULT 'none';),
	calls => q(SELECT tandem.drop_column('m', 'book', 'blurb');),
	both => [ [ 42, q(INSERT INTO book (isbn, title) VALUES (6, 'New')) ], [ 41, q(SELECT blurb FROM book WHERE isbn = 6), 'none' ],
		[ 41, q(UPDATE book SET blurb = 'mine' WHERE isbn = 6) ], [ 42, q(UPDATE book SET pages = 7 WHERE isbn = 6) ],
		[ 41, q(SELECT pages, blurb FROM book WHERE isbn = 6), '7|mine' ] ],
	accept => 'defaults',
	after => [ [ 0, q(SELECT * FROM book WHERE isbn = 6), '6|New|7' ] ],
	aborted => [ [ 0, q(SELECT blurb FROM book WHERE isbn = 6), 'mine' ] ]);

check_change('a column with another name', view => 'clerk',
	table => q(CREATE TABLE clerk (id serial PRIMARY KEY, post varchar(30) NOT NULL DEFAULT 'desk'); CREATE INDEX clerk_post ON clerk (post);
		COMMENT ON COLUMN clerk.post IS 'what they do'; INSERT INTO clerk (post) VALUES ('till'), ('door');),
	calls => q(SELECT tandem.rename_column('m', 'clerk', 'post', 'duty');),
	both => [
		[ 41, q(INSERT INTO clerk (post) VALUES ('old')) ],
		[ 42, q(INSERT INTO clerk (duty) VALUES ('new')) ],
		[ 42, q(INSERT INTO clerk (id) VALUES (DEFAULT)) ],
		[ 42, q(UPDATE clerk SET duty = 'gate' WHERE duty = 'door') ],
		[ 41, q(SELECT string_agg(post, ' ' ORDER BY id) FROM clerk), 'till gate old new desk' ],
		[ 42, q(SELECT string_agg(duty, ' ' ORDER BY id) FROM clerk), 'till gate old new desk' ],
		[ 41, q(SELECT duty FROM clerk), '42703', 'fails' ],
		[ 42, q(SELECT post FROM clerk), '42703', 'fails' ] ],
	after => [
		[ 0, q(SELECT string_agg(duty, ' ' ORDER BY id) FROM clerk), 'till gate old new desk' ],
		[ 0, q(SELECT col_description('clerk'::regclass, 2)), 'what they do' ],
		[ 0, q(SELECT pg_get_indexdef('clerk_post'::regclass)), 'CREATE INDEX clerk_post ON public.clerk USING btree (duty)' ],
		[ 42, q(INSERT INTO clerk (duty) VALUES (NULL)), '23502', 'fails' ] ],
	aborted => [ [ 0, q(SELECT string_agg(post, ' ' ORDER BY id) FROM clerk), 'till gate old new desk' ] ]);

foreach my $index (
	[ 'an index', 'book_by_title ON public.book USING btree (title)' ],
	[ 'a partial index', 'book_long ON public.book USING btree (isbn) WHERE (isbn > 10)' ],
	[ 'a hash index with a fillfactor', q(book_hash ON public.book USING hash (title) WITH (fillfactor='70')) ],
	[ 'an index with an operator class', 'book_pattern ON public.book USING btree (title varchar_pattern_ops)' ],
	[ 'a unique index', 'book_once ON public.book USING btree (title)', 'UNIQUE ' ])
{
	my ($what, $text, $unique) = @$index;
	my ($name) = $text =~ /^(\w+)/;
	my $definition = 'CREATE ' . ($unique // '') . "INDEX $text";

	check_change($what, table => $books, view => undef,
		calls => "SELECT tandem.add_index('m', \$\$$definition\$\$);",
		both => [ [ 0, q(INSERT INTO book VALUES (6, 'Old')) ] ],
		filled => [ [ 0, "SELECT indisvalid, pg_get_indexdef(indexrelid) FROM pg_index WHERE indexrelid = '$name'::regclass", "t|" . $definition =~ s/varchar_pattern_ops/varchar_pattern_ops/r ] ],
		after => [ [ 0, "SELECT pg_get_indexdef('$name'::regclass)", $definition ] ]);
}

my $lent = <<'SQL';
CREATE TABLE shop (town text, street int, PRIMARY KEY (town, street));
CREATE TABLE lent (id int NOT NULL, who int, town text, street int, what text);
CREATE TABLE reader (id int PRIMARY KEY);
INSERT INTO reader VALUES (1), (2);
INSERT INTO shop VALUES ('Ulm', 1), ('Bonn', 2);
INSERT INTO lent VALUES (1, 1, 'Ulm', 1, 'book'), (2, 2, 'Bonn', 2, 'map');
SQL
foreach my $constraint (
	[ 'UNIQUE of two columns', 'UNIQUE (town, street)', q(INSERT INTO lent VALUES (4, 1, 'Ulm', 1, 'pen')), '23505' ],
	[ 'UNIQUE', 'UNIQUE (what)', q(INSERT INTO lent VALUES (4, 1, 'Ulm', 3, 'map')), '23505' ],
	[ 'CHECK', 'CHECK (length(what) > 2)', q(INSERT INTO lent VALUES (4, 1, 'Ulm', 3, 'a')), '23514' ],
	[ 'CHECK of two columns', q(CHECK (town = 'Ulm' OR street > 1)), q(INSERT INTO lent VALUES (4, 1, 'Bonn', 1, 'pen')), '23514' ],
	[ 'FOREIGN KEY', 'FOREIGN KEY (who) REFERENCES reader(id) ON DELETE CASCADE', q(INSERT INTO lent VALUES (4, 9, 'Ulm', 3, 'pen')), '23503' ],
	[ 'FOREIGN KEY of two columns', 'FOREIGN KEY (town, street) REFERENCES shop(town, street)', q(INSERT INTO lent VALUES (4, 1, 'Rome', 3, 'pen')), '23503' ],
	[ 'PRIMARY KEY', 'PRIMARY KEY (id)', q(INSERT INTO lent VALUES (1, 1, 'Ulm', 3, 'pen')), '23505' ])
{
	my ($what, $definition, $statement, $state) = @$constraint;

	check_change($what, table => $lent, view => undef,
		calls => "SELECT tandem.add_constraint('m', 'lent', 'lent_rule', \$\$$definition\$\$);",
		filled => [ [ 41, $statement =~ s/lent/public.lent/r, $state, 'fails' ] ],
		after => [
			[ 0, q(SELECT convalidated, pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'lent_rule'), "t|" . $definition =~ s/^CHECK \((.*)\)$/CHECK (($1))/r
				=~ s/\(\(town = 'Ulm' OR street > 1\)\)/(((town = 'Ulm'::text) OR (street > 1)))/r ],
			[ 42, $statement =~ s/lent/public.lent/r, $state, 'fails' ] ]);
}

check_change('NOT NULL', table => $lent, view => undef, calls => q(SELECT tandem.add_not_null('m', 'lent', 'what');),
	filled => [ [ 41, q(INSERT INTO public.lent VALUES (4)), '23502', 'fails' ] ],
	after => [ [ 0, q(SELECT attnotnull FROM pg_attribute WHERE attrelid = 'lent'::regclass AND attname = 'what'), 't' ] ]);

# values made to fit, under a new name
my $notes = <<'SQL';
CREATE TABLE opinion (id int PRIMARY KEY, about text NOT NULL, words text, marks text DEFAULT '0');
INSERT INTO opinion VALUES (1, 'tea', NULL, '3'), (2, 'milk', 'ok', '4'), (3, 'rum', 'ok', '5');
SQL
check_change('NOT NULL for what may be NULL', table => $notes, view => 'opinion',
	calls => q(SELECT tandem.add_column('m', 'opinion', 'text', 'text');
		SELECT tandem.sync_column('m', 'opinion', 'words', 'text', $$coalesce(words, about || ' is fine')$$, 'text');
		SELECT tandem.add_not_null('m', 'opinion', 'text');),
	both => [ [ 41, q(INSERT INTO opinion VALUES (4, 'gin')) ] ],
	filled => [ [ 42, q(INSERT INTO opinion (id, about, text) VALUES (5, 'ale', 'good')) ],
		[ 41, q(SELECT words FROM opinion WHERE id = 5), 'good' ], [ 42, q(SELECT string_agg(text, ', ' ORDER BY id) FROM opinion), 'tea is fine, ok, ok, gin is fine, good' ],
		[ 41, q(SELECT id FROM opinion WHERE words IS NULL ORDER BY 1), "1\n4" ],
		[ 42, q(INSERT INTO opinion (id, about) VALUES (6, 'wine')), '23502', 'fails' ] ],
	after => [ [ 0, q(SELECT id, text FROM opinion WHERE id IN (1, 5) ORDER BY 1), "1|tea is fine\n5|good" ] ],
	aborted => [ [ 0, q(SELECT words FROM opinion WHERE id = 5), 'good' ] ]);

check_change('UNIQUE for what is not', table => $notes, view => 'opinion',
	calls => q(SELECT tandem.add_column('m', 'opinion', 'slug', 'text');
		SELECT tandem.sync_column('m', 'opinion', 'words', 'slug', $$words || '-' || id$$, $$split_part(slug, '-', 1)$$);
		SELECT tandem.add_constraint('m', 'opinion', 'slug_once', 'UNIQUE (slug)');),
	both => [ [ 41, q(INSERT INTO opinion VALUES (4, 'gin', 'ok')) ] ],
	filled => [ [ 42, q(INSERT INTO opinion (id, about, slug) VALUES (5, 'ale', 'ok-5')) ],
		[ 41, q(SELECT words FROM opinion WHERE id = 5), 'ok' ], [ 42, q(SELECT string_agg(slug, ' ' ORDER BY id) FROM opinion), 'ok-2 ok-3 ok-4 ok-5' ],
		[ 42, q(INSERT INTO opinion (id, about, slug) VALUES (6, 'ale', 'ok-5')), '23505', 'fails' ] ]);

check_change('a CHECK for what does not pass', table => $notes, view => 'opinion',
	calls => q(SELECT tandem.add_column('m', 'opinion', 'topic', 'text');
		SELECT tandem.sync_column('m', 'opinion', 'about', 'topic', $$CASE WHEN length(about) <= 3 THEN lpad(about, 4, '-') ELSE about END$$, 'topic');
		SELECT tandem.add_constraint('m', 'opinion', 'topic_length', 'CHECK (length(topic) > 3)');),
	both => [ [ 41, q(INSERT INTO opinion VALUES (4, 'gin')) ] ],
	filled => [ [ 42, q(SELECT string_agg(topic, ' ' ORDER BY id) FROM opinion), '-tea milk -rum -gin' ],
		[ 42, q(INSERT INTO opinion (id, topic) VALUES (5, 'ale')), '23514', 'fails' ], [ 41, q(INSERT INTO opinion VALUES (6, 'ale')) ], [ 42, q(SELECT topic FROM opinion WHERE id = 6), '-ale' ] ],
	accept => 'not null');

check_change('another type', table => $notes, view => 'opinion',
	calls => q(SELECT tandem.add_column('m', 'opinion', 'stars', 'int', default_value => '0');
		SELECT tandem.sync_column('m', 'opinion', 'marks', 'stars', 'marks::int', 'stars::text');),
	both => [ [ 41, q(INSERT INTO opinion VALUES (4, 'gin', NULL, '2')) ], [ 42, q(INSERT INTO opinion (id, about) VALUES (6, 'wine')) ] ],
	filled => [ [ 42, q(INSERT INTO opinion (id, about, stars) VALUES (5, 'ale', 1)) ],
		[ 41, q(SELECT id, marks FROM opinion WHERE id > 4 ORDER BY 1), "5|1\n6|0" ], [ 42, q(SELECT sum(stars) FROM opinion), '15' ], [ 41, q(UPDATE opinion SET marks = '9' WHERE id = 1) ], [ 42, q(SELECT stars FROM opinion WHERE id = 1), '9' ] ],
	accept => 'defaults',
	after => [ [ 0, q(SELECT pg_typeof(stars), stars FROM opinion WHERE id = 1), 'integer|9' ] ],
	aborted => [ [ 0, q(SELECT id, marks FROM opinion WHERE id > 3 ORDER BY 1), "4|2\n5|1\n6|0" ] ]);

# the same under the name that the column has
check_change('NOT NULL for what may be NULL, the name kept', table => $notes, view => 'opinion',
	calls => q(SELECT tandem.change_column('m', 'opinion', 'words', up => $$coalesce(words, about || ' is fine')$$, down => 'words', not_null => true);),
	both => [ [ 41, q(INSERT INTO opinion VALUES (4, 'gin')) ] ],
	filled => [ [ 42, q(INSERT INTO opinion (id, about, words) VALUES (5, 'ale', 'good')) ],
		[ 41, q(SELECT words FROM opinion WHERE id = 5), 'good' ], [ 42, q(SELECT string_agg(words, ', ' ORDER BY id) FROM opinion), 'tea is fine, ok, ok, gin is fine, good' ],
		[ 41, q(SELECT id FROM opinion WHERE words IS NULL ORDER BY 1), "1\n4" ],
		[ 42, q(INSERT INTO opinion (id, about) VALUES (6, 'wine')), '23502', 'fails' ] ],
	after => [ [ 0, q(SELECT id, words FROM opinion WHERE id IN (1, 5) ORDER BY 1), "1|tea is fine\n5|good" ],
		[ 0, q(SELECT attnotnull FROM pg_attribute WHERE attrelid = 'opinion'::regclass AND attname = 'words'), 't' ] ],
	aborted => [ [ 0, q(SELECT id FROM opinion WHERE words IS NULL ORDER BY 1), "1\n4" ] ]);

check_change('UNIQUE for what is not, the name kept', table => $notes, view => 'opinion',
	calls => q(SELECT tandem.change_column('m', 'opinion', 'words', up => $$words || '-' || id$$, down => $$split_part(words, '-', 1)$$);
		SELECT tandem.add_constraint('m', 'opinion', 'words_once', 'UNIQUE (words)');),
	both => [ [ 41, q(INSERT INTO opinion VALUES (4, 'gin', 'ok')) ] ],
	filled => [ [ 42, q(INSERT INTO opinion (id, about, words) VALUES (5, 'ale', 'ok-5')) ],
		[ 41, q(SELECT words FROM opinion WHERE id = 5), 'ok' ], [ 42, q(SELECT string_agg(words, ' ' ORDER BY id) FROM opinion), 'ok-2 ok-3 ok-4 ok-5' ],
		[ 42, q(INSERT INTO opinion (id, about, words) VALUES (6, 'ale', 'ok-5')), '23505', 'fails' ] ],
	after => [ [ 0, q(SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'words_once'), 'UNIQUE (words)' ] ]);

check_change('a CHECK for what does not pass, the name kept', table => $notes, view => 'opinion',
	calls => q(SELECT tandem.change_column('m', 'opinion', 'about', up => $$CASE WHEN length(about) <= 3 THEN lpad(about, 4, '-') ELSE about END$$, down => 'about');
		SELECT tandem.add_constraint('m', 'opinion', 'about_length', 'CHECK (length(about) > 3)');),
	both => [ [ 41, q(INSERT INTO opinion VALUES (4, 'gin')) ] ],
	filled => [ [ 42, q(SELECT string_agg(about, ' ' ORDER BY id) FROM opinion), '-tea milk -rum -gin' ],
		[ 42, q(INSERT INTO opinion (id, about) VALUES (5, 'ale')), '23514', 'fails' ], [ 41, q(INSERT INTO opinion VALUES (6, 'ale')) ], [ 42, q(SELECT about FROM opinion WHERE id = 6), '-ale' ] ],
	after => [ [ 42, q(UPDATE opinion SET about = 'rye'), '23514', 'fails' ] ]);

check_change('another type, default and NOT NULL at once, the name kept', table => $notes, view => 'opinion',
	calls => q(SELECT tandem.change_column('m', 'opinion', 'marks', 'int', up => 'coalesce(marks, $$0$$)::int', down => 'marks::text', default_value => '5', not_null => true);),
	both => [ [ 41, q(INSERT INTO opinion VALUES (4, 'gin', NULL, '2')) ], [ 41, q(INSERT INTO opinion (id, about) VALUES (6, 'wine')) ] ],
	filled => [ [ 42, q(INSERT INTO opinion (id, about) VALUES (5, 'ale')) ],
		[ 41, q(SELECT id, marks FROM opinion WHERE id > 4 ORDER BY 1), "5|5\n6|0" ], [ 42, q(SELECT sum(marks) FROM opinion), '19' ],
		[ 41, q(UPDATE opinion SET marks = '9' WHERE id = 1) ], [ 42, q(SELECT marks FROM opinion WHERE id = 1), '9' ],
		[ 42, q(UPDATE opinion SET marks = NULL WHERE id = 1), '23502', 'fails' ] ],
	after => [ [ 0, q(SELECT pg_typeof(marks), marks FROM opinion WHERE id = 1), 'integer|9' ], [ 42, q(INSERT INTO opinion (id, about) VALUES (7, 'rye')) ],
		[ 0, q(SELECT marks FROM opinion WHERE id = 7), '5' ] ],
	aborted => [ [ 0, q(SELECT id, marks FROM opinion WHERE id > 3 ORDER BY 1), "4|2\n5|5\n6|0" ] ]);

check_change('NULL allowed', table => $notes, view => 'opinion',
	calls => q(SELECT tandem.change_column('m', 'opinion', 'about', down => $$coalesce(about, '?')$$, not_null => false);),
	filled => [ [ 42, q(INSERT INTO opinion (id) VALUES (4)) ], [ 41, q(SELECT about FROM opinion WHERE id = 4), '?' ],
		[ 42, q(SELECT about IS NULL FROM opinion WHERE id = 4), 't' ], [ 41, q(INSERT INTO opinion (id) VALUES (5)), '23502', 'fails' ] ],
	accept => 'not null',
	after => [ [ 42, q(INSERT INTO opinion (id) VALUES (6)) ], [ 0, q(SELECT count(*) FROM opinion WHERE about IS NULL), '2' ] ],
	aborted => [ [ 0, q(SELECT about FROM opinion WHERE id = 4), '?' ] ]);

check_change('a default alone', table => $notes, view => 'opinion',
	calls => q(SELECT tandem.change_column('m', 'opinion', 'marks', default_value => $$'7'$$);),
	both => [ [ 41, q(INSERT INTO opinion (id, about) VALUES (4, 'gin')) ], [ 42, q(INSERT INTO opinion (id, about) VALUES (5, 'ale')) ],
		[ 0, q(SELECT string_agg(marks, ' ' ORDER BY id) FROM opinion WHERE id > 3), '0 7' ] ],
	after => [ [ 42, q(INSERT INTO opinion (id, about) VALUES (6, 'rye')) ], [ 0, q(SELECT marks FROM opinion WHERE id = 6), '7' ] ]);

# a constraint that the new release is to do without: it keeps what the old one could not store from that
foreach my $constraint (
	[ 'a CHECK dropped', 'ADD CONSTRAINT rule CHECK (pages <= 1000)', 'least(pages, 1000)', q(UPDATE book SET pages = 5000 WHERE isbn = 1), '1000', '5000' ],
	[ 'UNIQUE dropped', 'ADD CONSTRAINT rule UNIQUE (pages)', 'CASE WHEN pages = 200 AND isbn <> 2 THEN -isbn ELSE pages END', q(UPDATE book SET pages = 200 WHERE isbn = 1), '-1', '200' ],
	[ 'a FOREIGN KEY dropped', 'ADD CONSTRAINT rule FOREIGN KEY (pages) REFERENCES sizes', 'CASE WHEN pages <= 500 THEN pages END', q(UPDATE book SET pages = 900 WHERE isbn = 1), '', '900' ])
{
	my ($what, $definition, $down, $statement, $old, $new) = @$constraint;

	check_change($what, view => 'book', table => "$books CREATE TABLE sizes (size int PRIMARY KEY); INSERT INTO sizes SELECT n * 100 FROM generate_series(1, 5) n; ALTER TABLE book $definition;",
		calls => "SELECT tandem.change_column('m', 'book', 'pages', up => 'pages', down => \$\$$down\$\$, leave => '{rule}');",
		filled => [ [ 42, $statement ], [ 41, q(SELECT pages FROM book WHERE isbn = 1), $old ], [ 42, q(SELECT pages FROM book WHERE isbn = 1), $new ] ],
		accept => 'check constraints,unique constraints,foreign keys',
		after => [ [ 0, q(SELECT pages FROM book WHERE isbn = 1), $new ], [ 0, q(SELECT count(*) FROM pg_constraint WHERE conname = 'rule'), '0' ] ],
		aborted => [ [ 0, q(SELECT pages FROM book WHERE isbn = 1), $old ] ]);
}

check_change('a table with another name', table => $books, view => 'book',
	calls => q(SELECT tandem.rename_table('m', 'book', 'volume');),
	both => [ [ 41, q(INSERT INTO book VALUES (6, 'Old')) ], [ 42, q(INSERT INTO volume VALUES (7, 'New')) ],
		[ 41, q(SELECT title FROM book WHERE isbn > 5 ORDER BY isbn), "Old\nNew" ], [ 42, q(SELECT title FROM volume WHERE isbn > 5 ORDER BY isbn), "Old\nNew" ] ],
	after => [ [ 0, q(SELECT count(*) FROM public.volume), '7' ], [ 42, q(UPDATE volume SET title = 'Newer' WHERE isbn = 7) ] ],
	aborted => [ [ 0, q(SELECT count(*) FROM book), '7' ] ]);

check_change('a table that goes', table => $books . 'CREATE TABLE slip (id int PRIMARY KEY);', view => 'slip',
	calls => q(SELECT tandem.drop_table('m', 'slip');),
	both => [ [ 41, q(INSERT INTO slip VALUES (1)) ], [ 42, q(SELECT * FROM release_42.slip), '42P01', 'fails' ] ],
	after => [ [ 0, q(SELECT to_regclass('public.slip') IS NULL), 't' ] ],
	aborted => [ [ 0, q(SELECT * FROM slip), '1' ] ]);

check_change('an index that goes, a constraint with another name, the replica identity', view => undef,
	table => $books . 'CREATE INDEX book_title ON book (title); ALTER TABLE book ADD CONSTRAINT paged CHECK (pages > 0);',
	calls => q(SELECT tandem.drop_index('m', 'book_title'); SELECT tandem.rename_constraint('m', 'book', 'paged', 'book_has_pages');
		SELECT tandem.at_contract('m', 'book', 'ALTER TABLE book REPLICA IDENTITY FULL');),
	both => [ [ 0, q(SELECT to_regclass('book_title') IS NOT NULL), 't' ] ],
	after => [ [ 0, q(SELECT to_regclass('book_title') IS NULL), 't' ], [ 0, q(SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = 'book'::regclass), 'book_has_pages' ],
		[ 0, q(SELECT relreplident FROM pg_class WHERE oid = 'book'::regclass), 'f' ] ]);

$node->stop;
done_testing();
