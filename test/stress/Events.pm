# What happens to a migration under load.  Each event is a sub of the scenario; it returns what came of it:
# done (the data must not care), refused, shown (as a problem, with its name), none (nobody was there to
# hit, or a lock was not to be had), or silent, which fails the scenario.
package Events;

use strict;
use warnings;

use PostgreSQL::Test::Utils;
use Releases;
use Schema;
use Time::HiRes qw(sleep);

my $TRIGGER = '"~tandem_sync"';

# All events: name, weight, sub.  Those that end the server or wait long have a small weight.
sub events
{
	return (
		[ 'snapshot compared', 8, sub { $_[0]->check_snapshot; return 'done'; } ],
		[ 'kill -9 of a writer', 2, killing(q(SELECT pid FROM pg_stat_activity WHERE usename = 'stress_writer' LIMIT 1)) ],
		[ 'kill -9 of the runner', 2, killing(q(SELECT running_pid FROM tandem.migrations WHERE running_pid IS NOT NULL LIMIT 1)) ],
		[ 'kill -9 of a worker', 2, killing(q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'pg_tandem' AND datname = current_database()
			ORDER BY backend_start DESC LIMIT 1)) ],
		[ 'kill -9 of the checkpointer', 1, killing(q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer')) ],
		[ 'kill -9 of the postmaster', 1, sub { $_[0]{server}->kill_postmaster; return 'done'; } ],
		[ 'immediate restart', 1, sub { $_[0]{server}->restart('immediate'); return 'done'; } ],
		[ 'fast restart', 1, sub { $_[0]{server}->restart('fast'); return 'done'; } ],
		[ 'promotion of a standby', 1, \&promote ],
		[ 'dump, restored', 1, \&dump ],
		[ 'cancel of all', 3, signalling('pg_cancel_backend') ],
		[ 'terminate of all', 2, signalling('pg_terminate_backend') ],
		[ 'VACUUM FULL', 3, rewriting('VACUUM FULL stress.items') ],
		[ 'CLUSTER', 2, rewriting('CLUSTER stress.items USING items_pkey') ],
		[ 'ALTER TABLE that rewrites', 1, rewriting('ALTER TABLE stress.items ALTER filler TYPE varchar(5000), ALTER filler TYPE text') ],
		[ 'REINDEX', 2, beside('REINDEX TABLE stress.items') ],
		[ 'REINDEX CONCURRENTLY', 1, beside('REINDEX TABLE CONCURRENTLY stress.items') ],
		[ 'VACUUM FREEZE', 2, beside('VACUUM (FREEZE, ANALYZE) stress.items') ],
		[ 'lock storm', 3, \&lock_storm ],
		[ 'pause, cancel, more workers', 3, \&control ],
		[ 'rename of the table', 2, \&rename_table ],
		[ 'rename of the schema', 1, \&rename_schema ],
		[ 'change of owner', 2, \&change_owner ],
		[ 'revoked rights', 1, \&revoke ],
		[ 'health asked', 3, sub { $_[0]->check_health; return 'done'; } ],
		[ 'pointer switched', 3, \&switch_release ],
		[ 'release registered', 1, \&register_release ],
		[ 'release waited for', 2, \&wait_for_release ],
		[ 'another migration begun', 3, \&begin_another ],
		[ 'clock set', 3, \&set_clock ],
		[ 'new partition', 3, \&new_partition ],
		[ 'writes in new partitions', 6, \&write_in_new_partitions ],
		[ 'roles come and go', 3, \&roles ],
		[ 'careless DDL', 8, \&careless ]);
}

sub killing
{
	my ($query) = @_;

	return sub { $_[0]{server}->kill_process($query) ? 'done' : 'none' };
}

sub signalling
{
	my ($function) = @_;

	return sub {
		my ($status) = $_[0]{server}->try(<<"SQL");
SELECT $function(pid) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND backend_type IN ('client backend', 'pg_tandem', 'parallel worker', 'autovacuum worker')
SQL
		return $status == 0 ? 'done' : 'none';
	};
}

# Whether a statement was refused for want of a lock, or hit by another event.
sub is_passing
{
	my ($err) = @_;

	return $err =~ /ERROR:\s+(55P03|40P01|57014|40001|55006)/ || $err =~ /FATAL|connection to server/;
}

sub outcome
{
	my ($scenario, $status, $err, $what) = @_;

	return 'done' if $status == 0;
	return 'none' if is_passing($err);
	$scenario->fail("$what: $err") if $err =~ /XX000/;
	return 'refused';
}

sub beside
{
	my ($sql) = @_;

	return sub {
		my ($scenario) = @_;
		my ($status, $out, $err) = $scenario->{server}->try("SET lock_timeout = '1s';\nSET client_min_messages = error;\n$sql");

		return outcome($scenario, $status, $err, $sql);
	};
}

# After a rewrite a row has all columns, filled or not.
sub rewriting
{
	my ($sql) = @_;
	my $run = beside($sql);

	return sub {
		my ($scenario) = @_;

		$scenario->{model}->tell_by_value(0);
		return $run->($scenario);
	};
}

sub promote
{
	my ($scenario) = @_;

	return 'none' if !$scenario->{standbys};
	$scenario->{standbys}--;
	return $scenario->{server}->promote_standby ? 'done' : 'none';
}

# Dumps in the middle of it all; restored and compared when the round is over.
sub dump
{
	my ($scenario) = @_;
	my $node = $scenario->{server}{node};
	my $file = "$scenario->{folder}/dump";

	return 'none' if $scenario->{dumps}-- <= 0;
	my $ok = IPC::Run::run([ $node->installed_command('pg_dump'), '-h', $node->host, '-p', $node->port, '-Fc', '--lock-wait-timeout=3s', '-f', $file,
		$scenario->{server}{database} ], '>', \my $out, '2>', \my $err);
	return 'none' if !$ok;
	$scenario->{dump} = $file;
	return 'done';
}

sub lock_storm
{
	my ($scenario) = @_;
	my $random = $scenario->{random};

	foreach (1 .. 3)
	{
		my $sql = "SET lock_timeout = '500ms';\n";
		foreach (1 .. 6)
		{
			my $mode = $random->pick('ACCESS SHARE', 'ROW EXCLUSIVE', 'SHARE UPDATE EXCLUSIVE', 'SHARE', 'EXCLUSIVE', 'ACCESS EXCLUSIVE');
			my $lock = $random->chance(60)
			  ? "LOCK TABLE stress.items IN $mode MODE"
			  : 'SELECT count(*) FROM (SELECT FROM stress.items WHERE id % 7 = ' . $random->below(7) . ' FOR ' . $random->pick('UPDATE', 'KEY SHARE') . ') r';
			$sql .= "BEGIN;\n$lock;\nSELECT pg_sleep(" . $random->below(60) / 1000 . ");\nCOMMIT;\n";
		}
		$scenario->{server}->start_sql($scenario->{folder}, $sql);
	}
	return 'done';
}

sub control
{
	my ($scenario) = @_;
	my $random = $scenario->{random};
	my $name = $random->pick(@{ $scenario->{migration}{names} });
	my $sql = $random->pick("SELECT tandem.pause('$name'); SELECT pg_sleep(0.1); SELECT tandem.resume('$name')",
		"SELECT tandem.cancel('$name')",
		"SELECT tandem.configure('$name', 'tandem.vacuum_every', '" . $random->pick(0, 5, 50) . "')",
		"SELECT count(*) FROM tandem.verify('$name')");
	my ($status, $out, $err) = $scenario->{server}->try("SET statement_timeout = '5s'; $sql");

	# whatever came of it, it must not stay paused
	$scenario->insist("SELECT tandem.resume('$name')") if $sql =~ /pause/;
	return outcome($scenario, $status, $err, $sql);
}

sub rename_table
{
	my ($scenario) = @_;
	my ($status, $out, $err) = $scenario->{server}->try("SET lock_timeout = '1s'; ALTER TABLE stress.items RENAME TO elsewhere");

	return outcome($scenario, $status, $err, 'rename') if $status != 0;
	sleep 0.1;
	$scenario->insist('ALTER TABLE IF EXISTS stress.elsewhere RENAME TO items');
	return 'done';
}

sub rename_schema
{
	my ($scenario) = @_;
	my $rename = 'ALTER SCHEMA stress RENAME TO stress_elsewhere';
	my $outcome = careless_try($scenario, $rename, 1);

	# harmless where no rule names anything in it
	return $outcome if $outcome ne 'silent';
	if (grep { $_->{functions} } @{ $scenario->{schema}{mappings} })
	{
		return 'silent';
	}
	my ($status, $out, $err) = $scenario->{server}->try("SET lock_timeout = '1s'; $rename");
	return outcome($scenario, $status, $err, $rename) if $status != 0;
	sleep 0.1;
	$scenario->insist(q(DO $$ BEGIN IF to_regnamespace('stress_elsewhere') IS NOT NULL THEN ALTER SCHEMA stress_elsewhere RENAME TO stress; END IF; END $$));
	return 'done';
}

sub change_owner
{
	my ($scenario) = @_;
	my $owner = $scenario->{random}->pick('stress_owner', 'stress_other');

	return beside(Schema::owner_sql($owner))->($scenario);
}

# The guard refuses it; and by force: the fill runs as the owner of the table, it must say so, and go on when the right
# is back.
sub revoke
{
	my ($scenario) = @_;

	return 'none' if !grep { $_->{functions} } @{ $scenario->{schema}{mappings} };
	my $revoke = 'REVOKE EXECUTE ON FUNCTION stress.to_grade(int), stress.to_level(text) FROM PUBLIC';
	return careless_try($scenario, $revoke, 1) if $scenario->{random}->pick(0, 1);
	# past the guard, the owner himself may have the right of PUBLIC alone
	$scenario->{revoked} = 1 if !$scenario->{schema}{private};
	my ($status, $out, $err) = $scenario->{server}->try(<<"SQL");
BEGIN;
ALTER EVENT TRIGGER tandem_guard_ddl DISABLE;
$revoke;
ALTER EVENT TRIGGER tandem_guard_ddl ENABLE ALWAYS;
COMMIT;
SQL
	return outcome($scenario, $status, $err, 'revoke') if $status != 0;
	sleep 0.2;
	$scenario->insist('GRANT EXECUTE ON FUNCTION stress.to_grade(int), stress.to_level(text) TO PUBLIC');
	return 'done';
}

# The pointer there and back: it goes to no release but one that is served.
sub switch_release
{
	my ($scenario, $release) = @_;
	my $releases = $scenario->{releases};
	$release //= $scenario->{random}->between(Releases::FIRST, Releases::LAST);
	my ($status, $out, $err) = $scenario->{server}->try("SELECT tandem.switch_release($release)");

	if (is_passing($err) && $status != 0)
	{
		# the server may have gone after the commit
		my $current = $scenario->insist('SELECT coalesce(max(current), 0) FROM tandem.registry');
		$scenario->fail("the pointer is on $current") if $current != $releases->{current} && $current != $release;
		$releases->switched($current);
		return 'none';
	}
	my $right = $status == 0 ? $releases->may_serve($release) : $releases->may_not_serve($release, 'retired', 'unknown', 'read_only');
	$scenario->fail("switch to $release, which is " . join(' or ', $releases->states($release)) . ': ' . ($err || 'done'))
	  if !$right || $status != 0 && $err !~ /ERROR:\s+55000: cannot switch/;
	$releases->switched($release) if $status == 0;
	return $status == 0 ? 'done' : 'refused';
}

sub register_release
{
	my ($scenario) = @_;
	my $release = $scenario->{random}->between(Releases::FIRST, Releases::LAST - 1);

	$scenario->insist("SELECT tandem.register_release($release)");
	$scenario->{releases}->registered($release);
	return 'done';
}

sub wait_for_release
{
	my ($scenario) = @_;
	my $releases = $scenario->{releases};
	my $release = $scenario->{random}->between(Releases::FIRST, Releases::LAST);
	my ($status, $out, $err) = $scenario->{server}->try("CALL tandem.wait_for_release($release, '200 ms')");
	my $right = $status == 0 ? $releases->may_serve($release)
	  : $err =~ /ERROR:\s+55P03/ ? $releases->may_not_serve($release, 'read_only', 'unknown') : $releases->may_be($release, 'retired');

	return 'none' if $status != 0 && $err !~ /ERROR:\s+(55P03|55000): release/;
	$scenario->fail("wait for $release, which is " . join(' or ', $releases->states($release)) . ': ' . ($err || 'done')) if !$right;
	return $status == 0 ? 'done' : 'refused';
}

# Another migration of a release, taken back: what sessions at work have declared nobody knows.
sub begin_another
{
	my ($scenario) = @_;
	my $releases = $scenario->{releases};
	my $release = $scenario->{random}->between(Releases::FIRST, Releases::LAST);
	my ($status, $out, $err) = $scenario->{server}->try("BEGIN; SELECT tandem.create_migration('another', release => $release); ROLLBACK;");
	my @right = $releases->of_beginning($release, may_move => 1, declared => undef);
	my ($state) = $status == 0 && $err !~ /ERROR/ ? '00000' : $err =~ /ERROR:\s+(\w{5}):/;

	return 'none' if $state ne '00000' && is_passing($err);
	$scenario->fail("begin a migration of $release, which is " . join(' or ', $releases->states($release)) . ": $err")
	  if !grep { $_ eq $state } @right;
	return $state eq '00000' ? 'done' : 'refused';
}

# The time of day goes forward, or some seconds back.  Not more: so long the server's own timeouts, and with them what
# ends a deadlock, are late.
sub set_clock
{
	my ($scenario) = @_;
	my $random = $scenario->{random};
	my $seconds = $random->pick(-3, -2, -1, 5, 3600, 100_000, 10_000_000);

	$scenario->{server}{clock}->move($seconds);
	sleep 0.2;
	my ($status, $out) = $scenario->{server}->try(<<'SQL');
SELECT 'progress', migration, step, rows_per_second, time_left FROM tandem.progress WHERE rows_per_second < 0 OR time_left < '0'
UNION ALL SELECT 'history', migration, action, NULL, took FROM tandem.history WHERE took < '0' OR took > '30 min'
SQL
	$scenario->fail("the clock was set by $seconds s: $out") if $status == 0 && $out ne '';
	return $seconds < 0 ? 'back' : 'forward';
}

# A partition made meanwhile, as a daily job makes one, by the owner of the table.
sub new_partition
{
	my ($scenario) = @_;
	my $number = $scenario->{new_partitions} // 0;
	my $kind = $scenario->{schema}{kind};
	my $low = Schema::new_partition_key($number);

	return 'none' if $kind eq 'plain' || $number >= 6;
	my $bounds = $kind eq 'by_part' ? 'IN (' . Schema::new_partition_part($number) . ')' : "FROM ($low) TO (" . ($low + 1000) . ')';
	my $owner = $scenario->insist(q(SELECT relowner::regrole FROM pg_class WHERE oid = to_regclass('stress.items')));
	return 'none' if $owner eq '';
	my $sql = "CREATE TABLE stress.items_new_$number PARTITION OF stress.items FOR VALUES $bounds";
	my ($status, $out, $err) = $scenario->{server}->try("SET lock_timeout = '1s'; SET ROLE $owner; $sql");
	# it may have been made before the server went
	$scenario->{new_partitions}++ if $scenario->insist("SELECT to_regclass('stress.items_new_$number') IS NOT NULL") eq 't';
	return outcome($scenario, $status, $err, $sql) if $status != 0;
	write_in_new_partitions($scenario);
	return 'done';
}

# Rows of these, which have been filled since they are there: what a writer puts there stays, NULL included.
sub write_in_new_partitions
{
	my ($scenario) = @_;
	my $random = $scenario->{random};
	my $writer = $scenario->{partition_writer};

	return 'none' if !$scenario->{new_partitions};
	my $transaction = $writer->{generator}->in_partition($random, $random->below($scenario->{new_partitions}));
	push @{ $writer->{pending} }, $transaction;
	my ($status, $out, $err) = $scenario->{server}->try("SET lock_timeout = '1s'; SET TimeZone = 'UTC'; $transaction->{sql}");
	return 'done' if $status == 0;
	return 'none' if is_passing($err) || $err =~ /ERROR:\s+(42P01|3F000|42501)/ || $scenario->{schema}{constraints}->any;
	$scenario->fail("a write in a new partition: $err");
	return 'refused';
}

# A member of the owner acts, and may not any more once it has left, or another has its name.
sub roles
{
	my ($scenario) = @_;
	my $random = $scenario->{random};
	my $server = $scenario->{server};
	my $name = $random->pick(@{ $scenario->{migration}{names} });
	my $harmless = "SELECT tandem.configure('$name', 'tandem.vacuum_every', '5')";
	my $act = $random->pick($harmless, "SELECT tandem.pause('$name')", "SELECT tandem.cancel('$name')", "CALL tandem.abort('$name')",
		"CALL tandem.contract('$name', force => true, undeclared => 'ignore', $Server::ACCEPT)", "CALL tandem.migrate('$name', if_running => 'return')");
	my $may_not = sub {
		my ($role, $who) = @_;
		my ($status, $out, $err) = $server->try("SET SESSION AUTHORIZATION $role; $act");
		$scenario->fail("$act by $who: " . ($status ? $err : 'done')) if !is_passing($err) && $err !~ /ERROR:\s+42501/;
	};
	# a change of owner meanwhile would be another's to judge: there is one thread of events
	my $owner = $scenario->insist(<<'SQL');
SELECT string_agg(DISTINCT relowner::regrole::text, ' ') FROM pg_class
WHERE relnamespace = to_regnamespace('stress') AND relkind IN ('r', 'p') AND relname ~ '^(items|kept_|held_|owned_|gone_|refers_|fresh_)'
SQL

	# a member of one of the owners may not: each table of a migration counts
	return 'none' if $owner !~ /^stress_\w+$/;
	$scenario->insist('DROP ROLE IF EXISTS stress_member, stress_former');
	$scenario->insist("CREATE ROLE stress_member LOGIN IN ROLE $owner", qr/ERROR:\s+42710/);
	my ($status, $out, $err) = $server->try("SET SESSION AUTHORIZATION stress_member; $harmless");
	$scenario->fail("$harmless by a member: $err") if $status != 0 && !is_passing($err);
	$scenario->insist("REVOKE $owner FROM stress_member");
	$may_not->('stress_member', 'a former member');
	$scenario->insist("GRANT $owner TO stress_member");
	$scenario->insist('ALTER ROLE stress_member RENAME TO stress_former', qr/ERROR:\s+(42704|42710)/);
	$scenario->insist('CREATE ROLE stress_member LOGIN', qr/ERROR:\s+42710/);
	$may_not->('stress_member', 'a role with the name of a member');
	$scenario->insist('DROP ROLE IF EXISTS stress_member, stress_former');
	return 'done';
}

# DDL that would break the sync.
sub careless_statements
{
	my ($scenario) = @_;
	my $random = $scenario->{random};
	my $rule = $random->pick(grep { !$_->{is_drop} } @{ $scenario->{model}{rules} });
	my $column = $random->pick(@{ $rule->{old} }, @{ $rule->{new} });
	my $table = 'stress.items';
	my @statements = (
		"DROP TRIGGER $TRIGGER ON $table",
		"ALTER TABLE $table DISABLE TRIGGER $TRIGGER",
		"ALTER TABLE $table DISABLE TRIGGER USER",
		"ALTER TABLE $table DISABLE TRIGGER ALL",
		"ALTER TABLE $table ENABLE REPLICA TRIGGER $TRIGGER",
		"ALTER TABLE $table ENABLE TRIGGER $TRIGGER",
		"ALTER TRIGGER $TRIGGER ON $table RENAME TO first",
		"CREATE TRIGGER \"~zz\" BEFORE UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
		"ALTER TABLE $table RENAME COLUMN $column TO other",
		"ALTER TABLE $table ALTER COLUMN $column TYPE text USING 'x'",
		"ALTER TABLE $table DROP COLUMN $column",
		"ALTER TABLE $table DROP COLUMN $column CASCADE",
		'DROP EXTENSION pg_tandem',
		'ALTER EXTENSION pg_tandem DROP FUNCTION tandem.dual_write()',
		'DROP SCHEMA tandem CASCADE');

	push @statements, 'ALTER TABLE stress.items_0 DISABLE TRIGGER ' . $random->pick($TRIGGER, 'USER') if $scenario->{schema}{kind} ne 'plain';
	push @statements, (map { ("DROP FUNCTION $_", "DROP FUNCTION $_ CASCADE", "ALTER FUNCTION $_ RENAME TO other", "ALTER FUNCTION $_ SET SCHEMA public") }
		  'stress.to_grade(int)') x 2
	  if grep { $_->{functions} } @{ $scenario->{schema}{mappings} };
	return @statements;
}

# Does it and takes it back, after a look at what tandem says meanwhile; quiet: silence is no failure.
sub careless_try
{
	my ($scenario, $sql, $quiet) = @_;
	my ($status, $out, $err) = $scenario->{server}->try(<<"SQL");
SET client_min_messages = error;
BEGIN;
SET LOCAL lock_timeout = '1s';
$sql;
\\echo accepted
SELECT 'problem: ' || problem FROM tandem.syncs WHERE problem IS NOT NULL;
SELECT 'in force' WHERE NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = '~tandem_sync' AND tgenabled <> 'A');
ROLLBACK;
SQL
	if ($out =~ /accepted/)
	{
		# one that means all triggers leaves ours as it is
		return 'in force' if $sql =~ /DISABLE TRIGGER (USER|ALL)$/ && $out =~ /in force/;
		return 'shown' if $out =~ /problem: ./;
		# what shows it is gone itself: everybody sees that
		return 'shown' if $err =~ /ERROR:\s+(3F000|42P01)/;
		return 'none' if is_passing($err);
		$scenario->fail("not refused, and not shown: $sql $err") if !$quiet;
		return 'silent';
	}
	return outcome($scenario, $status, $err, $sql);
}

