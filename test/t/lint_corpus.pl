# What tandem.lint says that a statement locks, writes anew and reads is what the server does: the
# statements of ddl_corpus.sql are run and taken back, one by one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => "autovacuum = off\nfsync = off\nmax_parallel_maintenance_workers = 0\nmax_parallel_workers_per_gather = 0\ntimezone = 'Europe/Paris'");
my ($major) = $node->safe_psql('postgres', 'SHOW server_version_num') =~ /^(\d\d)/;
my ($tables, $statements) = (slurp_file("$FindBin::Bin/lib/ddl_corpus.sql") =~ /=== tables\n(.*)=== statements\n(.*)/s);

$node->safe_psql('postgres', 'CREATE DATABASE model');
$node->safe_psql('model', "CREATE EXTENSION pg_tandem; $tables");

# what the relations are called, and their files, before a statement
$node->safe_psql('model', 'CREATE TABLE public.relations (oid oid, name text, kind "char", file oid, root oid, "table" text)');
my $record = <<'SQL';
TRUNCATE public.relations;
WITH RECURSIVE roots AS (
	SELECT c.oid, c.oid AS root FROM pg_class c WHERE NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid)
	UNION ALL SELECT i.inhrelid, r.root FROM roots r JOIN pg_inherits i ON i.inhparent = r.oid)
