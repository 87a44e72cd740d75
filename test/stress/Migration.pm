# A random migration of a table: how its mappings become syncs, and of how many migrations.
package Migration;

use strict;
use warnings;

use Operations;
use Random;
use Schema;

# Draws it; releases: which migration is of which; views: which have views.
sub new
{
	my ($class, $random, $schema, $releases, $seed, $views) = @_;
	my $self = bless { schema => $schema, releases => $releases, seed => $seed, views => $views, names => [], open => {}, as_owner => $random->chance(40) }, $class;
	my $count = $random->pick(1, 1, 2);
	my %number;

	$self->{index} = $random->chance(50);
	$self->{check} = $random->chance(40);
	$self->{older_column} = $random->chance(20);
	foreach my $mapping (@{ $schema->{mappings} })
	{
		$number{ $mapping->{name} } //= $random->between(1, $count);
		# what reads a column of another goes with it
		$number{ $mapping->{with} } //= $number{ $mapping->{name} } if $mapping->{with};
		my $number = $number{ $mapping->{with} // $mapping->{name} };
		$self->draw_sync($random, $mapping, $_, $number) foreach 0 .. $#{ $mapping->{links} };
	}
	$self->{operations} = Operations->new($seed, $schema, $self->new_columns, { map { $_ => $views->has_both($releases->of($_)) } keys %{ $self->{syncs} } },
		sort keys %{ $self->{syncs} });
	$self->{syncs}{ $self->{operations}{only} } = [] if $self->{operations}{only};
	return $self;
}

sub draw_sync
{
	my ($self, $random, $mapping, $link, $number) = @_;
	my $one_way = !$mapping->{links}[$link]{down};

	# the later link of a chain is of a later release; it may come with the first or after it
	if ($link)
	{
		$number = $random->chance(50) ? 3 : 4;
	}
	push @{ $self->{syncs}{"m$number"} }, {
		mapping => $mapping,
		link => $link,
		on_conflict => $random->pick('error', 'error', 'new', 'old'),
		add => $random->pick('tandem', 'tandem', 'alter'),
		keep_old => $random->chance(15) && !$one_way && @{ $mapping->{links} } == 1,
		default => $random->chance(15) };
	return;
}

# What syncs add, but for chains, and for rows in quarantine: { migration, name, type }.  Derived columns are
# added by a call of their own, which would have to come first.
sub new_columns
{
	my ($self) = @_;
	my @new;

	foreach my $name (sort keys %{ $self->{syncs} })
	{
		push @new, map { my $sync = $_; map { { migration => $name, name => $_->{name}, type => $_->{type} } } @{ $sync->{mapping}{sides}[ $sync->{link} + 1 ] } }
		  grep { !$_->{mapping}{derived} && !$_->{mapping}{quarantine} && @{ $_->{mapping}{links} } == 1 } @{ $self->{syncs}{$name} };
	}
	return \@new;
}

sub side_names
{
	my ($sync, $which) = @_;

	return map { $_->{name} } @{ $sync->{mapping}{sides}[ $sync->{link} + $which ] };
}

sub array
{
	return 'ARRAY[' . join(', ', map { Schema::literal($_) } @_) . ']';
}

# The expand of all migrations whose time has come (m4 later), and what the model is to know of it.
sub expand
{
	my ($self, $server, $model, $random, $late) = @_;

	foreach my $name (grep { ($_ eq 'm4') == $late } sort keys %{ $self->{syncs} })
	{
		my $owner = $server->ask(q(SELECT relowner::regrole FROM pg_class WHERE oid = 'stress.items'::regclass));
		my $sql = $self->{as_owner} ? "SET ROLE $owner;\n" : '';
		my @syncs = @{ $self->{syncs}{$name} };
		my $columns = '';

		$self->{releases}->leave_out($name) if $self->{as_owner} && $owner =~ /^stress/ && !$self->{releases}{granted};
		# a number that nodes may work as is not begun again
		$self->{releases}->leave_out($name) if $self->{releases}->may_be_taken($self->{releases}->of($name));
		my $release = $self->{releases}->of($name);
		# what it is there for needs a release
		next if !@syncs && !$release;

		foreach my $sync (@syncs)
		{
			foreach my $column (@{ $sync->{mapping}{sides}[ $sync->{link} + 1 ] })
			{
				$column->{default} = ['none'];
				$column->{is_new} = 1;
				# its rule adds it
				next if $sync->{mapping}{derived};
				$column->{default} = $sync->{default} && !$late && !$sync->{link} && $column->{type} ne 'jsonb'
				  ? [ 'constant', $column->{value}->($random) ] : ['none'];
				$columns .= $self->add_column($name, $sync, $column);
			}
		}
		if ($self->{older_column} && $columns !~ /tandem/)
		{
			$model->tell_by_value(0);
			$server->ask("$sql$columns");
			$columns = '';
			$_->{stays} = 1 foreach grep { !$_->{mapping}{derived} } @syncs;
		}
		$server->ask("SET search_path = stress, public;\n${sql}BEGIN;\nSELECT tandem.create_migration('$name'" . ($release ? ", release => $release" : '') . ");\n$columns" . join('', $self->calls($name, $release, $model, @syncs))
			. $self->build_sql($name, @syncs) . "COMMIT;\n"
			. "SELECT tandem.configure('$name', 'tandem.batch_target', '5ms');\n"
			. "SELECT tandem.configure('$name', 'tandem.lock_retry_time', '5s');");
		$self->tell_model($model, $name, $_) foreach @syncs;
		$self->{releases}->opened($name);
		# nothing is to be filled
		$self->{releases}->set_proved(1, $name) if !@syncs;
		push @{ $self->{names} }, $name;
		$self->{open}{$name} = 1;
	}
	return;
}

sub add_column
{
	my ($self, $name, $sync, $column) = @_;

	# as SQL, and read twice: it is an expression
	my $default = $column->{default}[0] eq 'none' ? '' : ', default_value => ' . Schema::literal(Schema::literal($column->{default}[1]));

	return "SELECT tandem.add_column('$name', '$self->{schema}{name}', '$column->{name}', '$column->{type}'$default);\n" if $sync->{add} eq 'tandem';
	return "ALTER TABLE $self->{schema}{name} ADD COLUMN $column->{name} $column->{type}" . Schema::default_sql($column) . ";\n";
}

sub sync_sql
{
	my ($self, $name, $sync) = @_;
	my $link = $sync->{mapping}{links}[ $sync->{link} ];
	my $down = $link->{down} ? array(@{ $link->{down} }) : 'NULL';
	my $new = $sync->{mapping}{sides}[ $sync->{link} + 1 ][0];

	return "SELECT tandem.add_column('$name', '$self->{schema}{name}', '$new->{name}', '$new->{type}', up => " . Schema::literal($link->{up}[0])
	  . ($sync->{mapping}{quarantine} ? ", on_error => 'quarantine'" : '') . ");\n"
	  if $sync->{mapping}{derived};

	return "SELECT tandem.sync_columns('$name', '$self->{schema}{name}', " . array(side_names($sync, 0)) . ', '
	  . array(side_names($sync, 1)) . ', ' . array(@{ $link->{up} }) . ", $down, on_conflict => '$sync->{on_conflict}'"
	  . ($sync->{keep_old} ? ', keep_old => true' : '')
	  . ($sync->{mapping}{quarantine} ? ", on_error => 'quarantine'" : '') . ");\n";
}

# The calls of one migration: syncs and operations, each in their order.
sub calls
{
	my ($self, $name, $release, $model, @syncs) = @_;
	my $random = Random->new($self->{seed}, 'calls', $name);
	my @operations = $self->{operations}->calls($name, $release, $self->{schema}, $model, $self->{views}->has_both($release));
	my @calls = $self->{operations}->table_calls($name, $release, !$self->{as_owner});

	while (@syncs || @operations)
	{
		push @calls, @operations && (!@syncs || $random->chance(50)) ? shift @operations : $self->sync_sql($name, shift @syncs);
	}
	return @calls;
}

sub build_sql
{
	my ($self, $name, @syncs) = @_;
	my ($column) = @syncs ? side_names($syncs[0], 1) : ();
	my $sql = '';

	return '' if !@syncs;
	$sql .= $self->{schema}{constraints}->add_sql($name, $self->{schema}{name}, map { @{ $_->{mapping}{sides}[ $_->{link} + 1 ] } } @syncs);
	return $sql if $column eq 'shout';
	$sql .= "SELECT tandem.add_index('$name', 'CREATE INDEX ${name}_idx ON $self->{schema}{name} ($column)');\n" if $self->{index};
	$sql .= "SELECT tandem.add_constraint('$name', '$self->{schema}{name}', '${name}_check', 'CHECK (length($column\::text) < 99999)');\n"
	  if $self->{check};
	return $sql;
}

sub tell_model
{
	my ($self, $model, $name, $sync) = @_;
	my $mapping = $sync->{mapping};
	my @new = @{ $mapping->{sides}[ $sync->{link} + 1 ] };
	my @old = side_names($sync, 0);
	# both releases write what a derived column is made of
	my @stay = $mapping->{derived} ? @{ $mapping->{sides}[0] } : ();

	push @{ $mapping->{writable} }, \@new;
	push @{ $mapping->{told} }, { release => $self->{releases}->of($name), side => [ @stay, @new ] };
	$self->{schema}{columns}{ $_->{name} } = $_ foreach @new;
	$model->add_rule({
			migration => $name,
			release => $self->{releases}->of($name),
			old => $mapping->{derived} ? [] : \@old,
			sources => [ $mapping->{derived} ? @old : (), @{ $mapping->{sources} || [] } ],
			new => [ side_names($sync, 1) ],
			on_conflict => $sync->{on_conflict},
			keep_old => $sync->{keep_old},
			down_sources => $mapping->{down_sources},
			down_gives => $mapping->{links}[ $sync->{link} ]{down_gives} || \@old,
			repair => $mapping->{repair},
			up_of => $mapping->{links}[ $sync->{link} ]{up_of},
			down_of => $mapping->{links}[ $sync->{link} ]{down_of} },
		{ map { $_->{name} => $_ } @new });
	return;
}

# Columns that are gone after contract or abort: what came in a transaction before its sync stays.
sub ended_columns
{
	my ($self, $how, $name) = @_;
	my @gone;

	foreach my $sync (@{ $self->{syncs}{$name} || [] })
	{
		next if $how eq 'abort' && $sync->{stays};
		next if $how eq 'contract' && ($sync->{mapping}{derived} || $sync->{keep_old});
		push @gone, side_names($sync, $how eq 'abort' ? 1 : 0);
	}
	push @gone, $how eq 'contract' ? @{ ($self->{operations}->ended($name))[0] } : $self->{operations}->aborted($name);
	return @gone;
}

# Columns that contract has renamed: { old name => new one }.
sub renamed_columns
{
	my ($self, $how, $name) = @_;

	return $how eq 'contract' ? ($self->{operations}->ended($name))[1] : {};
}

1;
