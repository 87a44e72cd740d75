# Random transactions of an application, of each of its releases: what they are in SQL, for psql, and
# what they mean for the model.
#
# Each writer owns its keys, and leaves a marker in each transaction, so that what was committed is
# known exactly whatever killed it; of a statement that may be refused it notes that it was.  A session may
# declare a release, by the setting or by its search_path, and then mostly writes what that release knows; who writes
# through a view is of its release, if the session has not said another.
package Writers;

use strict;
use warnings;

use AtOnce;
use Model;
use Random;
use Schema;

# folder: for the files of scripts; version: major one of the server.
sub new
{
	my ($class, %parts) = @_;

	return bless { fresh => $parts{schema}{rows} + 1000, seq => 0, %parts }, $class;
}

# A script of so many transactions: { file, transactions => [ { seq, release, from, begin, to, steps } ],
# tries, user, options }; from, begin and to are lines of the file, tries those that may be refused.  ending: migrations end meanwhile,
# and markers tell how many have.
sub script
{
	my ($self, $random, $count, $ending) = @_;
	my $session = Releases::draw_session($random);
	my $file = sprintf '%s/writer%d-%d.sql', $self->{folder}, $self->{number}, $self->{seq};
	my @transactions;

	$self->{random} = $random;
	$self->{aside} = Random->new($random->{state}, 'aside');
	$self->{operated} = Random->new($random->{state}, 'operated');
	$self->{tries} = {};
	$self->{setting} = $session->{setting};
	$self->{path} = $session->{path};
	$self->{ending} = $ending;
	$self->{sql} = <<"SQL";
\\set VERBOSITY verbose
SET TimeZone = 'UTC';
$session->{sql}
SQL
	foreach (1 .. $count)
	{
		push @transactions, $self->transaction;
	}
	open my $handle, '>', $file or die "$file: $!";
	print $handle $self->{sql};
	close $handle;
	return { file => $file, transactions => \@transactions, tries => $self->{tries}, user => $session->{user}, options => $session->{options} };
}

sub say
{
	my ($self, $sql) = @_;

	$self->{sql} .= "$sql\n";
	return;
}

sub transaction
{
	my ($self) = @_;
	my $random = $self->{random};
	my $seq = ++$self->{seq};

	$self->{steps} = [];
	my $from = $self->line;
	$self->settle_session;
	$self->choose_table;
	my $saved = $random->chance(12) ? $self->read_row : undef;
	my $begin = $self->line;
	# an old snapshot does not show which migrations have ended
	$self->say('BEGIN' . ($random->chance(10) && !$self->{ending} ? ' ISOLATION LEVEL REPEATABLE READ;' : ';'));
	$self->say("\\if :ERROR\n\\else");
	$self->save_row($saved) if $saved;
	foreach (1 .. $random->between(1, 4))
	{
		$random->chance(15) ? $self->savepoint : $self->statement;
	}
	$self->take_back if $self->{aside}->chance(8);
	AtOnce::run($self);
	$self->say(sprintf 'SELECT pg_sleep(0.%03d);', $random->below(40)) if $random->chance(20);
	$self->say("INSERT INTO stress.marker VALUES ($self->{number}, $seq, " . ($self->{ending} ? 'stress.ended());' : '0);'));
	$self->finish($seq);
	$self->say('\endif');
	return { seq => $seq, release => $self->declared, from => $from, begin => $begin, to => $self->line - 1, steps => $self->{steps} };
}

# The release that the session has declared: the fence asks it.
sub declared
{
	my ($self) = @_;

	return $self->{setting} || $self->{path};
}

# The table, or a view of it: that of the release, if it has declared one, but for a few that mix them up.  Sets the
# release that what is written there is of.
sub choose_table
{
	my ($self) = @_;
	my @views = $self->{views}->releases;
	my $declared = $self->declared;

	@views = grep { $_ == $declared } @views if $declared && !$self->{random}->chance(10);
	$self->{table} = $self->{schema}{name};
	$self->{release} = $declared;
	delete $self->{shown};
	return if !@views || !$self->{random}->chance(40);
	$self->on_view($self->{random}->pick(@views));
	return;
}

sub on_view
{
	my ($self, $view) = @_;

	$self->{table} = "release_$view.items";
	$self->{shown} = $self->{views}{shown}{$view};
	$self->{release} = $self->{setting} || $view;
	return;
}

