# The views of releases: which columns each shows, and what of a row.  What a view shows follows from the row that
# is stored, which is compared with the model, and from whether the view still reads through.
package Views;

use strict;
use warnings;

use Mapping;
use Model;
use Releases;
use Schema;
use Events;

sub new
{
	my ($class, $random) = @_;
	my @releases = grep { $random->chance(40) } Releases::FIRST .. Releases::LAST - 1;

	return bless { releases => \@releases, as_owner => $random->chance(50), shown => {}, may_return => {}, may_be_named => {}, plain => {} }, $class;
}

# Whether a release has views, and one before it.
sub has_both
{
	my ($self, $release) = @_;

	return (grep { $_ == $release } @{ $self->{releases} }) && (grep { $_ < $release } @{ $self->{releases} }) ? 1 : 0;
}

# Makes the views, or brings them up to date after another expand.
sub create
{
	my ($self, $scenario) = @_;
	my $owner = $scenario->insist(q(SELECT relowner::regrole FROM pg_class WHERE oid = 'stress.items'::regclass));

	foreach my $release (@{ $self->{releases} })
	{
		# only who made a schema may put more into it
		my $role = $self->{role} //= $self->{as_owner} && $owner =~ /^stress/ ? "SET ROLE $owner; " : '';
		# who has made none of the migrations names the tables
		my $relations = $role eq '' || !$scenario->{migration}{as_owner} ? ", relations => '{stress.items}'" : '';

		$scenario->insist("${role}SELECT tandem.create_views($release$relations, refresh => true)");
		$scenario->count('views of a release', 'made');
	}
	$self->{plain} = {};
	$self->tell($scenario, @{ $self->{releases} });
	return;
}

# Notes what each of these shows: { release => { column of the table => its name there } }.
sub tell
{
	my ($self, $scenario, @releases) = @_;

	$self->{shown} = { map { $_ => names_of($scenario->{model}, $_) } @releases };
	$self->{may_return} = {};
	$self->{may_be_named} = {};
	return;
}

# Migrations end: a contract ends the views of what it retires, and an abort those of its release, which would show
# values of another meaning; since: when the last of them began to end.
sub ended
{
	my ($self, $scenario, $model, $since) = @_;
	my @ended = @{ $scenario->{ended} };
	my ($retired) = sort { $b <=> $a } 0, map { $_->{how} eq 'contract' ? $scenario->{releases}->of($_->{name}) : () } @ended;
	my %aborted = map { $scenario->{releases}->of($_->{name}) => 1 } grep { $_->{how} eq 'abort' } @ended;

	delete $self->{shown}{$_} foreach grep { $_ < $retired || $aborted{$_} } keys %{ $self->{shown} };
	foreach my $release (keys %{ $self->{shown} })
	{
		my $shown = $self->{shown}{$release} = { map { $model->current($_) => $self->{shown}{$release}{$_} } keys %{ $self->{shown}{$release} } };

		delete $shown->{$_} foreach grep { !$model->{columns}{$_} } keys %$shown;
		# nothing comes back before create_views, unless nobody works as the release, whose shape may still change then
		my $all = names_of($model, $release);
		# nor does a column get its former name back, when its rename is aborted; one that got it may be left with it
		my $before = $self->{may_be_named}{$release} || {};
		my $may = $self->{may_be_named}{$release} = { map { $model->current($_) => $before->{$_} } keys %$before };
		if ($scenario->{releases}->may_have_been($since, $release, 'read_only', 'unknown'))
		{
			push @{ $may->{$_} }, $all->{$_} foreach grep { $all->{$_} && $all->{$_} ne $shown->{$_} } keys %$shown;
		}
		$self->{may_return}{$release} = { map { $_ => $all->{$_} } grep { !$shown->{$_} } keys %$all }
		  if $self->{may_return}{$release} || $scenario->{releases}->highest && $scenario->{releases}->may_have_been($since, $release, 'read_only', 'unknown');
	}
	return;
}