sub careless
{
	my ($scenario) = @_;
	my $sql = $scenario->{random}->pick(careless_statements($scenario));
	my $outcome = careless_try($scenario, $sql);

	$scenario->count("careless: " . $sql =~ s/stress\.items\w*|$TRIGGER/../gr, $outcome) if $outcome ne 'none';
	return $outcome;
}

# What is done when nobody writes, as it would stop the sync or hide rows.

# Somebody takes the guard away and stops the trigger: the gate must notice, and migrate repair it.
sub disable_by_force
{
	my ($scenario) = @_;
	my $server = $scenario->{server};
	my $model = $scenario->{model};
	my $action = $scenario->{random}->pick("DISABLE TRIGGER $TRIGGER", 'DROP');

	$action = $action eq 'DROP' ? "DROP TRIGGER $TRIGGER ON stress.items" : "ALTER TABLE stress.items $action";
	# that one alone would still follow what is written
	my $first = $server->is_true(q(SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'stress.items'::regclass AND tgname = '!tandem_sync')))
	  ? 'ALTER TABLE stress.items DISABLE TRIGGER "!tandem_sync";' : '';
	$server->ask(<<"SQL");
SET client_min_messages = error;
ALTER EVENT TRIGGER tandem_guard_ddl DISABLE;
ALTER EVENT TRIGGER tandem_guard_drop DISABLE;
$first
$action;
ALTER EVENT TRIGGER tandem_guard_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER tandem_guard_drop ENABLE ALWAYS;
SQL
	if (!$server->is_true(q(SELECT bool_and(health = 'broken' AND problem IS NOT NULL) FROM tandem.syncs WHERE health <> 'removed' AND relation = 'stress.items'::regclass)))
	{
		$scenario->fail("$action by force: not shown");
	}
	foreach my $name (@{ $scenario->{migration}{names} })
	{
		my ($status, $out, $err) = $server->try("CALL tandem.contract('$name', undeclared => 'ignore', $Server::ACCEPT)");
		$scenario->fail("$action by force: contract of $name is not refused") if $status == 0;
	}
	$model->tell_by_value(1);
	# rows that nobody syncs: what is new there stays, what is old is not carried over
	$scenario->write_unsynced;
	$scenario->run_migrate;
	return 'shown';
}

