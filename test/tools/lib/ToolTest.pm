# What the tests of migration tools have in common: an application that goes from release 41 to 44 by the files of the
# tool's page in doc/tools.  The page is what is run: each "`path`:" before a block is a file of the project.
#
# A test gives the commands of its tool:
#   deploy      => sub { (target) }     brings the database to a step, and waits until its release may write
#   undeploy    => sub { (target) }     takes back what came after a step
#   recover     => sub { () }           optional: removes what the tool leaves of a deploy that was killed
#   app         => sub { (release) }    a program of the application: writes and reads, ends with 0 if it was right
#   difference  => sub { (release, is contracted) }    optional: what the tool would change for the models of that release; or ()
#   no_difference => sub { (output) }   with it: is that nothing?
# and the names of the steps: price, name, code, each with an expand and a contract.
package ToolTest;

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../t/lib";
use File::Basename;
use File::Path;
use IPC::Run;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

my $root = "$FindBin::Bin/../..";

# the releases, and what each changes; of the one before it the program stops when it is contracted
my @steps = ([ 42, 'price' ], [ 43, 'name' ], [ 44, 'code' ]);

sub new
{
	my ($class, $name, %parts) = @_;
	my $self = bless { name => $name, folder => PostgreSQL::Test::Utils::tempdir . "/$name", %parts }, $class;

	$self->{node} = new_server('main', conf => "session_preload_libraries = 'pg_tandem'\n");
	$self->{node}->safe_psql('postgres', <<'SQL');
CREATE ROLE deployer LOGIN;
ALTER ROLE deployer SET tandem.release = 'tool';
CREATE ROLE app LOGIN;
CREATE DATABASE shop OWNER deployer;
SQL
	$self->{node}->safe_psql('shop', <<'SQL');
GRANT CREATE ON SCHEMA public TO deployer;
CREATE EXTENSION pg_tandem;
GRANT EXECUTE ON FUNCTION tandem.switch_release, tandem.register_release TO deployer;
SQL
	# tools write into their home
	$self->{environment} = {
		HOME => $self->{folder}, PGHOST => $self->{node}->host, PGPORT => $self->{node}->port, PGDATABASE => 'shop',
		PGUSER => 'deployer', PYTHONDONTWRITEBYTECODE => 1, NO_COLOR => 1 };
	$self->write_files;
	return $self;
}