# Views of later releases show a table that goes with an abort.
sub drop_views_of_added
{
	my ($scenario, $err) = @_;
	my ($detail) = $err =~ /ERROR:\s+2BP01: tables that migration "\w+" has added are in use\nDETAIL:\s+(.*?)\nHINT:\s+Drop these/s or return 0;

	foreach my $line (split /\n/, $detail)
	{
		my ($view) = $line =~ /^- view (release_(\d+)\.fresh_\w+) of release \2$/ or return 0;
		$scenario->insist("SET client_min_messages = error; DROP VIEW IF EXISTS $view");
		$scenario->count('view of a table in the way of an abort', 'dropped');
	}
	return 1;
}

# A migration cannot end, since a view of a release that is served shows columns that go with it; the hint of the error
# is followed.  False: nothing of the kind is in the way.
sub make_way
{
	my ($self, $scenario, $err, @gone) = @_;

	return 1 if drop_views_of_added($scenario, $err);
	my ($release) = $err =~ /ERROR:\s+2BP01: view release_(\d+)\.items of release \1 shows columns that would be dropped/ or return 0;
	my ($columns) = $err =~ /DETAIL:\s+Columns: (.*)\./;
	my %gone = map { $_ => 1 } @gone;
	my $shown = $self->{shown}{$release} or return 0;

	return 0 if !$columns || grep { !$gone{$_} || !$shown->{$_} } split /, /, $columns;
	$scenario->insist("SET client_min_messages = error; DROP VIEW release_$release.items");
	delete $self->{shown}{$release};
	$scenario->count('view of a release in the way of an end', 'dropped');
	return 1;
}

# Nobody looks at those of a release, and of later ones, any more.
sub leave_to_others
{
	my ($self, $from) = @_;

	delete $self->{shown}{$_} foreach grep { $_ >= $from } keys %{ $self->{shown} };
	return;
}

sub releases
{
	my ($self) = @_;

	return sort keys %{ $self->{shown} };
}

# The fill has been at every row.
sub set_plain
{
	my ($self, $name) = @_;

	$self->{plain}{$name} = 1;
	return;
}

sub columns_of
{
	my ($model, $release) = @_;
	my %hidden = map { $_ => 1 } map {
		$_->{release} == 0 ? () : $_->{release} > $release ? @{ $_->{new} } : $_->{keep_old} ? () : @{ $_->{old} }
	} @{ $model->{rules} };

	return sort grep { !$hidden{$_} } keys %{ $model->{columns} };
}

sub names_of
{
	my ($model, $release) = @_;

	return { map { $_ => $model->name_in($_, $release) } columns_of($model, $release) };
}

