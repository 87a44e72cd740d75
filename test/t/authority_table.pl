# Who may act on a migration, as one generated table: every function that takes one, and every kind of
# role, against the rule of the design: the rights of the owner of each of its tables; without tables
# those of its creator; a superuser; and the owner of the database for abort.  The table is in the output.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main');

sub ask
{
	return $node->safe_psql('shop', $_[0]);
}

$node->safe_psql('postgres', <<'SQL');
CREATE ROLE dba LOGIN;
CREATE ROLE app_owner NOLOGIN;
CREATE ROLE other_owner NOLOGIN;
CREATE ROLE both_owners LOGIN IN ROLE app_owner, other_owner;
CREATE ROLE deployer LOGIN IN ROLE app_owner;
CREATE ROLE member LOGIN IN ROLE app_owner;
CREATE ROLE member_of_member LOGIN IN ROLE member;
CREATE ROLE no_inherit LOGIN NOINHERIT IN ROLE app_owner;
CREATE ROLE writer LOGIN;
CREATE ROLE stranger LOGIN;
CREATE ROLE creator LOGIN;
CREATE ROLE of_creator LOGIN IN ROLE creator;
CREATE DATABASE shop OWNER dba;
SQL
ask(<<'SQL');
CREATE EXTENSION pg_tandem;
CREATE SCHEMA app;
GRANT USAGE, CREATE ON SCHEMA app TO PUBLIC;
GRANT EXECUTE ON FUNCTION tandem.switch_release TO PUBLIC;
GRANT CREATE ON DATABASE shop TO PUBLIC;
SQL

# How each function is called on migration :m and table :t, and the phase that it wants the migration in.
# A function that takes a migration and does not stand here fails the test: say how it is called.
my %call = (
	add_column => [ 'expand', q(SELECT tandem.add_column(':m', ':t', 'extra', 'int')) ],
	add_constraint => [ 'expand', q(SELECT tandem.add_constraint(':m', ':t', 'positive', 'CHECK (id > 0)')) ],
	add_after_switch => [ 'expand', q(SELECT tandem.add_after_switch(':m', ':t', 'cents = 0', 'cents < 0')) ],
	add_index => [ 'expand', q(SELECT tandem.add_index(':m', 'CREATE INDEX ON :t (cents)')) ],
	add_not_null => [ 'expand', q(SELECT tandem.add_not_null(':m', ':t', 'cents')) ],
	at_contract => [ 'expand', q(SELECT tandem.at_contract(':m', ':t', 'ALTER TABLE :t DROP COLUMN more')) ],
	add_table => [ 'expand', q(DO $$BEGIN CREATE TABLE :t_new (id int); PERFORM tandem.add_table(':m', ':t_new'); END$$) ],
	rename_table => [ 'expand', q(SELECT tandem.rename_table(':m', ':t', ':m_things')) ],
	drop_table => [ 'expand', q(SELECT tandem.drop_table(':m', ':t_old')) ],
	drop_index => [ 'expand', q(SELECT tandem.drop_index(':m', ':t_more')) ],
	rename_constraint => [ 'expand', q(SELECT tandem.rename_constraint(':m', ':t', 'priced', 'more_than_nothing')) ],
	sync_column => [ 'expand', q(SELECT tandem.sync_column(':m', ':t', 'price', 'more', 'price')) ],
	sync_columns => [ 'expand', q(SELECT tandem.sync_columns(':m', ':t', '{price}', '{more}', '{price}')) ],
	rename_column => [ 'expand', q(SELECT tandem.rename_column(':m', ':t', 'more', 'most')) ],
	change_column => [ 'expand', q(SELECT tandem.change_column(':m', ':t', 'more', 'bigint')) ],
	change_key => [ 'expand', q(CALL tandem.change_key(':m', ':t', 'more', 'bigint')) ],
	drop_column => [ 'expand', q(SELECT tandem.drop_column(':m', ':t', 'more')) ],
	configure => [ 'expand', q(SELECT tandem.configure(':m', 'tandem.batch_target', '10ms')) ],
	pause => [ 'expand', q(SELECT tandem.pause(':m')) ],
	resume => [ 'expand', q(SELECT tandem.resume(':m')) ],
	cancel => [ 'expand', q(SELECT tandem.cancel(':m')) ],
	verify => [ 'contract', q(SELECT count(*) FROM tandem.verify(':m')) ],
	migrate => [ 'expand', q(CALL tandem.migrate(':m')) ],
	start_migrate => [ 'expand', q(SELECT tandem.start_migrate(':m')) ],
	contract => [ 'contract', q(CALL tandem.contract(':m', undeclared => 'ignore')) ],
	take_keys => [ 'contract', q(SELECT tandem.take_keys(':m')) ],
	take_names => [ 'done', q(SELECT tandem.take_names(':m')) ],
	preview_contract => [ 'contract', q(SELECT count(*) FROM tandem.preview_contract(':m')) ],
	abort => [ 'contract', q(CALL tandem.abort(':m')) ],
	refill => [ 'contract', q(SELECT tandem.refill(':m')) ],
	forget => [ 'aborted', q(SELECT tandem.forget(':m')) ],
);
# what can be asked of a migration that has no table
my %without_table = map { $_ => 1 } qw(configure pause resume cancel abort forget verify preview_contract);