sub write_files
{
	my ($self) = @_;
	my $page = slurp_file("$root/doc/tools/$self->{name}.md");
	my $files = 0;

	while ($page =~ /^`([^`\n]+)`:\n\n((?:(?: {4}.*)?\n)+)/mg)
	{
		my ($path, $text) = ("$self->{folder}/$1", $2);
		my $dir = dirname($path);

		$text =~ s/^ {4}//mg;
		$text =~ s/\n+\z/\n/;
		File::Path::make_path($dir);
		append_to_file($path, $text);
		$files++;
	}
	die "the page doc/tools/$self->{name}.md has no files\n" if $files < 5;
	return;
}

# Starts a command of the tool in the project's folder; see finish of TandemTest.
sub start
{
	my ($self, $what, @command) = @_;
	my %job = (out => '', err => '', what => $what);

	local %ENV = (%ENV, %{ $self->{environment} });
	$job{run} = IPC::Run::start(\@command, '<', \undef, '>', \$job{out}, '2>', \$job{err},
		init => sub { chdir $self->{folder} or die }, IPC::Run::timer($PostgreSQL::Test::Utils::timeout_default));
	return \%job;
}

# Runs it to its end; returns its output.
sub run
{
	my ($self, $what, @command) = @_;
	my $job = $self->start($what, @command);

	ok(finish($job), $what) or diag("$job->{out}\n$job->{err}");
	return $job->{out};
}

# What package.json of the page names; false where the registry is not to be had.
sub install_node_modules
{
	my ($self) = @_;
	my $job = $self->start('npm install', 'npm', 'install', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error');
	my $ended = finish($job);

	note("$job->{out}\n$job->{err}") if !$ended;
	return $ended;
}

sub sql
{
	my ($self, $sql) = @_;

	return $self->{node}->safe_psql('shop', $sql);
}

sub deploy
{
	my ($self, $target) = @_;

	return $self->run("deploy of $target", $self->{deploy}->($target));
}

# The programs of some releases at the same time, each with its own writes.
sub use_app
{
	my ($self, $what, @releases) = @_;
	my @jobs = map { $self->start("application of release $_, $what", $self->{app}->($_)) } @releases;

	foreach my $job (@jobs)
	{
		ok(finish($job), $job->{what}) or diag("$job->{out}\n$job->{err}");
	}
	return;
}

# Old and new shape, each read through the views of its release.
my %disagree = (
	price => 'SELECT count(*) FROM release_41.products o FULL JOIN release_42.products n USING (id) WHERE n.price IS DISTINCT FROM o.price * 100',
	name => q(SELECT count(*) FROM release_42.customers o FULL JOIN release_43.customers n USING (id)
		WHERE o.name IS DISTINCT FROM n.first_name || ' ' || n.last_name),
	code => 'SELECT count(*) FROM release_43.products o FULL JOIN release_44.products n USING (id) WHERE o.sku IS DISTINCT FROM n.code');

sub shapes_agree
{
	my ($self, $step, $what) = @_;

	is($self->sql($disagree{$step}), 0, "$step: old and new shape agree $what");
	return;
}

sub is_open
{
	my ($self) = @_;

	return $self->sql(q(SELECT coalesce(string_agg(name, ', '), '') FROM tandem.migrations WHERE phase NOT IN ('done', 'aborted')));
}

# The tables are those of the models of a release.
sub is_no_difference
{
	my ($self, $release, $is_contracted) = @_;
	my @command = $self->{difference} ? $self->{difference}->($release, $is_contracted) : () or return;
	my $what = $is_contracted ? 'after contract' : 'before contract';
	my $job = $self->start('difference', @command);
	my $ended = finish($job);

	ok($ended && $self->{no_difference}->($job->{out}), "the tool finds no difference to the models of release $release, $what")
	  or diag("$job->{out}\n$job->{err}");
	return;
}

# A deploy that is killed while it waits for its lock leaves nothing, and is run again.
sub interrupt
{
	my ($self, $step) = @_;
	my $reader = $self->{node}->background_psql('shop');
	my $waits = q(SELECT %s FROM pg_stat_activity WHERE usename = 'deployer' AND wait_event_type IN ('Lock', 'Timeout', 'Extension') AND query ~ 'tandem|TANDEM');

	$reader->query_safe('BEGIN; SELECT count(*) FROM customers; SELECT count(*) FROM products');
	my $killed = $self->start("deploy of $step, killed", $self->{deploy}->($step));
	wait_for_running($self->{node}, sprintf($waits, 'count(*) > 0'), 'shop');
	$killed->{run}->signal('KILL');
	$self->sql(q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'deployer'));
	eval { $killed->{run}->finish };
	$reader->query_safe('COMMIT');
	$reader->quit;
	is($self->is_open, '', "$step: nothing is left of a deploy that was killed");
	$self->run('what the tool has left is removed', $self->{recover}->()) if $self->{recover};
	return;
}

# Nodes that start at once each run the tool; what the second may do is told by its tool, but nothing is broken.
sub deploy_twice
{
	my ($self, $step) = @_;
	my @jobs = map { $self->start("deploy of $step by node $_", $self->{deploy}->($step)) } 1, 2;
	my @ended = map { finish($_) } @jobs;

	ok($ended[0] || $ended[1], "$step: two nodes deploy at once") or diag(map { "$_->{out}\n$_->{err}\n" } @jobs);
	# the one that came second runs it again, as it would at its next start
	$self->deploy($step);
	return;
}

# One change from expand to contract, with the programs of both releases.
sub change
{
	my ($self, $release, $step) = @_;
	my $before = $release - 1;

	if ($step eq 'name')
	{
		$self->interrupt("${step}_expand");
	}
	if ($step eq 'price')
	{
		$self->deploy_twice("${step}_expand");
	}
	else
	{
		$self->deploy("${step}_expand");
	}
	is($self->is_open, $step, "$step: the migration is open");
	# but for a column more, which another release has under its own name
	$self->is_no_difference($before, 0) if $step ne 'name';
	$self->use_app("beside release $release", $before, $release);
	$self->shapes_agree($step, 'after writes of both releases');
	if ($step eq 'code')
	{
		$self->run("$step: downgrade", $self->{undeploy}->($release));
		is($self->is_open, '', "$step: downgrade leaves no migration");
		$self->use_app('after the downgrade', $before);
		$self->deploy("${step}_expand");
		$self->use_app("once more beside release $release", $before, $release);
		$self->shapes_agree($step, 'after a second deploy');
	}
	$self->deploy("${step}_contract");
	is($self->is_open, '', "$step: contract ends the migration");
	$self->is_no_difference($release, 1);
	# called again, as by the next node
	$self->deploy("${step}_contract");
	$self->use_app('alone', $release);
	my $old = $self->start("application of release $before, too late", $self->{app}->($before));
	ok(!finish($old), "$step: release $before is refused after contract");
	like($old->{out} . $old->{err}, qr/release $before is (?:no longer served|retired, and will not become ready)/, "$step: and told why");
	return;
}

# What pg_dump writes, restored, is the same; and has nothing of the changes in it but their result.
sub dump_and_load
{
	my ($self) = @_;
	my $node = $self->{node};
	my $file = "$self->{folder}/shop.dump";

	$node->safe_psql('postgres', 'CREATE DATABASE copy OWNER deployer');
	command_ok([ $node->installed_command('pg_dump'), '-Fc', '-f', $file, '-d', $node->connstr('shop') ], 'dump');
	command_ok([ $node->installed_command('pg_restore'), '-e', '-1', '-d', $node->connstr('copy'), $file ], 'and load');
	my ($schema, $copy) = map { schema_of($node, $_) } 'shop', 'copy';
	is($copy, $schema, 'the loaded schema is the same');
	unlike($schema, qr/tandem|__4\d/, 'and has nothing in it of how it came about');
	return;
}

# All of it.
sub walk
{
	my ($self) = @_;

	$self->deploy('shop');
	$self->use_app('alone', 41);
	$self->change(@$_) foreach @steps;
	is($self->sql('SELECT count(*) > 0 FROM products WHERE price > 0'), 't', 'there are rows');
	$self->dump_and_load;
	return;
}

1;