# On the table itself, where views cannot do it.
sub on_table
{
	my ($self) = @_;

	$self->{table} = $self->{schema}{name};
	$self->{release} = $self->declared;
	delete $self->{shown};
	return;
}

# The line of the file that comes next.
sub line
{
	my ($self) = @_;

	return 1 + ($self->{sql} =~ tr/\n//);
}

# A pooler gives the session to another release, or gives its locks back.
sub settle_session
{
	my ($self) = @_;
	my $random = $self->{random};

	if ($random->chance(6))
	{
		$self->{setting} = $random->pick(0, Releases::FIRST .. Releases::LAST);
		$self->say("SET tandem.release = $self->{setting};");
	}
	$self->say('SELECT pg_advisory_unlock_all();') if $random->chance(6);
	return;
}

sub finish
{
	my ($self, $seq) = @_;
	my $random = $self->{random};
	my $gid = "'stress_$self->{number}_$seq'";
	my $kind = $random->below(100);

	if ($kind < 12)
	{
		$self->say("PREPARE TRANSACTION $gid;");
		$self->say(sprintf 'SELECT pg_sleep(0.%03d);', $random->below(100));
		$self->say(($random->chance(70) ? 'COMMIT' : 'ROLLBACK') . " PREPARED $gid;");
	}
	else
	{
		$self->say($kind < 20 ? 'ROLLBACK;' : 'COMMIT;');
	}
	return;
}

sub savepoint
{
	my ($self) = @_;
	my @before = @{ $self->{steps} };
	my $kept = $self->{random}->chance(50);
	# after an error no ROLLBACK may find the savepoint of another
	my $name = $self->savepoint_name;

	$self->say("SAVEPOINT $name;");
	$self->statement foreach 1 .. $self->{random}->between(1, 2);
	$self->say($kept ? "RELEASE $name;" : "ROLLBACK TO $name;");
	$self->{steps} = \@before if !$kept;
	return;
}

sub savepoint_name
{
	my ($self) = @_;

	return 's' . $self->{savepoints}++;
}

# What must have been done when the transaction was committed; done($model) is false where it cannot have been.
sub step
{
	my ($self, $what, $done) = @_;

	push @{ $self->{steps} }, { what => $what, done => $done, release => $self->{release} };
	return;
}

# A statement that may be refused; refused($model, $sqlstate) is false where it cannot have been.
sub try
{
	my ($self, $sql, $done, $refused) = @_;
	my $number = @{ $self->{steps} };

	my $name = $self->savepoint_name;

	$self->say("SAVEPOINT $name;");
	# psql may tell any line of the statement
	$self->{tries}{ $self->line + $_ } = 1 foreach 0 .. ($sql =~ tr/\n//);
	$self->say(<<"SQL");
$sql
\\if :ERROR
ROLLBACK TO $name;
INSERT INTO stress.failed VALUES ($self->{number}, $self->{seq}, $number, :'LAST_ERROR_SQLSTATE');
\\endif
RELEASE $name;
SQL
	push @{ $self->{steps} }, { what => $sql, done => $done, refused => $refused, release => $self->{release} };
	return;
}

sub statement
{
	my ($self) = @_;
	my $random = $self->{random};
	my @kinds = (('update') x 8, ('insert') x 3, ('insert_all') x 2, 'copy', 'delete', ('both') x 2);

	push @kinds, ('upsert') x 3 if $self->{schema}{kind} ne 'by_part';
	push @kinds, ('merge') x 2;
	my $kind = $random->pick(@kinds);
	$self->{count}{$kind}++;
	$self->$kind;
	return;
}

# Keys of this writer: of rows that may be there, and of one that was never.
sub old_id
{
	my ($self) = @_;

	return $self->{number} * Schema::KEYS + $self->{random}->below(int($self->{schema}{rows} * 1.05));
}

sub fresh_id
{
	my ($self) = @_;

	return $self->{number} * Schema::KEYS + $self->{fresh}++;
}

# Columns that a statement of one release gives: of some mappings the side that this release knows.
sub columns
{
	my ($self, $all_of_side) = @_;
	my $random = $self->{random};
	my @columns;

	foreach my $mapping ($random->some(@{ $self->{schema}{mappings} }))
	{
		my @side = @{ $self->side($mapping) };
		next if $self->{shown} && grep { !$self->{shown}{ $_->{name} } } @side;
		push @columns, $all_of_side ? @side : $random->some(@side);
	}
	return @columns;
}

# Whether a declared release writes of a mapping only its own side: what has no way back, and a chain that a migration
# without release has a part in, the design does not tell.
sub only_own
{
	my ($mapping) = @_;

	return grep { !$_->{release} } @{ $mapping->{told} }[ 1 .. $#{ $mapping->{told} } ] if @{ $mapping->{links} } > 1;
	return !$mapping->{derived} && !$mapping->{links}[0]{down};
}

# The side of a mapping that a session writes: of a declared release mostly its own, even where that is gone.
sub side
{
	my ($self, $mapping) = @_;
	my $random = $self->{random};
	my $only_own = only_own($mapping);

	if ($self->{release} && ($only_own || $random->chance(80)))
	{
		# of a chain what a migration without release leaves to all
		my ($first, $next) = @{ $mapping->{told} };
		return $first->{side} if $next && $only_own && @{ $mapping->{links} } > 1 && !$next->{release} && $mapping->{writable}[0] == $first->{side} && $random->chance(30);
		my ($own) = grep { $_->{release} <= $self->{release} } reverse @{ $mapping->{told} };
		return $own->{side};
	}
	return $random->pick(@{ $mapping->{writable} });
}

# Columns that no sync has to do with, which are renamed or dropped.
sub operated_columns
{
	my ($self, $percent) = @_;
	my $random = $self->{operated};

	return grep { $random->chance($percent) } $self->{schema}{operations}->of_writer($random, $self->{release}, $self->{shown}, $percent == 100);
}

# The name of a column in the table or view at hand.
sub name_here
{
	my ($self, $name) = @_;

	return $self->{shown} && $self->{shown}{$name} || $name;
}

# What may be given to such a column in a new row.
sub operated_value
{
	my ($self, $column) = @_;
	my $random = $self->{operated};

	return $random->chance(8) ? Model::DEFAULT : $random->chance(8) ? undef : $column->{value}->($random);
}

sub value
{
	my ($self, $column) = @_;

	return $self->{random}->chance(8) ? undef : $column->{value}->($self->{random});
}

# SET of an UPDATE: its SQL, what it sets for the model, and the columns that it computes from themselves.
sub assignments
{
	my ($self) = @_;
	my $random = $self->{random};
	my (%set, @sql, %computes);

	foreach my $column ($self->columns)
	{
		my $name = $column->{name};
		my $kind = $random->below(100);
		if ($kind < 15)
		{
			# a whole row is saved, and this column was not changed
			$set{$name} = sub { $_[0]{$name} };
			push @sql, "$name = $name";
		}
		elsif ($kind < 40 && $column->{is_number})
		{
			my $add = $random->between(-9, 9);
			$set{$name} = sub { defined $_[0]{$name} ? $_[0]{$name} + $add : undef };
			$computes{$name} = 1 if $column->{is_new};
			push @sql, "$name = $name + $add";
		}
		else
		{
			$set{$name} = $self->value($column);
			push @sql, "$name = " . Schema::literal($set{$name});
		}
	}
	# a view may show none of the columns drawn
	if ($random->chance(30) || !@sql)
	{
		$set{filler} = 'g' x $random->between(0, 900);
		push @sql, "filler = '$set{filler}'";
	}
	if ($random->chance(20))
	{
		$set{part} = $random->below(4);
		push @sql, "part = $set{part}";
	}
	$self->operated_assignments(\@sql, \%set);
	return (join(', ', @sql), \%set, \%computes);
}

sub operated_assignments
{
	my ($self, $sql, $set) = @_;
	my $random = $self->{operated};

	foreach my $column ($self->operated_columns(25))
	{
		my $name = $column->{name};
		my $here = $self->name_here($name);
		my $kind = $random->below(100);
		if ($kind < 15)
		{
			$set->{$name} = sub { $_[0]{ $_[1] } };
			push @$sql, "$here = $here";
		}
		elsif ($kind < 40 && $column->{is_number})
		{
			my $add = $random->between(-9, 9);
			$set->{$name} = sub { defined $_[0]{ $_[1] } ? $_[0]{ $_[1] } + $add : undef };
			push @$sql, "$here = $here + $add";
		}
		else
		{
			$set->{$name} = $random->chance(8) ? undef : $column->{value}->($random);
			push @$sql, "$here = " . Schema::literal($set->{$name});
		}
	}
	return;
}

# A new row: values by column, some of them the keyword DEFAULT.
sub new_row
{
	my ($self) = @_;
	my %row = map { $_->{name} => $self->{random}->chance(6) ? Model::DEFAULT : $self->value($_) } $self->columns(1);

	foreach my $derived (grep { $_->{derived} } @{ $self->{schema}{mappings} })
	{
		# whether a mere NULL for a derived column beats what it is made of, the design does not tell
		my $new = $derived->{sides}[1][0];
		next if !exists $row{ $new->{name} };
		$row{ $new->{name} } = $new->{value}->($self->{random});
		delete $row{ $new->{name} } if $self->{random}->chance(30);
	}
	$row{filler} = 'h' x $self->{random}->between(0, 300) if $self->{random}->chance(50);
	$row{part} = $self->{random}->below(4) if $self->{random}->chance(50) || !%row;
	$row{ $_->{name} } = $self->operated_value($_) foreach $self->operated_columns(40);
	return \%row;
}

sub row_sql
{
	my ($self, $id, $row) = @_;
	my @names = sort keys %$row;

	return (join(', ', 'id', map { $self->name_here($_) } @names), join(', ', $id, map { literal($row->{$_}) } @names));
}

sub literal
{
	my ($value) = @_;

	return Model::is_keyword($value) ? 'DEFAULT' : Schema::literal($value);
}

sub update
{
	my ($self) = @_;
	my ($sql, $set, $computes) = $self->assignments;
	my @ids = map { $self->old_id } 1 .. (%$computes ? 1 : $self->{random}->pick(1, 1, 1, 3, 10));
	my $where = @ids == 1 ? "id = $ids[0]" : 'id IN (' . join(', ', @ids) . ')';
	my %seen;

	@ids = grep { !$seen{$_}++ } @ids;
	$sql = "UPDATE $self->{table} SET $sql WHERE $where;";
	# of a row that was never filled it is refused
	if (%$computes)
	{
		$self->try($sql, sub { !$_[0]{rows}{ $ids[0] } || $_[0]->update($ids[0], $set, $computes) },
			sub { $_[0]{rows}{ $ids[0] } && $_[0]->refuse_update($ids[0], $set, $computes, $_[1]) });
		return;
	}
	$self->say($sql);
	$self->step($sql, sub {
		my ($model) = @_;
		return !grep { $model->{rows}{$_} && !$model->update($_, $set) } @ids;
	});
	return;
}

# A new side gets a value, and the next statement takes it back: whatever was noted of the row, the NULL is the writer's.
sub take_back
{
	my ($self) = @_;
	my $aside = $self->{aside};
	my ($mapping) = grep { $_->{quarantine} } @{ $self->{schema}{mappings} } or return;
	my $side = $mapping->{sides}[1];
	my $id = $self->{number} * Schema::KEYS + $aside->below($self->{schema}{rows});

	return if !grep { $_ == $side } @{ $mapping->{writable} };
	return if $self->{shown} && grep { !$self->{shown}{ $_->{name} } } @$side;
	return if $self->{release} && only_own($mapping);
	foreach my $column (@$side)
	{
		foreach my $value ($column->{value}->($aside), undef)
		{
			my $sql = "UPDATE $self->{table} SET $column->{name} = @{[ Schema::literal($value) ]} WHERE id = $id;";

			$self->say($sql);
			$self->step($sql, sub { !$_[0]{rows}{$id} || $_[0]->update($id, { $column->{name} => $value }) });
		}
	}
	$self->{count}{take_back}++;
	return;
}

# Columns that whoever saves whole rows knows: of the table all, of a view those that it shows.  Of a declared release
# those are left out that are two releases away, and of what has no way back all but its own.
sub whole_row
{
	my ($self) = @_;
	my @columns;

	foreach my $mapping (@{ $self->{schema}{mappings} })
	{
		my @sides = $self->{release} && only_own($mapping) ? $self->side($mapping) : @{ $mapping->{writable} };
		push @columns, map { $_->{name} } grep { !$self->{shown} || $self->{shown}{ $_->{name} } } map { @$_ } @sides;
	}
	return ('filler', @columns, map { $_->{name} } $self->operated_columns(100));
}

# Reads a row as an application does, outside of the transaction that saves it: the fill may come in between.
sub read_row
{
	my ($self) = @_;
	my %saved = (id => $self->old_id);

	# a view that is not plain shows what is not in the table yet
	$self->on_table;
	$saved{names} = [ $self->whole_row ];
	my $list = join ', ', map { "coalesce(max(quote_nullable($_)), 'NULL') AS saved_$_" } @{ $saved{names} };
	$self->say("SELECT $list FROM $self->{table} WHERE id = $saved{id} \\gset");
	# nothing is saved that was not read
	$self->say("\\if :ERROR\n\\q\n\\endif");
	$self->say(sprintf 'SELECT pg_sleep(0.%03d);', $self->{random}->below(150)) if $self->{random}->chance(70);
	return \%saved;
}

sub save_row
{
	my ($self, $saved) = @_;
	my $id = $saved->{id};
	my %set;

	# mostly one column was changed, which may be one that no rule knows
	foreach my $column ($self->{random}->chance(50) ? $self->columns : ())
	{
		$set{ $column->{name} } = $self->value($column) if grep { $_ eq $column->{name} } @{ $saved->{names} };
	}
	foreach my $column ($self->operated_columns(15))
	{
		$set{ $column->{name} } = $column->{value}->($self->{operated}) if grep { $_ eq $column->{name} } @{ $saved->{names} };
	}
	$set{filler} = 's' x $self->{random}->between(0, 300);
	my $sql = "UPDATE $self->{table} SET "
	  . join(', ', map { "$_ = " . (exists $set{$_} ? Schema::literal($set{$_}) : ":saved_$_") } @{ $saved->{names} }) . " WHERE id = $id;";
	$self->try($sql, sub { !$_[0]{rows}{$id} || $_[0]->save($id, $saved->{names}, \%set) },
		sub { $_[0]{rows}{$id} && $_[0]->save($id, $saved->{names}, \%set, $_[1]) });
	return;
}

sub insert
{
	my ($self) = @_;
	my ($id, $row) = ($self->fresh_id, $self->new_row);
	my ($names, $values) = $self->row_sql($id, $row);
	my $sql = "INSERT INTO $self->{table} ($names) VALUES ($values);";

	$self->say($sql);
	$self->step($sql, sub { $_[0]->insert($id, $row) });
	return;
}

# COPY is of the table.
sub copy
{
	my ($self) = @_;
	$self->on_table;
	my $first = $self->new_row;
	my @names = sort keys %$first;
	my $file = "$self->{folder}/copy$self->{number}-" . $self->fresh_id;
	my %rows;

	open my $handle, '>', $file or die "$file: $!";
	foreach (1 .. $self->{random}->between(1, 5))
	{
		my $id = $self->fresh_id;
		my %row = map { $_ => exists $self->{schema}{columns}{$_}{value} ? $self->copied_value($self->{schema}{columns}{$_}) : $first->{$_} } @names;
		print $handle join("\t", $id, map { $row{$_} // '\N' } @names), "\n";
		$rows{$id} = \%row;
	}
	close $handle;
	$self->say("\\copy $self->{schema}{name} (" . join(', ', 'id', @names) . ") FROM '$file'");
	$self->step("COPY of @{[ sort keys %rows ]}", sub {
		my ($model) = @_;
		return !grep { !$model->insert($_, $rows{$_}, 1) } sort keys %rows;
	});
	return;
}

# A new column is given: whether the server finds what COPY names, the design does not tell.
sub copied_value
{
	my ($self, $column) = @_;
	local $self->{random} = $self->{operated} if $column->{is_operated};
	my $value = $self->value($column);
	my ($kind, $default) = @{ $column->{default} };

	while (($column->{is_new} || $column->{is_operated}) && (!defined $value || $kind ne 'none' && $value eq $default))
	{
		$value = $column->{value}->($self->{random});
	}
	return $value;
}

# As a mapper does that names all columns: values for those of one release, and for the others NULL or DEFAULT.
sub insert_all
{
	my ($self) = @_;
	my $random = $self->{random};
	my $id = $self->fresh_id;
	my %row;

	foreach my $mapping (grep { !$_->{derived} } @{ $self->{schema}{mappings} })
	{
		my $given = $self->side($mapping);
		# what becomes of a chain with values at both ends is left open, and a NULL beside a computed default is one
		my @others = $self->{release} && only_own($mapping) ? () : @{ $mapping->{writable} };
		next if $self->{shown} && grep { !$self->{shown}{ $_->{name} } } @$given;
		foreach my $column (map { @$_ } grep { $_ != $given } @others)
		{
			my $is_value = $column->{default}[0] eq 'computed' && @{ $mapping->{links} } > 1;
			$row{ $column->{name} } = $is_value || $random->chance(50) ? Model::DEFAULT : $column->{default}[0] eq 'constant' ? $column->{default}[1] : undef
			  if !$self->{shown} || $self->{shown}{ $column->{name} };
		}
		$row{ $_->{name} } = $self->value($_) foreach @$given;
	}
	$row{filler} = 'k' if !%row;
	$row{ $_->{name} } = $self->operated_value($_) foreach $self->operated_columns(90);
	my ($names, $values) = $self->row_sql($id, \%row);
	# a NULL where another default is computed is a value
	$self->try("INSERT INTO $self->{table} ($names) VALUES ($values);",
		sub { $_[0]->insert($id, \%row) },
		sub { !$_[0]->copy->insert($id, \%row) });
	return;
}

sub delete
{
	my ($self) = @_;
	my $id = $self->old_id;
	my $sql = "DELETE FROM $self->{table} WHERE id = $id;";

	$self->say($sql);
	$self->step($sql, sub { delete $_[0]{rows}{$id}; return 1; });
	return;
}

sub upsert
{
	my ($self) = @_;
	my ($id, $row) = ($self->old_id, $self->new_row);
	my ($names, $values) = $self->row_sql($id, $row);
	my $action = join ', ', map { "$_ = EXCLUDED.$_" } map { $self->name_here($_) } sort keys %$row;
	my $sql = "INSERT INTO $self->{table} ($names) VALUES ($values) ON CONFLICT (id) DO UPDATE SET $action;";

	$self->say($sql);
	$self->step($sql, sub {
		my ($model) = @_;
		my $states = $model->{rows}{$id};

		return 0 if !$model->insert($id, $row);
		return 1 if !$states;
		# EXCLUDED is the row as its triggers left it
		my $excluded = $model->{rows}{$id}[0]{v};
		$model->{rows}{$id} = $states;
		return $model->update($id, { map { $_ => $excluded->{ $model->current($_) } } keys %$row });
	});
	return;
}

sub merge
{
	my ($self) = @_;
	$self->on_table;
	my ($id, $row) = ($self->old_id, $self->new_row);
	my ($names, $values) = $self->row_sql($id, $row);
	my ($set_sql, $set, $computes) = $self->assignments;
	my $deletes = $self->{random}->chance(15);
	my $action = $deletes ? 'DELETE' : "UPDATE SET $set_sql";
	my $sql = <<"SQL";
MERGE INTO $self->{table} t USING (VALUES ($id)) AS s (key) ON t.id = s.key
	WHEN MATCHED THEN $action WHEN NOT MATCHED THEN INSERT ($names) VALUES ($values);
SQL

	$self->try($sql, sub {
		my ($model) = @_;

		return $model->insert($id, $row) if !$model->{rows}{$id};
		return $model->update($id, $set, $computes) if !$deletes;
		delete $model->{rows}{$id};
		return 1;
	}, sub { $_[0]{rows}{$id} && !$deletes && $_[0]->refuse_update($id, $set, $computes, $_[1]) });
	return;
}

# Both sides at once, in agreement or not.
sub both
{
	my ($self) = @_;
	my $random = $self->{random};
	$self->on_table;
	my ($mapping) = grep {
		@{ $_->{writable} } == 2 && $_->{writable}[0] == $_->{sides}[0] && !$_->{derived} && (!$self->{release} || $_->{links}[0]{down})
	} $random->shuffled(@{ $self->{schema}{mappings} });
	my $id = $self->old_id;

	return $self->update if !$mapping;
	my @old = @{ $mapping->{sides}[0] };
	my @new = @{ $mapping->{sides}[1] };
	my @values = map { $self->value($_) } @old;
	my %row;
	@row{ map { $_->{name} } @old } = @values;
	my @up = eval { $mapping->{links}[0]{up_of}->(@values, map { 0 } @{ $mapping->{sources} || [] }) };
	@row{ map { $_->{name} } @new } = @up && $random->chance(50) ? @up : map { $self->value($_) } @new;
	if ($random->chance(30))
	{
		$id = $self->fresh_id;
		my ($names, $list) = $self->row_sql($id, \%row);
		$self->try("INSERT INTO $self->{schema}{name} ($names) VALUES ($list);",
			sub { $_[0]->insert($id, \%row) },
			sub { !$_[0]->copy->insert($id, \%row) });
		return;
	}
	my $set = join ', ', map { "$_ = " . Schema::literal($row{$_}) } sort keys %row;
	$self->try("UPDATE $self->{schema}{name} SET $set WHERE id = $id;",
		sub { !$_[0]{rows}{$id} || $_[0]->update($id, \%row) },
		sub { $_[0]{rows}{$id} && $_[0]->refuse_update($id, \%row, {}, $_[1]) });
	return;
}

# A transaction in a partition that was made meanwhile: its SQL, and its steps for the model.  It inserts
# rows, or changes some that may be there: other columns alone, or values of one side, many of them NULL.
sub in_partition
{
	my ($self, $random, $partition) = @_;
	my $seq = ++$self->{seq};
	my $count = $self->{rows_in}{$partition} // 0;
	my @sql;

	$self->{random} = $random;
	$self->{operated} = Random->new($random->{state}, 'operated');
	$self->{release} = 0;
	$self->{steps} = [];
	$self->{table} = $self->{schema}{name};
	if ($count == 0 || $count < 900 && $random->chance(40))
	{
		my ($id, $row) = (Schema::new_partition_key($partition) + $count, $self->new_row);

		$row->{$_} = undef foreach grep { $self->{schema}{columns}{$_}{value} && !$self->{schema}{columns}{$_}{is_operated} && $random->chance(40) } sort keys %$row;
		$row->{part} = Schema::new_partition_part($partition);
		my ($names, $values) = $self->row_sql($id, $row);
		push @sql, "INSERT INTO $self->{table} ($names) VALUES ($values);";
		$self->step($sql[-1], sub { $_[0]->insert($id, $row) });
		$self->{rows_in}{$partition} = $count + 1;
	}
	else
	{
		my $id = Schema::new_partition_key($partition) + $random->below($count);
		my %set = (filler => 'i' x $random->between(0, 300));

		%set = map { $_->{name} => $random->chance(50) ? undef : $self->value($_) } $self->columns if $random->chance(50);
		$set{filler} = 'j' if !%set;
		push @sql, "UPDATE $self->{table} SET " . join(', ', map { "$_ = " . Schema::literal($set{$_}) } sort keys %set) . " WHERE id = $id;";
		$self->step($sql[-1], sub { !$_[0]{rows}{$id} || $_[0]->update($id, \%set) });
	}
	push @sql, "INSERT INTO stress.marker VALUES ($self->{number}, $seq, 0);";
	return { seq => $seq, release => 0, steps => $self->{steps}, sql => join(' ', 'BEGIN;', @sql, 'COMMIT;') };
}

# Applies a committed transaction to a model; failed: { step => sqlstate }, looked: { step => values }.  Returns what cannot have been.
sub apply
{
	my ($transaction, $model, $failed, $looked) = @_;
	my @steps = @{ $transaction->{steps} };
	my @impossible;

	foreach my $i (0 .. $#steps)
	{
		my $state = $failed->{$i};
		local $model->{release} = $steps[$i]{release};
		# refused for another reason than its values: nothing was done
		next if defined $state && $state !~ /^(27000|55T02)$/;
		# the fence has the same word for it
		next if defined $state && $state eq '55T02' && $transaction->{release};
		if ($steps[$i]{looked})
		{
			push @impossible, "seen as '" . ($looked->{$i} // '') . "': $steps[$i]{what}" if !$steps[$i]{looked}->($model, $looked->{$i});
			next;
		}
		my $ok = defined $state ? $steps[$i]{refused}->($model, $state) : $steps[$i]{done}->($model);
		push @impossible, (defined $state ? "refused by $state: " : 'done: ') . $steps[$i]{what} if !$ok;
	}
	return @impossible;
}

1;
