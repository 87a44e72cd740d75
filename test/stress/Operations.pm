# What a seed renames and drops, beside its syncs: rename_column and drop_column of columns that are there for these
# alone, and tables of their own that are added, renamed and dropped, in migrations that have a release.  All is drawn from a stream of its own, so that the same seed has the same
# tables, migrations and statements as without.
#
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
# new columns that it may read, too: their text is the same in every session
my $PLAIN = qr/^(int|bigint|text|varchar.*)$/;

# Draws them for migrations (names, in their order) of a schema, whose table gets the columns.  only: a migration
# that is there for them alone, if any.  Each is of a column by its first name.  new: columns that migrations add, each
# with its migration.
sub new
{
	my ($class, $seed, $schema, $new, @migrations) = @_;
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
	return $self;
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

# The calls for a migration; what the model is to know is told it.
sub calls
{
	my ($self, $name, $release, $table, $model) = @_;
	my @calls;

	return if !$release;
	foreach my $operation (grep { $_->{migration} eq $name } @{ $self->{operations} })
	{
		my $column = $operation->{column};
		my $shown = $self->name_in($column, $release - 1);

		push @{ $self->{called} }, $operation;
		if ($operation->{kind} eq 'rename')
		{
			push @calls, "SELECT tandem.rename_column('$name', '$table', '$shown', '$operation->{to}');\n";
			push @{ $self->{renamed} }, { column => $column, to => $operation->{to}, release => $release };
			$model->add_name({ migration => $name, release => $release, stored => $column, name => $operation->{to} });
			next;
		}
		my $down = $operation->{reads} ? $DOWNS{ $self->{columns}{$column}{type} } : undef;
		my $text = $down ? ', down => ' . Schema::literal($down->[0]->($self->name_in($operation->{reads}, $release))) : '';
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
	my $stored = sub { $self->{columns}{ $_->{column} }{name} };

	return ([ map { $stored->() } grep { $_->{kind} eq 'drop' } @called ], { map { $stored->() => $_->{to} } grep { $_->{kind} eq 'rename' } @called });
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
	my ($self, $random, $release, $shown) = @_;
	my @columns = grep { !$_->{is_gone} && (!$shown || $shown->{ $_->{name} }) } map { $self->{columns}{$_} } sort keys %{ $self->{columns} };

	return @columns if $shown || !$release || $random->chance(20);
	return grep { ($self->{dropped}{ $_->{first_name} } // $release + 1) > $release } @columns;
}

1;