my @functions = split /\n/, ask(<<'SQL');
SELECT DISTINCT p.proname FROM pg_proc p
WHERE p.pronamespace = 'tandem'::regnamespace AND p.proargnames[1] = 'migration' AND p.proargtypes[0] = 'text'::regtype
	-- parts of the functions of the table, with tandem.at_once: DDL of the caller
	AND p.proname !~ '^(once|plain)_'
ORDER BY 1
SQL
foreach my $function (@functions)
{
	ok(exists $call{$function}, "function $function takes a migration, and is in the table");
}

# Who made the migration, whose its tables are, who then acts, and whether that is right.
my @roles = (
	[ 'a stranger', 'app', 'stranger', 0 ],
	[ 'a writer of its tables', 'app', 'writer', 0 ],
	[ 'a member of the owner', 'app', 'member', 1 ],
	[ 'a member of a member', 'app', 'member_of_member', 1 ],
	[ 'a member without INHERIT', 'app', 'no_inherit', 0 ],
	[ 'the creator', 'app', 'deployer', 1 ],
	[ 'the owner of the database', 'app', 'dba', 'abort' ],
	[ 'a superuser', 'app', undef, 1 ],
	[ 'the owner of one of two tables', 'both', 'app_owner', 0 ],
	[ 'the owner of the other of two tables', 'both', 'other_owner', 0 ],
	[ 'a member of both owners', 'both', 'both_owners', 1 ],
	[ 'a superuser, of two owners', 'both', undef, 1 ],
	[ 'the creator, no longer a member', 'revoked', 'former', 0 ],
	[ 'the creator, of a table that has changed hands', 'handed', 'deployer', 0 ],
	[ 'the new owner', 'handed', 'other_owner', 1 ],
	[ 'the creator, renamed', 'renamed', 'renamed', 1 ],
	[ 'a role made with the freed name', 'renamed', 'renaming', 0 ],
	[ 'a role made with the name of the creator that was dropped', 'dropped', 'dropping', 0 ],
	[ 'the owner, whose creator was dropped', 'dropped', 'app_owner', 1 ],
	[ 'without tables: the creator', 'bare', 'creator', 1 ],
	[ 'without tables: a member of the creator', 'bare', 'of_creator', 1 ],
	[ 'without tables: a stranger', 'bare', 'stranger', 0 ],
	[ 'without tables: the owner of the database', 'bare', 'dba', 'abort' ],
	[ 'without tables: a superuser', 'bare', undef, 1 ],
	[ 'without tables: the creator, renamed', 'bare_renamed', 'renamed', 1 ],
	[ 'without tables: a role made with the freed name', 'bare_renamed', 'renaming', 0 ],
	[ 'without tables: a role made with the name of the creator that was dropped', 'bare_dropped', 'dropping', 0 ],
	[ 'without tables: a superuser, whose creator was dropped', 'bare_dropped', undef, 1 ]);

my $made = 0;

