# A partition tree for which the server has too few locks: expand says so, since contract and abort would find out
# with "out of shared memory", and what its hint says is enough.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $partitions = 230;
my $node = new_server('main', conf => 'max_locks_per_transaction = 10');

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

sub expand
{
	my ($table) = @_;

	return $node->psql('postgres', <<"SQL");
BEGIN;
SELECT tandem.create_migration('$table');
SELECT tandem.add_column('$table', '$table', 'b', 'bigint');
SELECT tandem.sync_column('$table', '$table', 'a', 'b', 'a::bigint', 'b::integer');
COMMIT
SQL
}

ask(<<"SQL");
CREATE TABLE few (id integer, a integer) PARTITION BY RANGE (id);
CREATE TABLE few1 PARTITION OF few DEFAULT;
CREATE TABLE many (id integer, a integer) PARTITION BY RANGE (id);
SELECT format('CREATE TABLE many%s PARTITION OF many FOR VALUES FROM (%s) TO (%s)', i, i, i + 1) FROM generate_series(1, $partitions) i
\\gexec
SQL
my ($status, $out, $err) = expand('few');
is($status, 0, 'a small tree') or diag($err);
($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n" . <<'SQL');
BEGIN;
SELECT tandem.create_migration('many');
SELECT tandem.add_column('many', 'many', 'b', 'bigint');
SELECT tandem.sync_column('many', 'many', 'a', 'b', 'a::bigint', 'b::integer');
SQL
like($err, qr/ERROR:  53400: contract and abort could not lock table "many" and its partitions/, 'a large tree is refused');
like($err, qr/They lock 462 tables, .* The server has 440 locks/, 'with the counts');
my ($enough) = $err =~ /HINT:  Set max_locks_per_transaction to (\d+) or more, and restart the server\./;
ok($enough, 'and a hint') or diag($err);

# a table that is dropped takes more with it: types, TOAST tables, indexes and constraints
ask(<<"SQL");
CREATE TABLE goes (id integer PRIMARY KEY, a text) PARTITION BY RANGE (id);
SELECT format('CREATE TABLE goes%s PARTITION OF goes FOR VALUES FROM (%s) TO (%s)', i, i, i + 1) FROM generate_series(1, 100) i
\\gexec
CREATE INDEX goes_a ON goes (a);
CREATE TABLE moves (id integer CONSTRAINT moves_id CHECK (id > 0)) PARTITION BY RANGE (id);
SELECT format('CREATE TABLE moves%s PARTITION OF moves FOR VALUES FROM (%s) TO (%s)', i, i, i + 1) FROM generate_series(1, $partitions) i
\\gexec
CREATE INDEX moves_idx ON moves (id);
SQL
foreach my $call ("drop_table('t', 'goes')", "rename_table('t', 'moves', 'moved')", "drop_index('t', 'moves_idx')")
{
	($status, $out, $err) = $node->psql('postgres', "BEGIN; SELECT tandem.create_migration('t', 1); SELECT tandem.$call");
	like($err, qr/ERROR:  contract and abort could not lock table "(goes|moves)" and its partitions/, "$call is refused");
}
my ($for_drop) = ($node->psql('postgres', q(BEGIN; SELECT tandem.create_migration('t', 1); SELECT tandem.drop_table('t', 'goes'))))[2] =~ /Set max_locks_per_transaction to (\d+)/;
cmp_ok($for_drop, '>', $enough, 'the drop needs more locks');

$node->append_conf('postgresql.conf', "max_locks_per_transaction = $enough");
$node->restart;
foreach my $end ("CALL tandem.abort('many')", "CALL tandem.migrate('many'); CALL tandem.contract('many')")
{
	($status, $out, $err) = expand('many');
	is($status, 0, "expand with $enough locks a transaction") or diag($err);
	($status, $out, $err) = $node->psql('postgres', $end);
	is($status, 0, $end) or diag($err);
}
$node->append_conf('postgresql.conf', "max_locks_per_transaction = $for_drop");
$node->restart;
($status, $out, $err) = $node->psql('postgres', <<'SQL');
SELECT tandem.create_migration('t', 1);
SELECT tandem.drop_table('t', 'goes');
SELECT tandem.rename_table('t', 'moves', 'moved');
SELECT tandem.drop_index('t', 'moves_idx');
SELECT tandem.rename_constraint('t', 'moves', 'moves_id', 'moved_id');
SELECT tandem.create_views(1, schemas => '{public}');
CALL tandem.contract('t', undeclared => 'ignore');
SQL
is($err =~ /ERROR/ ? $err : '', '', "they are done with $for_drop locks a transaction");
is(ask('SELECT count(*) FROM pg_class WHERE relname ~ \'^goes\''), 0, 'the table is gone');
$node->stop;
done_testing();
