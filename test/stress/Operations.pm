# What a seed renames, changes and drops, beside its syncs: rename_column, change_column and drop_column of columns that
# are there for these alone, and tables of their own that are added, renamed and dropped, in migrations that have a
# release.  All is drawn from streams of its own, so that the same seed has the same tables, migrations and statements
# as without.
#
# Of a column that changes the new one, its twin, is a column of its own: changed, the column that it was made of.
# A column is known by the name that it has in the table; each release may see it under another one, or not at all.
package Operations;

use strict;
use warnings;

use Random;

# As in Mapping, with the mark that no sync has to do with it.
sub column
{
	my ($name, $type, $value) = @_;

	return { name => $name, first_name => $name, type => $type, value => $value, is_number => $type eq 'int', is_operated => 1 };
}

sub word
{
	my ($random) = @_;

	return $random->pick(qw(kim lea mo ned ola pam quin rob sue tim)) . $random->below(50);
}

# What down of a dropped column may be: in SQL, given the name of the column that it reads, and for the model.
my %DOWNS = (
	int => [ sub { "$_[0] * 10" }, sub { defined $_[0] ? $_[0] * 10 : undef } ],
	text => [ sub { "'r' || coalesce($_[0]::text, '?')" }, sub { 'r' . ($_[0] // '?') } ]);
# It raises where that is 0.
my $QUOTIENT = [ sub { "100 / $_[0]" }, sub { defined $_[0] ? $_[0] == 0 ? die "raises\n" : int(100 / $_[0]) : undef } ];

# Changes: what a column was and becomes, its up and down in SQL (none: a cast) and for the model; alike: the table itself
# shows the same before contract and after it; else both releases need views.
my $NUMBER = sub { $_[0]->between(-99, 99) };
my %CHANGES = (
	size => { type => 'int', to => 'bigint', value => $NUMBER, alike => 1, later => [ 'numeric(20)', 0 ] },
	brand => { type => 'varchar(20)', to => 'text', value => \&word, alike => 1, later => [ 'varchar(40)', 0 ] },
	rank => { type => 'int', to => 'text', value => $NUMBER, new_value => sub { 'n' . $NUMBER->(@_) }, carry => 1,
		up => q('n' || rank::text), down => 'substr(rank, 2)::int',
		up_of => sub { defined $_[0] ? "n$_[0]" : undef }, down_of => sub { defined $_[0] ? substr $_[0], 1 : undef } },
	rate => { type => 'int', to => 'bigint', value => $NUMBER, new_value => sub { $_[0]->between(-9999, 9999) }, carry => 1,
		up => 'rate * 100::bigint', down => '(rate / 100)::int',
		up_of => sub { defined $_[0] ? $_[0] * 100 : undef }, down_of => sub { defined $_[0] ? int($_[0] / 100) + 0 : undef } });
my $SAME = sub { $_[0] };

# new columns that it may read, too: their text is the same in every session
my $PLAIN = qr/^(int|bigint|text|varchar.*)$/;

# Draws them for migrations (names, in their order) of a schema, whose table gets the columns.  only: a migration
# that is there for them alone, if any.  Each is of a column by its first name.  new: columns that migrations add, each
# with its migration; views: whether both releases of a migration have views, by name.
sub new
{
	my ($class, $seed, $schema, $new, $views, @migrations) = @_;
	my $random = Random->new($seed, 'operations');
	my $self = bless { seed => $seed, tables => {}, columns => {}, operations => [], called => [], renamed => [], dropped => {} }, $class;

	return $self if $random->chance(15);
	if (!grep { $_ eq 'm2' } @migrations and $random->chance(30))
	{
		$self->{only} = 'm2';
		@migrations = sort @migrations, 'm2';
	}
	my $number = sub { $_[0]->between(-99, 99) };
	$self->{columns}{ $_->{name} } = $_ foreach column('basis', 'int', $number), column('nick', 'text', \&word),
	  column('legacy', 'int', $number), column('remark', 'text', \&word);
	foreach my $column (map { $self->{columns}{$_} } sort keys %{ $self->{columns} })
	{
		my $kind = $random->pick('none', 'none', 'constant', 'computed');
		$column->{default} = $kind eq 'none' ? [$kind] : [ $kind, $column->{value}->($random) ];
		$schema->{columns}{ $column->{name} } = $column;
		splice @{ $schema->{$_} }, $random->below(1 + @{ $schema->{$_} }), 0, $column->{name} foreach 'order', 'leaf_order';
	}
	$self->draw($random, $new, @migrations);
	$self->draw_changes($schema, $views, grep { $_ ne ($self->{only} // '') } @migrations);
	# a row that is repaired is filled, which a UNIQUE may refuse
	my $unique = grep { $_->{unique} } values %{ $schema->{constraints}{wanted} };
	$self->draw_quarantine($schema, @migrations) if !$schema->{undoes} && !$schema->{constraints}{keyless} && !$unique;
	return $self;
}

# A column that goes, whose down fails for some rows.
sub draw_quarantine
{
	my ($self, $schema, @migrations) = @_;
	my $random = Random->new($self->{seed}, 'quarantine');
	my $divisor = sub { !$self->{repaired} && $_[0]->chance(15) ? 0 : $_[0]->between(1, 9) };

	return if !$random->chance(60);
	# what is inserted of itself never raises
	local $self->{repaired} = 1;
	foreach my $column (column('divisor', 'int', $divisor), column('ratio', 'int', $NUMBER))
	{
		my $kind = $random->pick('none', 'none', 'constant', 'computed');

		$column->{default} = $kind eq 'none' ? [$kind] : [ $kind, $column->{value}->($random) ];
		$column->{is_number} = 0;
		$schema->{columns}{ $column->{name} } = $self->{columns}{ $column->{name} } = $column;
		splice @{ $schema->{$_} }, $random->below(1 + @{ $schema->{$_} }), 0, $column->{name} foreach 'order', 'leaf_order';
	}
	push @{ $self->{operations} }, { kind => 'drop', migration => $random->pick(@migrations), column => 'ratio', reads => 'divisor', waits => 1 };
	return;
}

# Columns that change, in migrations that fill something, and again or with another name in a later one.
sub draw_changes
{
	my ($self, $schema, $views, @migrations) = @_;
	my $random = Random->new($self->{seed}, 'changes');
	my @served = grep { $views->{$_} } @migrations;
	my @names = grep { $random->chance(50) } sort keys %CHANGES;

	return if !@migrations;
	foreach my $name (@names)
	{
		my $change = $CHANGES{$name};
		my $column = $self->{columns}{$name} = column($name, $change->{type}, $change->{value});
		my $kind = $random->pick('none', 'none', 'constant', 'computed');
		my $migration = $random->pick(!$change->{alike} && @served ? @served : @migrations);
		my @later = grep { $_ gt $migration } @migrations;
		my $again = @later ? $random->pick('', 'rename', 'change') : '';

		$column->{default} = $kind eq 'none' ? [$kind] : [ $kind, $column->{value}->($random) ];
		$column->{is_number} = 0 if $name eq 'rank';
		$schema->{columns}{$name} = $column;
		splice @{ $schema->{$_} }, $random->below(1 + @{ $schema->{$_} }), 0, $name foreach 'order', 'leaf_order';
		push @{ $self->{operations} }, { kind => 'change', migration => $migration, column => $name, to => $change->{to} };
		push @{ $self->{operations} }, { kind => 'rename', migration => $random->pick(@later), column => $name, to => "${name}_now" } if $again eq 'rename';
		push @{ $self->{operations} }, { kind => 'change', migration => $random->pick(@later), column => $name, to => $change->{later}[0], is_later => 1 }
		  if $again eq 'change' && $change->{later};
	}
	return;
}

# What stands on these columns, and must stay.
sub objects_sql
{
	my ($self, $table) = @_;

	return join '', map {
		"CREATE INDEX items_${_}_idx ON $table ($_);\nALTER TABLE $table ADD CONSTRAINT items_${_}_check CHECK (length($_\::text) < 9999);\n"
	} grep { $self->{columns}{$_} } sort keys %CHANGES;
}

# SQL that tells what is not there of that.
sub wrong_objects
{
	my ($self) = @_;
	my $values = join ', ', '(NULL::text)', map { "('$_')" } grep { $self->{columns}{$_} } sort keys %CHANGES;

	return <<"SQL";
SELECT coalesce(string_agg(name, ' '), '') FROM (VALUES $values) v (name) WHERE name IS NOT NULL AND (
	NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'stress.items'::regclass AND conname = 'items_' || name || '_check' AND convalidated)
	OR NOT EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
		WHERE i.indrelid = 'stress.items'::regclass AND c.relname = 'items_' || name || '_idx' AND indisvalid AND a.attname ~ ('^' || name)))
SQL
}

sub draw
{
	my ($self, $random, $new, @migrations) = @_;
	my @new = grep { $_->{type} =~ $PLAIN } @$new;
	my ($of_legacy, $of_nick, $of_remark) = map { $random->pick($self->{only} // (), @migrations) } 1 .. 3;
	my @later = grep { $_ gt $of_nick } @migrations;
	my $later = @later && $random->chance(60) ? $random->pick(@later) : '';
	my $drops_nick = $later && $random->chance(50);
	# a name that becomes free
	my $takes = $of_legacy eq $of_nick && $random->chance(50);

	my $rename = { kind => 'rename', migration => $of_nick, column => 'nick', to => $takes ? 'legacy' : 'alias' };
	# it reads what is renamed, by the name of its own release, unless that release has lost it
	my ($read) = $random->shuffled(grep { $_->{migration} eq $of_remark } @new);
	my $remark_reads = $random->pick('', $drops_nick && $of_remark ge $later ? 'basis' : 'nick', $read ? ($read->{name}) x 2 : ());

	push @{ $self->{operations} },
	  { kind => 'drop', migration => $of_legacy, column => 'legacy', reads => $random->pick('basis', 'basis', '') },
	  { kind => 'drop', migration => $of_remark, column => 'remark', reads => $remark_reads };
	$self->{operations} = [ $random->shuffled(@{ $self->{operations} }) ];
	# after what makes way for it
	my ($first) = $takes ? grep { $self->{operations}[$_]{column} eq 'legacy' } 0 .. $#{ $self->{operations} } : -1;
	splice @{ $self->{operations} }, $random->between($first + 1, scalar @{ $self->{operations} }), 0, $rename;
	push @{ $self->{operations} }, { kind => 'rename', migration => $later, column => 'nick', to => 'handle' } if $later && !$drops_nick;
	push @{ $self->{operations} }, { kind => 'drop', migration => $later, column => 'nick', reads => $random->pick('basis', '') } if $drops_nick;
	return;
}

# The name of a column for a release, by what has been called until now.
sub name_in
{
	my ($self, $column, $release) = @_;
	my ($rename) = grep { $_->{column} eq $column && $_->{release} <= $release } reverse @{ $self->{renamed} };

	return $rename ? $rename->{to} : $column;
}

# The column of the table that a release means by one of these; undef: none was called yet.
sub newest
{
	my ($self, $column, $release) = @_;
	my ($last) = reverse grep { $_->{column} eq $column && $_->{release} <= $release } @{ $self->{changed} || [] };

	return $last ? $last->{twin} : $self->{columns}{$column};
}

# A change of a column, as a call; undef: it is not to be had.
sub change_call
{
	my ($self, $operation, $release, $table, $model, $schema, $has_views) = @_;
	my ($name, $column) = @{$operation}{qw(migration column)};
	my $change = $CHANGES{$column};
	my $old = $self->newest($column, $release - 1);
	my $shown = $model->name_in($old->{name}, $release - 1);
	my $is_alike = $change->{alike} && !$operation->{is_later};
	my ($up_of, $down_of) = $operation->{is_later} ? () : ($change->{up_of}, $change->{down_of});

	# the earlier one was of a migration without release
	return if $operation->{is_later} && $old->{name} eq $column && $old == $self->{columns}{$column};
	# both releases need views
	return if !$is_alike && !$has_views;
	my $twin = column("${column}__$release", $operation->{to}, $change->{new_value} || $change->{value});
	my ($kind, $default) = @{ $old->{default} };
	$twin->{default} = $kind eq 'none' ? [$kind] : [ $kind, ($up_of || $SAME)->($default) ];
	$twin->{first_name} = $column;
	$twin->{is_number} = 0;
	$twin->{release} = $release;
	$schema->{columns}{ $twin->{name} } = $self->{columns}{ $twin->{name} } = $twin;
	push @{ $self->{changed} }, { migration => $name, column => $column, release => $release, old => $old, twin => $twin };
	$model->add_rule({
			is_change => 1,
			migration => $name,
			release => $release,
			old => [ $old->{name} ],
			sources => [],
			new => [ $twin->{name} ],
			on_conflict => 'error',
			down_gives => [ $old->{name} ],
			up_of => $up_of || $SAME,
			down_of => $down_of || $SAME },
		{ $twin->{name} => $twin });
	$model->add_name({ migration => $name, release => $release, stored => $twin->{name}, name => $shown });
	my $texts = $up_of ? ', up => ' . Schema::literal($change->{up}) . ', down => ' . Schema::literal($change->{down}) : '';
	return "SELECT tandem.change_column('$name', '$table', '$shown', '$operation->{to}'$texts" . ($change->{carry} ? ", carry => '{items_${column}_check}'" : '') . ");\n";
}

# The calls for a migration; what the model is to know is told it.
sub calls
{
	my ($self, $name, $release, $schema, $model, $has_views) = @_;
	my $table = $schema->{name};
	my @calls;

	return if !$release;
	foreach my $operation (grep { $_->{migration} eq $name } @{ $self->{operations} })
	{
		my $column = $operation->{column};
		my $shown = $self->name_in($column, $release - 1);

		if ($operation->{kind} eq 'change')
		{
			push @calls, $self->change_call($operation, $release, $table, $model, $schema, $has_views) // ();
			next;
		}
		push @{ $self->{called} }, $operation;
		if ($CHANGES{$column})
		{
			my $stored = $self->newest($column, $release - 1);

			$operation->{stored} = $stored;
			$shown = $model->name_in($stored->{name}, $release - 1);
			push @calls, "SELECT tandem.rename_column('$name', '$table', '$shown', '$operation->{to}');\n";
			$model->add_name({ migration => $name, release => $release, stored => $stored->{name}, name => $operation->{to} });
			next;
		}
		if ($operation->{kind} eq 'rename')
		{
			push @calls, "SELECT tandem.rename_column('$name', '$table', '$shown', '$operation->{to}');\n";
			push @{ $self->{renamed} }, { column => $column, to => $operation->{to}, release => $release };
			$model->add_name({ migration => $name, release => $release, stored => $column, name => $operation->{to} });
			next;
		}
		my $down = $operation->{waits} ? $QUOTIENT : $operation->{reads} ? $DOWNS{ $self->{columns}{$column}{type} } : undef;
		my $text = $down ? ', down => ' . Schema::literal($down->[0]->($self->name_in($operation->{reads}, $release))) : '';
		$text .= q(, on_error => 'quarantine') if $operation->{waits};
		push @calls, "SELECT tandem.drop_column('$name', '$table', '$shown'$text);\n";
		$model->add_rule({
				is_drop => 1,
				migration => $name,
				release => $release,
				old => [$column],
				sources => [],
				new => [],
				on_conflict => 'error',
				down_sources => $down ? [ $operation->{reads} ] : undef,
				down_gives => [$column],
				repair => $operation->{waits} && [ $operation->{reads}, 7 ],
				up_of => sub { return },
				down_of => $down ? $down->[1] : undef }, {});
		$self->{dropped}{$column} = $release;
	}
	return @calls;
}

# Tables of its own: one that is renamed, by the next migration, too, one that is dropped, to which and from which others
# refer, and one that is added.
sub table_calls
{
	my ($self, $name, $release, $may_chain) = @_;
	my $random = Random->new($self->{seed}, 'tables', $name);
	my @before = sort grep { $self->{tables}{$_}{renamed} } keys %{ $self->{tables} };
	my @calls;

	return if !$release || $random->chance(30);
	my $tables = $self->{tables}{$name} = { map { $_ => $random->chance(70) } qw(renamed dropped added) };
	push @calls, "CREATE TABLE stress.kept_$name (id serial PRIMARY KEY, a int) PARTITION BY RANGE (id);\n"
	  . "CREATE TABLE stress.kept_${name}_0 PARTITION OF stress.kept_$name DEFAULT;\n"
	  . "INSERT INTO stress.kept_$name (a) VALUES (1);\nSELECT tandem.rename_table('$name', 'stress.kept_$name', 'held_$name');\n"
	  . "SELECT tandem.rename_column('$name', 'stress.held_$name', 'a', 'b');\n" if $tables->{renamed};
	push @calls, "CREATE TABLE stress.gone_$name (id serial PRIMARY KEY, other int);\n"
	  . "CREATE TABLE stress.refers_$name (id serial PRIMARY KEY, gone int REFERENCES stress.gone_$name);\n"
	  . "SELECT tandem.drop_column('$name', 'stress.refers_$name', 'gone');\nSELECT tandem.drop_table('$name', 'stress.gone_$name');\n" if $tables->{dropped};
	push @calls, "CREATE TABLE stress.fresh_$name (id serial PRIMARY KEY);\nSELECT tandem.add_table('$name', 'stress.fresh_$name');\n" if $tables->{added};
	if ($may_chain && @before && $random->chance(70))
	{
		my $of = $random->pick(@before);

		push @calls, "SELECT tandem.rename_table('$name', 'stress.held_$of', 'owned_$of');\n";
		$self->{tables}{$of}{renamed} = 0;
		$self->{tables}{$name}{owned} = $of;
	}
	return @calls;
}

# SQL that tells which of them are not what they should be once contract or abort has ended a migration.
sub wrong_tables
{
	my ($self, $name, $how) = @_;
	my $tables = delete $self->{tables}{$name} or return q(SELECT '');
	my $done = $how eq 'contract' ? 1 : 0;
	my %there;

	@there{ "held_$name", "kept_$name" } = ($done, !$done) if $tables->{renamed};
	@there{ "gone_$name", "refers_$name" } = (!$done, 1) if $tables->{dropped};
	$there{"fresh_$name"} = $done if $tables->{added};
	$there{"owned_$tables->{owned}"} = $done if $tables->{owned};
	my $values = join ', ', '(NULL::text, NULL::boolean)', map { "('stress.$_', " . ($there{$_} ? 'true' : 'false') . ')' } sort keys %there;
	return "SELECT coalesce(string_agg(name, ' '), '') FROM (VALUES $values) v (name, there) WHERE (to_regclass(name) IS NOT NULL) <> there";
}

# Columns of the table that go, and new names of others, when contract ends a migration.
sub ended
{
	my ($self, $name) = @_;
	my @called = grep { $_->{migration} eq $name } @{ $self->{called} };
	my $stored = sub { ($_->{stored} || $self->{columns}{ $_->{column} })->{name} };
	my @changed = grep { $_->{migration} eq $name } @{ $self->{changed} || [] };

	return ([ (map { $stored->() } grep { $_->{kind} eq 'drop' } @called), map { $_->{old}{name} } @changed ],
		{ (map { $stored->() => $_->{to} } grep { $_->{kind} eq 'rename' } @called), map { $_->{twin}{name} => $_->{old}{name} } @changed });
}

# Columns that go when abort ends it.
sub aborted
{
	my ($self, $name) = @_;

	return map { $_->{twin}{name} } grep { $_->{migration} eq $name } @{ $self->{changed} || [] };
}

# The same, of the columns that writers know.
sub forget
{
	my ($self, $schema, $gone, $renamed) = @_;
	my %gone = map { $_ => 1 } @$gone;
	my @columns = grep { !$_->{is_gone} } values %{ $self->{columns} };

	$_->{is_gone} = 1 foreach grep { $gone{ $_->{name} } } @columns;
	delete @{ $schema->{columns} }{ @$gone };
	foreach my $column (grep { !$_->{is_gone} && exists $renamed->{ $_->{name} } } @columns)
	{
		delete $schema->{columns}{ $column->{name} };
		$column->{name} = $renamed->{ $column->{name} };
		$schema->{columns}{ $column->{name} } = $column;
	}
	return;
}

# Of a column and its twins one: both would have to agree.
sub one_of_each
{
	my ($self, $random, @columns) = @_;
	my %of;

	push @{ $of{ $_->{first_name} } }, $_ foreach @columns;
	return map { @{ $of{$_} } == 1 ? $of{$_}[0] : $random->pick(@{ $of{$_} }) } sort keys %of;
}

# The name of a column that is dropped, which another one is renamed to; '' if there is none.
sub taken_name
{
	my ($self) = @_;
	my ($rename) = $self->takes_name;

	return $rename ? $rename->{to} : '';
}

sub takes_name
{
	my ($self) = @_;

	return grep { my $to = $_->{to}; grep { $to eq $_->{first_name} } values %{ $self->{columns} } } @{ $self->{renamed} };
}

# The first release that sees it so: 0 if there is none.  An abort gives the name back, and the views of a release that
# nobody works as are none to write through meanwhile.
sub takes_name_in
{
	my ($self) = @_;
	my ($rename) = $self->takes_name;

	return $rename ? $rename->{release} : 0;
}

# For messages.
sub describe
{
	my ($self) = @_;

	return join ', ', map { "$_->{migration}: $_->{kind} $_->{column}" . ($_->{to} ? " to $_->{to}" : $_->{reads} ? " by $_->{reads}" : '') } @{ $self->{operations} };
}

# Columns that a writer may give: who has declared a release mostly those that it sees.
sub of_writer
{
	my ($self, $random, $release, $shown, $whole) = @_;
	my @columns = grep { !$_->{is_gone} && (!$shown || $shown->{ $_->{name} }) } map { $self->{columns}{$_} } sort keys %{ $self->{columns} };

	return @columns if $shown || $whole && !$release;
	return $self->one_of_each($random, @columns) if !$release;
	return @columns if $random->chance(20);
	@columns = grep { !$CHANGES{ $_->{first_name} } || $self->newest($_->{first_name}, $release) == $_ } @columns;
	return grep { ($self->{dropped}{ $_->{first_name} } // $release + 1) > $release } @columns;
}

1;