# The statements that make migration m<n> of one kind, in a phase; then what happens to its creator.
sub make
{
	my ($kind, $phase, $release) = @_;
	my $m = 'm' . ++$made;
	my $t = "app.t$made";
	my $creator =
		$kind eq 'both' ? 'both_owners'
	  : $kind eq 'revoked' ? 'former'
	  : $kind =~ /renamed/ ? 'renaming'
	  : $kind =~ /dropped/ ? 'dropping'
	  : $kind eq 'bare' ? 'creator'
	  : 'deployer';
	my $sql = '';

	$sql .= "CREATE ROLE $creator LOGIN IN ROLE app_owner;\n" if $creator =~ /former|renaming|dropping/;
	if ($kind =~ /bare/)
	{
		$sql .= "SET ROLE $creator; SELECT tandem.create_migration('$m', $release); RESET ROLE;\n";
	}
	else
	{
		$sql .= <<"SQL";
CREATE TABLE $t (id int PRIMARY KEY, price int CONSTRAINT priced CHECK (price > 0), more int);
CREATE INDEX t${made}_more ON $t (more);
CREATE TABLE ${t}_old (id int);
ALTER TABLE ${t}_old OWNER TO app_owner;
INSERT INTO $t VALUES (1, 1);
ALTER TABLE $t OWNER TO app_owner;
GRANT SELECT, INSERT, UPDATE, DELETE ON $t TO writer;
SET ROLE $creator;
SELECT tandem.create_migration('$m', $release);
SELECT tandem.add_column('$m', '$t', 'cents', 'int');
SELECT tandem.sync_column('$m', '$t', 'price', 'cents', 'price * 100', 'cents / 100');
RESET ROLE;
SQL
		$sql .= <<"SQL" if $kind eq 'both';
CREATE TABLE app.u$made (id int PRIMARY KEY, price int, cents int);
ALTER TABLE app.u$made OWNER TO other_owner;
SET ROLE both_owners;
SELECT tandem.sync_column('$m', 'app.u$made', 'price', 'cents', 'price * 100', 'cents / 100');
RESET ROLE;
SQL
		$sql .= "CALL tandem.migrate('$m');\n" if $phase eq 'contract';
	}
	$sql .= "CALL tandem.migrate('$m'); CALL tandem.contract('$m');\n" if $phase eq 'done';
	$sql .= "CALL tandem.abort('$m');\n" if $phase eq 'aborted';
	$sql .= "REVOKE app_owner FROM former;\n" if $kind eq 'revoked';
	$sql .= "ALTER TABLE $t OWNER TO other_owner; ALTER TABLE ${t}_old OWNER TO other_owner;\n" if $kind eq 'handed';
	$sql .= "ALTER ROLE renaming RENAME TO renamed; CREATE ROLE renaming LOGIN;\n" if $kind =~ /renamed/;
	$sql .= "DROP ROLE dropping; CREATE ROLE dropping LOGIN;\n" if $kind =~ /dropped/;
	return ($m, $t, $sql);
}

# The roles that were made for one migration.
sub unmake
{
	my ($kind) = @_;
	my @roles =
		$kind eq 'revoked' ? qw(former)
	  : $kind =~ /renamed/ ? qw(renamed renaming)
	  : $kind =~ /dropped/ ? qw(dropping)
	  : ();

	return join '', map { "DROP OWNED BY $_; DROP ROLE $_;\n" } @roles;
}

# One psql does it all, and tells the SQLSTATE of each call.
my $script = "\\set VERBOSITY terse\nSET client_min_messages = error;\n";
my @cells;
foreach my $role (@roles)
{
	my ($what, $kind, $actor, $right) = @$role;

	foreach my $function (@functions)
	{
		my ($phase, $statement) = @{ $call{$function} || next };

		next if $kind =~ /bare/ && !$without_table{$function};
		my ($m, $t, $sql) = make($kind, $phase, $function =~ /^(add_after_switch|\w+_table|rename_column|change_column|change_key|drop_column)$/ ? 1000 : 'NULL');
		$statement =~ s/:m/$m/g;
		$statement =~ s/:t/$t/g;
		$script .= "$sql\\echo made $m :LAST_ERROR_SQLSTATE\n"
		  . (defined $actor ? "SET SESSION AUTHORIZATION $actor;\n" : '')
		  . "$statement;\n\\echo cell $m :SQLSTATE\nRESET SESSION AUTHORIZATION;\n"
		  . "SELECT 'phase $m ' || coalesce((SELECT phase FROM tandem.migrations WHERE name = '$m'), 'none');\n"
		  . unmake($kind);
		# what has no table has nothing to migrate
		$phase = 'expand' if $kind =~ /bare/ && $phase eq 'contract';
		push @cells, [ $what, $function, $m, $right eq 'abort' ? $function eq 'abort' : $right, $phase ];
	}
}
my ($status, $out, $err) = $node->psql('shop', $script, on_error_stop => 0);
my %state = $out =~ /^cell (\w+) (\w+)$/mg;
my %phase = $out =~ /^phase (\w+) (\w+)$/mg;

note(sprintf '%-72s%s', '', join ' ', map { substr $_, 0, 14 } @functions);
my %row;
foreach my $cell (@cells)
{
	my ($what, $function, $m, $right, $phase) = @$cell;
	my $state = $state{$m} || 'none';

	$row{$what}{$function} = $state eq '00000' ? 'may' : $state eq '42501' ? 'refused' : $state;
	if ($right)
	{
		is($state, '00000', "$what may $function");
	}
	else
	{
		is($state, '42501', "$what may not $function");
		is($phase{$m}, $phase, "$what has changed nothing by $function");
	}
}
foreach my $role (@roles)
{
	note(sprintf '%-72s%s', $role->[0],
		join ' ', map { sprintf '%-' . length(substr $_, 0, 14) . 's', $row{ $role->[0] }{$_} || '-' } @functions);
}
diag($err) if !Test::More->builder->is_passing;

$node->stop;
done_testing();
