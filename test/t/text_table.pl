# Text that a role has stored runs with the rights of the owner of the table, whoever calls: every kind of
# text, and every call that may parse, plan or run it, by a superuser and by a member of the owner.  Each
# text tells, in the server's log, as whom it runs, and tries to become more.  The table is in the output.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $node = new_server('main', conf => "max_worker_processes = 16\nlog_min_messages = log\nlog_statement = none");

sub ask
{
	return $node->safe_psql('postgres', $_[0]);
}

# What the owner of the texts does, in a session of its own: one of a superuser would lend it more.
sub as_owner
{
	my ($owner, $sql) = @_;

	return $node->safe_psql('postgres', "SET ROLE $owner;\n$sql", extra_params => [ '-U', 'mallory' ]);
}

# The owners: one that can log in and one that cannot.  "victim" is a member of both and owns a vault.
ask(<<'SQL');
CREATE ROLE mallory LOGIN;
CREATE ROLE group_of_mallory NOLOGIN;
GRANT group_of_mallory TO mallory;
CREATE ROLE victim LOGIN IN ROLE mallory, group_of_mallory;
GRANT CREATE ON DATABASE postgres TO mallory, group_of_mallory, victim;
GRANT CREATE ON SCHEMA public TO PUBLIC;
CREATE SCHEMA vault AUTHORIZATION victim;
CREATE TABLE vault.secret AS SELECT 'word' AS word;
ALTER TABLE vault.secret OWNER TO victim;
GRANT EXECUTE ON FUNCTION tandem.switch_release, tandem.register_release TO mallory, group_of_mallory, victim;
SQL