INSERT INTO public.relations SELECT c.oid, format('%I.%I', n.nspname, c.relname), c.relkind, c.relfilenode, nullif(r.root, c.oid),
	(SELECT format('%I.%I', n.nspname, t.relname) FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid WHERE i.indexrelid = c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN roots r ON r.oid = c.oid WHERE n.nspname = 'shop' AND c.relkind <> 'c';
SQL
$node->safe_psql('model', "$record; VACUUM ANALYZE;");

sub new_copy
{
	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS copy');
	$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE model');
	return;
}

# locks that keep others from something, in the order of their strength
my @modes = qw(RowExclusiveLock ShareUpdateExclusiveLock ShareLock ShareRowExclusiveLock ExclusiveLock AccessExclusiveLock);
my %strength = map { $modes[$_] => $_ } 0 .. $#modes;

my $observed = <<'SQL';
SELECT r.name, r.kind, coalesce((SELECT t.name FROM relations t WHERE t.oid = r.root), ''),
	coalesce((SELECT string_agg(l.mode, ' ') FROM pg_locks l WHERE l.pid = pg_backend_pid() AND l.relation = r.oid), ''),
	coalesce(r.kind <> 'S' AND c.relfilenode <> r.file AND pg_relation_size(c.oid) > 0, false)::int, (r.kind NOT IN ('i', 'I') AND pg_stat_get_xact_tuples_returned(r.oid) > 0)::int, coalesce(r.table, '')
FROM public.relations r LEFT JOIN pg_class c ON c.oid = r.oid ORDER BY 1;
SQL

# relation => [ lock, written anew, read ]
sub observe
{
	my ($statement) = @_;
	my ($status, $out, $err) = $node->psql('copy',
		"SET search_path = shop, public;\nBEGIN;\n$statement;\nSET search_path = public;\n\\echo observed\n$observed\nROLLBACK;", on_error_stop => 1);
	return "fails: $err" if $status != 0;
	my (%seen, %partitions);
	$out =~ s/.*?^observed\n//ms;
	foreach (split /\n/, $out)
	{
		my ($name, $kind, $root, $locks, $rewritten, $read, $table) = split /\|/, $_, -1;
		my ($lock) = sort { $strength{$b} <=> $strength{$a} } grep { exists $strength{$_} } split / /, $locks;
		next if !defined $lock;
		$seen{$name} = [ $lock, $rewritten, $read, $kind, $root, $table ];
	}
	return \%seen;
}

sub predicted
{
	my ($statement) = @_;
	my %said;

	foreach (split /\n/, $node->safe_psql('copy', 'SET search_path = shop, public; SELECT relation, lock_mode, rewrites::int, scans::int '
		. "FROM tandem.lint(\$lint\$$statement\$lint\$) WHERE rule = 'locks' AND lock_mode <> 'AccessShareLock'"))
	{
		my ($name, $lock, $rewrites, $reads) = split /\|/;
		$said{$name} = [ $lock, $rewrites, $reads ];
	}
	return \%said;
}

# The same as tandem.rehearse has seen it, beside what lint has said there.
sub rehearsed
{
	my ($statement) = @_;
	my (%seen, %said);

	$node->safe_psql('copy', "SET search_path = shop, public; CALL tandem.rehearse(\$lint\$$statement\$lint\$)");
	foreach (split /\n/, $node->safe_psql('copy', 'SELECT relation, lock_mode, (rewritten_bytes > 0)::int, (scans > 0)::int, predicted_lock_mode, predicted_rewrite::int, predicted_scan::int '
		. 'FROM tandem.rehearsals WHERE relation IS NOT NULL AND rehearsal = (SELECT max(rehearsal) FROM tandem.rehearsals)'))
	{
		my ($name, $lock, $rewritten, $scanned, @prediction) = split /\|/;
		# the indexes of an emptied table are built anew, from no rows
		$scanned = 0 if $statement =~ /^TRUNCATE/;
		$seen{$name} = [ $lock, $rewritten || 0, $scanned ] if exists $strength{ $lock || '' };
		$said{$name} = [@prediction] if @prediction;
	}
	return (\%seen, \%said);
}

# A partition, or an heir, is as its table, unless it is named.  The indexes of a table, and sequences that are its own, go with it.
sub comparable
{
	my ($seen, $said) = @_;
	my %comparable;

	foreach my $name (sort keys %$seen)
	{
		my ($lock, $rewritten, $read, $kind, $root) = @{ $seen->{$name} };
		my $of = exists $said->{$name} || !$root || !exists $seen->{$root} ? $name : $root;
		next if $kind =~ /[iIS]/ && !exists $said->{$name};
		my $entry = $comparable{$of} //= [ '', 0, 0 ];
		$entry->[0] = $lock if $of eq $name;
		$entry->[1] ||= $rewritten;
		$entry->[2] ||= $read;
	}
	return \%comparable;
}

# An index whose lock keeps nobody away that the lock of its table does not.
sub goes_with_table
{
	my ($seen, $said, $name) = @_;
	my $table = $seen->{$name}[5];

	return $table ne '' && !exists $said->{$name}
		&& exists $seen->{$table} && $strength{ $seen->{$name}[0] } <= $strength{ $seen->{$table}[0] };
}

sub text
{
	my ($effects) = @_;
	return join '; ', map { join ' ', $_, @{ $effects->{$_} } } sort keys %$effects;
}

my $count = 0;
new_copy();
foreach my $line (split /\n/, $statements)
{
	my ($from, $before, $statement) = $line =~ /^(?:(\d\d):)?(?:(.*) => )?(.*)$/;
	next if defined $from && $from > $major;
	$node->safe_psql('copy', "SET search_path = shop, public; $before; $record") if defined $before;
	my $seen = observe($statement);
	if (ref $seen)
	{
		my $said = predicted($statement);
		is(text($said), text(comparable($seen, $said)), $line);
		my ($rehearsed, $shown) = rehearsed($statement);
		my %tables = map { $_ => [ @{ $seen->{$_} }[0 .. 2] ] } grep { !goes_with_table($seen, $said, $_) } keys %$seen;
		is(text($rehearsed), text(\%tables), "$line: rehearsed");
		is(text($shown), text($said), "$line: beside what was seen");
	}
	else
	{
		fail("$line: $seen");
	}
	new_copy() if defined $before;
	$count++;
}
cmp_ok($count, '>=', 200, 'statements');

done_testing();