# What psql is to print of them, in the snapshot of the rows, from which some columns are gone.
sub look_sql
{
	my ($self, $model, $gone) = @_;
	# an up that raises fails the query that reads it
	my $bad = Mapping::bad_sql(map { $_ => 1 } grep { !$gone->{$_} } map { $_->{old}[0] // (), @{ $_->{new} } } @{ $model->{rules} });
	my $where = $bad ? "WHERE id NOT IN (SELECT id FROM stress.items WHERE $bad)" : '';

	return join '', map { "\\echo view $_\nSAVEPOINT v;\nCOPY (SELECT * FROM release_$_.items $where) TO STDOUT (HEADER);\nROLLBACK TO v;\n" } $self->releases;
}

# Reads it: { release => { id => { column => value } } }.
sub read_output
{
	my ($text) = @_;
	my ($view, $names, %seen);

	foreach my $line (split /\n/, $text)
	{
		if ($line =~ /^view (\d+)$/)
		{
			$view = $1;
			undef $names;
			next;
		}
		# the end of the line before
		next unless defined $view;
		my @fields = map { $_ eq '\N' ? undef : $_ } split /\t/, $line, -1;
		if (!$names)
		{
			$names = \@fields;
			$seen{$view} = {};
			next;
		}
		my %row;
		@row{@$names} = @fields;
		delete $row{sum};
		$seen{$view}{ $row{id} } = \%row;
	}
	return \%seen;
}

# A row as a release sees it; through: the migrations whose new columns are read through.
sub shown
{
	my ($model, $v, $through, $name) = @_;
	my ($rule) = grep {
		my $rule = $_;
		$through->{ $rule->{migration} } && grep { $_ eq $name } @{ $rule->{new} }
	} @{ $model->{rules} };

	return $v->{$name} if !$rule || !$model->is_at_default({ v => $v }, $rule);
	my @up = $rule->{up_of}->(map { shown($model, $v, $through, $_) } Model::read_by_up($rule));
	my ($i) = grep { $rule->{new}[$_] eq $name } 0 .. $#{ $rule->{new} };
	return $up[$i];
}

# Compares what the views show with the rows of the same snapshot; returns what is wrong.
sub compare
{
	my ($self, $model, $seen) = @_;
	my @problems;

	foreach my $release ($self->releases)
	{
		push @problems, map { "view of release $release: $_" } $self->compare_one($model, $seen, $release);
	}
	return @problems;
}

sub compare_one
{
	my ($self, $model, $seen, $release) = @_;
	my $rows = $seen->{views}{$release} or return "cannot be read: $seen->{err}";
	my ($any) = values %$rows;
	my $may_return = $self->{may_return}{$release} || {};
	my @returned = grep { $any && exists $any->{ $may_return->{$_} } } keys %$may_return;
	my %names = (%{ $self->{shown}{$release} }, map { $_ => $may_return->{$_} } @returned);
	my $may_be_named = $self->{may_be_named}{$release} || {};
	foreach my $column (grep { $any && exists $names{$_} && !exists $any->{ $names{$_} } } keys %$may_be_named)
	{
		my ($name) = grep { exists $any->{$_} } @{ $may_be_named->{$column} };
		$names{$column} = $name if defined $name;
	}
	my @best;

	foreach my $through ($self->may_read_through($model))
	{
		my @wrong = wrong_rows($model, $seen, $rows, $through, %names) or return;
		@best = @wrong if !@best || @wrong < @best;
	}
	return @best > 3 ? @best[ 0 .. 2 ] : @best;
}

# The sets of migrations that may be read through: all views are replaced at once for each.
sub may_read_through
{
	my ($self, $model) = @_;
	my %open = map { $_->{migration} => 1 } grep { !$self->{plain}{ $_->{migration} } } @{ $model->{rules} };
	my @sets = ({});

	foreach my $name (sort keys %open)
	{
		@sets = map { ($_, { %$_, $name => 1 }) } @sets;
	}
	return @sets;
}

sub wrong_rows
{
	my ($model, $seen, $rows, $through, %names) = @_;
	my @wrong;

	foreach my $id (sort { $a <=> $b } keys %{ $seen->{rows} })
	{
		my ($v, $row) = ($seen->{rows}{$id}, $rows->{$id});
		my %expected = map { $names{$_} => shown($model, $v, $through, $_) } keys %names if !Mapping::is_bad($v);
		next if $row ? %expected && Model::same_values(\%expected, $row) : !%expected;
		# of a migration that has ended nothing raises
		next if !%expected && $row;
		push @wrong, "row $id is " . Model::describe($row) . "\n  and not " . Model::describe(\%expected);
	}
	return @wrong;
}

# What is read through is not writable, and what is plain is.
sub check_writable
{
	my ($self, $scenario, $writable) = @_;

	foreach my $release ($self->releases)
	{
		foreach my $rule (grep { !$_->{is_drop} } @{ $scenario->{model}{rules} })
		{
			my $column = $self->{shown}{$release}{ $rule->{new}[0] } // next;
			my ($status, $out, $err) = $scenario->{server}->try("UPDATE release_$release.items SET $column = NULL WHERE false");
			next if $status != 0 && Events::is_passing($err);
			next if $writable ? $status == 0 : $err =~ /ERROR:\s+0A000: cannot update column "$column" of view/;
			$scenario->fail("column $column of the view of release $release: " . ($status ? $err : 'writable'));
		}
	}
	return;
}

1;