# What every text does: a domain's CHECK runs when a literal is read, a function when it is called or folded.
sub make_spies
{
	my ($owner, $schema) = @_;
	my @kinds = qw(up down gone check index predicate default domain view remade set condition back statement hold notnull);

	ask(<<"SQL");
CREATE SCHEMA $schema AUTHORIZATION $owner;
GRANT USAGE ON SCHEMA $schema TO PUBLIC;
SET ROLE $owner;
CREATE FUNCTION $schema.try(kind text, what text, statement text) RETURNS void LANGUAGE plpgsql AS \$\$
BEGIN
	EXECUTE statement;
	RAISE LOG 'spy % of % as % has succeeded: %', kind, '$schema', current_user, what;
EXCEPTION WHEN OTHERS THEN
	NULL;
END \$\$;
CREATE FUNCTION $schema.spy(kind text) RETURNS boolean LANGUAGE plpgsql AS \$\$
BEGIN
	RAISE LOG 'spy % of % runs as %', kind, '$schema', current_user;
	PERFORM $schema.try(kind, 'ALTER ROLE', 'ALTER ROLE mallory SUPERUSER');
	PERFORM $schema.try(kind, 'reading the vault', 'SELECT word FROM vault.secret');
	PERFORM $schema.try(kind, 'SET ROLE, then ALTER ROLE', 'DO \$x\$BEGIN SET ROLE none; ALTER ROLE mallory SUPERUSER; END\$x\$');
	PERFORM $schema.try(kind, 'SET ROLE, then reading', 'DO \$x\$BEGIN SET ROLE none; PERFORM word FROM vault.secret; END\$x\$');
	PERFORM $schema.try(kind, 'session authorization',
		'DO \$x\$BEGIN SET SESSION AUTHORIZATION DEFAULT; ALTER ROLE mallory SUPERUSER; END\$x\$');
	PERFORM set_config('search_path', '$schema, pg_catalog', false);
	PERFORM set_config('tandem.release', '7', false);
	RETURN true;
EXCEPTION WHEN OTHERS THEN
	RETURN true;
END \$\$;
CREATE FUNCTION $schema.fixed(kind text, v anyelement) RETURNS anyelement IMMUTABLE LANGUAGE plpgsql AS
	\$\$ BEGIN PERFORM $schema.spy(kind); RETURN v; END \$\$;
CREATE FUNCTION $schema.hold() RETURNS boolean LANGUAGE plpgsql AS \$\$ BEGIN PERFORM $schema.spy('hold'); RETURN false; END \$\$;
SQL
	foreach my $kind (@kinds)
	{
		ask(<<"SQL");
SET ROLE $owner;
CREATE DOMAIN $schema.d_$kind AS integer CHECK ($schema.spy('$kind'));
CREATE FUNCTION $schema.pass_$kind($schema.d_$kind\[], integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS
	\$\$ BEGIN RETURN \$2; END \$\$;
SQL
	}
	return;
}

make_spies('mallory', 'evil');
make_spies('group_of_mallory', 'gang');

my $made = 0;

# The text of one kind over a column: a literal that runs a CHECK as it is read, a function that is folded,
# and one that runs for a row.
sub text_of
{
	my ($schema, $kind, $column) = @_;

	return "$schema.pass_$kind('{1}'::$schema.d_$kind\[], $schema.fixed('$kind', 1) * $schema.fixed('$kind', $column))";
}

# A migration with a text of each kind, made by the owner.
sub make
{
	my ($owner, $schema, %options) = @_;
	my $name = 'm' . ++$made;
	my $table = "$schema.t$made";
	my $release = 100 + $made;
	my $partitioned = $options{partitioned};
	my ($up, $down, $gone, $check, $index, $predicate, $view, $remade, $set, $condition, $back, $run) = map { text_of($schema, @$_) }
	  ([ 'up', 'price' ], [ 'down', 'cents' ], [ 'gone', 'id' ], [ 'check', 'cents' ], [ 'index', 'cents' ], [ 'predicate', 'cents' ], [ 'view', 'id' ], [ 'remade', 'id' ], [ 'set', 'linked' ], [ 'condition', 'id' ], [ 'back', 'linked' ], [ 'statement', 'cents' ]);
	my $by = $partitioned ? 'PARTITION BY RANGE (id)' : '';

	as_owner($owner, <<"SQL");
CREATE TABLE $table (id int PRIMARY KEY, price int, kind $schema.d_domain, gone int, changed int, linked int DEFAULT 1) $by;
CREATE VIEW ${table}_view AS SELECT id, changed, $remade AS made FROM $table;
SQL
	as_owner($owner, <<"SQL") if $partitioned;
CREATE TABLE ${table}_a PARTITION OF $table FOR VALUES FROM (0) TO (2);
CREATE TABLE ${table}_b PARTITION OF $table FOR VALUES FROM (2) TO (100);
SQL
	as_owner($owner, <<"SQL");
INSERT INTO $table SELECT i, i FROM generate_series(1, 3) i;
BEGIN;
SELECT tandem.create_migration('$name', release => $release);
ALTER TABLE $table ADD COLUMN cents int DEFAULT $schema.fixed('default', 5);
ALTER TABLE $table ALTER COLUMN cents SET DEFAULT $schema.fixed('default', 6) * @{[text_of($schema, 'default', 1)]};
SELECT tandem.sync_column('$name', '$table', 'price', 'cents', \$\$ $up \$\$, \$\$ $down \$\$, on_error => 'quarantine');
SELECT tandem.sync_column('$name', '$table', 'price', 'kind', \$\$ price \$\$, keep_old => true);
SELECT tandem.sync_column('$name', '$table', 'id', 'shown', \$\$ $view \$\$, stored => false);
SELECT tandem.change_column('$name', '$table', 'changed', 'bigint');
SELECT tandem.drop_column('$name', '$table', 'gone', \$\$ $gone \$\$, on_error => 'quarantine');
SELECT tandem.add_constraint('$name', '$table', 'checked', \$\$ CHECK ($check IS NOT DISTINCT FROM cents) \$\$);
SELECT tandem.add_index('$name', \$\$ CREATE INDEX ON $table (($index)) WHERE $predicate IS NOT NULL \$\$);
SELECT tandem.add_not_null('$name', '$table', 'kind');
SELECT tandem.add_after_switch('$name', '$table', \$\$ linked = $set + 1000 \$\$, \$\$ $condition = id AND linked < 1000 \$\$, \$\$ linked = $back - 1000 \$\$);
SELECT tandem.at_contract('$name', '$table', \$\$ CREATE INDEX ON $table (($run)) \$\$);
SELECT tandem.configure('$name', 'tandem.hold_function', '$schema.hold');
COMMIT;
SQL
	return ($name, $table, $release);
}

# What the texts have told in the log since an offset: who ran each kind, and what they have got.
sub told
{
	my ($offset, $schema) = @_;
	my $log = slurp_file($node->logfile, $offset);
	my %ran;
	my @gained;

	$ran{$1}{$2}++ while $log =~ /spy (\w+) of $schema runs as (\w+)/g;
	push @gained, "$1 as $2: $3" while $log =~ /spy (\w+) of $schema as (\w+) has succeeded: (.*)/g;
	return (\%ran, \@gained);
}

my @kinds = qw(up down gone check index predicate default domain view remade set condition back statement hold);
my @table;

# Runs a call as a role, in one session, and looks at what the texts of the owner got by it.
sub attack
{
	my ($what, $owner, $schema, $become, $statements, $database) = @_;
	my $offset = -s $node->logfile;
	my $before = "SHOW search_path; SELECT coalesce(nullif(current_setting('tandem.release', true), ''), '0'); SELECT current_user, session_user;\n";
	my ($status, $out, $err) = $node->psql($database || 'postgres', "$become;\n$before$statements;\n\\echo --\n$before", on_error_stop => 0);
	my ($ran, $gained) = told($offset, $schema);
	my @others = grep { grep { $_ ne $owner } keys %{ $ran->{$_} } } keys %$ran;
	my @lines = split /\n/, $out;
	my $caller = $become =~ /AUTHORIZATION (\w+)/ ? $1 : 'superuser';

	is_deeply(\@others, [], "$caller, $what: texts of $owner run as $owner alone")
	  or diag(explain($ran), $err);
	is_deeply($gained, [], "$caller, $what: and have gained nothing");
	is(join('|', @lines[-3 .. -1]), join('|', @lines[0 .. 2]), "$caller, $what: the session is as it was") or diag($out, $err);
	push @table, [ "$what, by $caller, of $owner", map { $ran->{$_} ? join('+', sort keys %{ $ran->{$_} }) : '-' } @kinds ];
	diag($err) if $err =~ /ERROR/ && !Test::More->builder->is_passing;
	return $err;
}

sub wait_for_end
{
	my ($name) = @_;

	wait_for_running($node, "SELECT running_pid IS NULL AND phase = 'contract' FROM tandem.migrations WHERE name = '$name'");
	return;
}

my %seen;
my $last = 1;
ask('SELECT tandem.register_release(1), tandem.switch_release(1)');
foreach my $case (
	[ 'mallory', 'evil', 'SET search_path = public', 0 ],
	[ 'mallory', 'evil', 'SET SESSION AUTHORIZATION victim', 0 ],
	[ 'group_of_mallory', 'gang', 'SET search_path = public', 0 ],
	[ 'group_of_mallory', 'gang', 'SET SESSION AUTHORIZATION victim', 0 ],
	[ 'group_of_mallory', 'gang', 'SET search_path = public', 1 ])
{
	my ($owner, $schema, $become, $partitioned) = @$case;
	my $how = $partitioned ? ', partitioned' : '';
	my ($name, $table, $release) = make($owner, $schema, partitioned => $partitioned);
	my $offset = -s $node->logfile;
	my $err;
	my $call = sub {
		my ($what, $statements) = @_;
		return attack("$what$how", $owner, $schema, $become, $statements);
	};

	$call->('looking at the views', 'SELECT problem FROM tandem.migrations; SELECT health FROM tandem.syncs; SELECT * FROM tandem.progress; SELECT * FROM tandem.sessions; SELECT * FROM tandem.releases');
	$call->('verify', "SELECT count(*) FROM tandem.verify('$name')");
	$call->('rehearse_change', "SELECT * FROM tandem.rehearse_change('$table', 'bigint', 'cents', 'cents')");
	$call->('rehearse', "CALL tandem.rehearse('ALTER TABLE $table ADD COLUMN rehearsed int')");
	$call->('steering', "SELECT tandem.pause('$name'); SELECT tandem.resume('$name'); SELECT tandem.configure('$name', 'tandem.batch_target', '10ms')");
	$err = $call->('create_views', "SELECT tandem.create_views($release, relations => '{$table}')");
	unlike($err, qr/ERROR/, 'the views are made');
	$call->('reading no view', 'SELECT 1');
	$call->('add_column', "SELECT tandem.add_column('$name', '$table', 'another', 'int')");
	$call->('sync_column', "SELECT tandem.sync_column('$name', '$table', 'price', 'another', 'price + 1', keep_old => true)");
	$call->('ALTER TABLE', "ALTER TABLE $table ADD COLUMN later int");
	$call->('DISABLE TRIGGER', "ALTER TABLE $table DISABLE TRIGGER \"~tandem_sync\"");
	$call->('ALTER FUNCTION', "ALTER FUNCTION $schema.hold() COST 50");
	$call->('RENAME of a function', "ALTER FUNCTION $schema.pass_up($schema.d_up[], integer) RENAME TO pass_elsewhere");
	$call->('REVOKE', "REVOKE USAGE ON SCHEMA $schema FROM PUBLIC; GRANT USAGE ON SCHEMA $schema TO PUBLIC");
	$call->('an unrelated statement of DDL', 'CREATE FUNCTION public.unrelated() RETURNS int LANGUAGE sql AS $$SELECT 1$$; ALTER FUNCTION public.unrelated() RENAME TO unrelated2; DROP FUNCTION public.unrelated2()');
	$err = $call->('migrate', "CALL tandem.migrate('$name', workers => 2)");
	is(ask("SELECT phase, error FROM tandem.migrations WHERE name = '$name'"), 'contract|', "migrate of $name comes to its end") or diag($err);
	$call->('migrate again', "CALL tandem.migrate('$name')");
	$call->('create_views again', "SELECT tandem.create_views($release, relations => '{$table}')");
	as_owner($owner, "CREATE TABLE ${table}_c PARTITION OF $table FOR VALUES FROM (100) TO (200)") if $partitioned;
	$call->('migrate after a new partition', "CALL tandem.migrate('$name')") if $partitioned;
	$err = $call->('after a switch, and back', "SELECT tandem.register_release($release); SELECT tandem.switch_release($release); CALL tandem.migrate('$name'); SELECT tandem.switch_release($last); CALL tandem.migrate('$name')");
	unlike($err, qr/ERROR/, 'which is no error');
	$call->('after the switch', "SELECT tandem.switch_release($release); CALL tandem.migrate('$name')");
	is(ask("SELECT state, rows_changed FROM tandem.after_switches WHERE migration = '$name'"), 'done|9', "rows of $name are changed after the switch, back, and again");
	$last = $release;
	$call->('contract', "CALL tandem.contract('$name', undeclared => 'ignore')");
	is(ask("SELECT phase FROM tandem.migrations WHERE name = '$name'"), 'done', "contract of $name comes to its end");
	my ($ran) = told($offset, $schema);
	$seen{$_} = 1 foreach keys %$ran;

	($name, $table, $release) = make($owner, $schema, partitioned => $partitioned);
	$err = $call->('migrate in the background', "CALL tandem.migrate('$name', background => true, workers => 2)");
	wait_for_end($name);
	($ran, my $gained) = told($offset, $schema);
	is_deeply([ grep { $_ ne $owner } map { keys %{ $ran->{$_} } } keys %$ran ], [], "a run in the background$how of $owner: as $owner alone");
	is_deeply($gained, [], "a run in the background$how of $owner: and nothing is gained");
	is(ask("SELECT phase, error FROM tandem.migrations WHERE name = '$name'"), 'contract|', "the run of $name in the background comes to its end") or diag($err);
	$call->('abort', "CALL tandem.abort('$name')");

	# a note of the quarantine is tried again
	($name, $table, $release) = make($owner, $schema);
	as_owner($owner, "CREATE OR REPLACE FUNCTION $schema.pass_up($schema.d_up[], integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS \$\$ BEGIN IF \$2 = 2 THEN RAISE 'no'; END IF; RETURN \$2; END \$\$");
	$call->('migrate into the quarantine', "CALL tandem.migrate('$name')");
	is(ask("SELECT count(*) FROM tandem.quarantine WHERE migration = '$name'"), 1, "a row of $name is in the quarantine");
	as_owner($owner, "CREATE OR REPLACE FUNCTION $schema.pass_up($schema.d_up[], integer) RETURNS integer IMMUTABLE LANGUAGE plpgsql AS \$\$ BEGIN RETURN \$2; END \$\$");
	$call->('migrate out of the quarantine', "CALL tandem.migrate('$name')");
	is(ask("SELECT count(*) FROM tandem.quarantine WHERE migration = '$name'"), 0, "no row of $name is in the quarantine");
	$call->('abort with force', "CALL tandem.abort('$name')");
}
is(join(' ', sort keys %seen), join(' ', sort @kinds), 'every kind of text has run');
is(ask("SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'"), 'f', 'mallory is what she was');

note(sprintf '%-72s%s', '', join ' ', map { sprintf '%-18s', $_ } @kinds);
note(sprintf '%-72s%s', $_->[0], join ' ', map { sprintf '%-18s', $_ } @$_[ 1 .. $#$_ ]) foreach @table;

$node->stop;
done_testing();