# A key that a new column refers to changes: what is cascaded is of no release, whoever changes it.
sub cascade_key
{
	my ($scenario) = @_;
	my $server = $scenario->{server};
	my $model = $scenario->{model};
	my $release = $scenario->{releases}->may_be(Releases::FIRST, 'ready', 'current') ? Releases::FIRST : 0;

	# each row is filled then, and certain
	$scenario->run_migrate;
	return 'none' if $scenario->{wrong} || $model->quarantined;
	return 'none' if !$server->is_true(q(SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'stress.items'::regclass AND contype = 'f')));
	my $kind = 'hidden' . ++$scenario->{cascaded};
	$server->ask(<<"SQL");
SET tandem.release = $release;
UPDATE stress.kinds SET kind = '$kind' WHERE kind = 'shared';
INSERT INTO stress.kinds VALUES ('shared');
SQL
	foreach my $id (grep { ($model->{rows}{$_}[0]{v}{visibility} // '') eq 'shared' } sort keys %{ $model->{rows} })
	{
		$scenario->fail("what a key cascades to row $id cannot be") if !$model->update($id, { visibility => $kind });
	}
	return 'done';
}

# A partition goes, and comes back.
sub detach
{
	my ($scenario) = @_;
	my $server = $scenario->{server};
	my %bounds = (by_part => 'IN (1)', by_range => 'FROM (0) TO (' . Schema::KEYS . ')');
	my $bounds = $bounds{ $scenario->{schema}{kind} };
	my $leaf = $scenario->{schema}{kind} eq 'by_part' ? 'stress.items_1' : 'stress.items_0';

	return 'none' if !$bounds;
	my ($status, $out, $err) = $server->try("ALTER TABLE stress.items DETACH PARTITION $leaf");
	return outcome($scenario, $status, $err, 'detach') if $status != 0;
	$scenario->{model}->tell_by_value(1);
	# a constraint that came meanwhile would keep it out
	$scenario->finish_migrate if $scenario->{random}->chance(50) && !$scenario->{migration}{check} && !$scenario->{schema}{constraints}->any;
	$scenario->insist("ALTER TABLE stress.items ATTACH PARTITION $leaf FOR VALUES $bounds");
	return 'done';
}

1;
