# A random table of an application, its rows, and the other triggers on it.
package Schema;

use strict;
use warnings;

use Releases;

# writers own the keys from N * KEYS on
use constant KEYS => 100000;

# Draws a table; options: mappings (those of Mapping, drawn already), writers, rows (of each writer), constraints.
sub new
{
	my ($class, $random, %options) = @_;
	my $self = bless {
		name => 'stress.items',
		kind => $random->pick('plain', 'plain', 'by_range', 'by_part'),
		hits => $random->chance(60),
		audit => $random->chance(40),
		dropped => $random->below(3),
		generated => $random->chance(40),
		index_old => $random->chance(50),
		private => $random->chance(50),
		%options }, $class;
	# up may not take the whole of a row that has such columns
	$self->{generated} = 0 if grep { $_->{row_functions} } @{ $self->{mappings} };

	$self->{columns} = {
		id => { name => 'id', type => 'int NOT NULL', default => ['none'] },
		part => { name => 'part', type => 'int', default => [ 'constant', 0 ] },
		hits => { name => 'hits', type => 'int', default => [ 'constant', 0 ] },
		filler => { name => 'filler', type => 'text', default => ['none'] } };
	foreach my $mapping (@{ $self->{mappings} })
	{
		# what is inserted of itself never raises
		local $mapping->{repaired} = 1;
		foreach my $column (@{ $mapping->{sides}[0] })
		{
			$column->{default} = default_of($random, $column);
			$self->{columns}{ $column->{name} } = $column;
		}
		$mapping->{writable} = [ $mapping->{sides}[0] ];
		# by which release each side came
		$mapping->{told} = [ { release => 0, side => $mapping->{sides}[0] } ];
		my ($number) = grep { $_->{is_number} } @{ $mapping->{sides}[0] };
		my ($new) = grep { $_->{is_number} } @{ $mapping->{sides}[1] };
		my $changed = @{ $mapping->{links} } == 1 ? $random->below(100) : 100;
		$mapping->{tidied} = $number->{name} if $number && $changed < 25;
		$mapping->{cleaned} = $new->{name} if $new && $changed >= 25 && $changed < 40;
	}
	# a trigger that undoes what was written; what it would not let go is nothing to be repaired
	$self->{undoes} = $random->chance(25) && !grep { $_->{quarantine} } @{ $self->{mappings} };
	$self->{constraints}->leave_out if $self->{undoes};
	# a trigger that keeps what it has seen of a new column
	($self->{looked_at}) = grep { $_->{type} =~ /^(bigint|text)$/ } map { $_->{sides}[1][0] } @{ $self->{mappings} };
	undef $self->{looked_at} if !$random->chance(40);
	$self->{columns}{seen} = { name => 'seen', type => 'text', default => ['none'] } if $self->{looked_at};
	$self->{order} = [ $random->shuffled(sort keys %{ $self->{columns} }) ];
	$self->{leaf_order} = [ $random->shuffled(@{ $self->{order} }) ];
	return $self;
}

sub default_of
{
	my ($random, $column) = @_;
	my $kind = $random->pick('none', 'none', 'none', 'constant', 'computed');

	return [$kind] if $kind eq 'none';
	return [ $kind, $column->{value}->($random) ];
}

sub literal
{
	my ($value) = @_;

	return defined $value ? "'" . $value =~ s/'/''/gr . "'" : 'NULL';
}

# What the server adds to the column's type; a computed default is one that it cannot fold.
sub default_sql
{
	my ($column) = @_;
	my ($kind, $value) = @{ $column->{default} };

	return '' if $kind eq 'none';
	return ' DEFAULT ' . literal($value) if $kind eq 'constant';
	return ' DEFAULT coalesce(current_setting(\'stress.none\', true), ' . literal($value) . ")::$column->{type}";
}

sub columns_sql
{
	my ($self, @order) = @_;
	my @columns = map { "$_ $self->{columns}{$_}{type}" . default_sql($self->{columns}{$_}) } @order;

	push @columns, 'sum int GENERATED ALWAYS AS (part + hits) STORED' if $self->{generated};
	unshift @columns, map { "gone_$_ text DEFAULT 'x'" } 1 .. $self->{dropped};
	return join ', ', @columns;
}

sub sql
{
	my ($self) = @_;
	my $columns = $self->columns_sql(@{ $self->{order} });
	my %by = (by_range => ' PARTITION BY RANGE (id)', by_part => ' PARTITION BY LIST (part)', plain => '');
	my $sql = "CREATE SCHEMA stress;\nCREATE EXTENSION citext;\n";

	$sql .= $_->{functions} // '' foreach @{ $self->{mappings} };
	$sql .= <<"SQL";
CREATE TABLE stress.marker (writer int, seq int, ended int, PRIMARY KEY (writer, seq));
CREATE TABLE stress.failed (writer int, seq int, step int, sqlstate text);
CREATE TABLE stress.looked (writer int, seq int, step int, seen text);
CREATE TABLE stress.audit (id int, what text);
CREATE TABLE $self->{name} ($columns)$by{ $self->{kind} };
SQL
	$sql .= $self->partitions_sql;
	$sql .= $_->{row_functions} // '' foreach @{ $self->{mappings} };
	$sql .= $self->rights_of_functions_sql;
	$sql .= "ALTER TABLE $self->{name} DROP COLUMN gone_$_;\n" foreach 1 .. $self->{dropped};
	$self->{constraints}{partitioned} = $self->{kind} ne 'plain';
	$sql .= $self->{constraints}->sql . $self->{constraints}->key_sql($self->{name}, 'id', $self->{kind} eq 'by_part' ? 'part' : ());
	$sql .= "CREATE INDEX ON $self->{name} ($self->{mappings}[0]{sides}[0][0]{name}) WHERE part = 0;\n"
	  if $self->{index_old} && $self->{mappings}[0]{name} ne 'body';
	$sql .= $self->{operations}->objects_sql($self->{name});
	return roles_sql() . $sql . $self->triggers_sql . $self->rights_sql . Releases::roles_sql();
}

# up and down run as the owner of the table, whoever writes.
sub rights_of_functions_sql
{
	my ($self) = @_;
	my $sql = '';

	$sql .= "REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA stress FROM PUBLIC;\n"
	  . "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA stress TO stress_owner, stress_other;\n" if $self->{private};
	return $sql . <<"SQL";
CREATE FUNCTION stress.ended() RETURNS int LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS
	\$\$ BEGIN RETURN (SELECT count(*) FROM tandem.migration WHERE phase IN ('done', 'aborted')); END \$\$;
SQL
}

# Leaves of another layout, and leaves of leaves.
sub partitions_sql
{
	my ($self) = @_;
	my $leaf = $self->columns_sql(@{ $self->{leaf_order} });
	my ($low, $high) = (KEYS, 2 * KEYS);

	return '' if $self->{kind} eq 'plain';
	return <<"SQL" if $self->{kind} eq 'by_part';
CREATE TABLE stress.items_0 PARTITION OF $self->{name} FOR VALUES IN (0);
CREATE TABLE stress.items_1 ($leaf, gone text);
ALTER TABLE stress.items_1 DROP COLUMN gone;
ALTER TABLE $self->{name} ATTACH PARTITION stress.items_1 FOR VALUES IN (1);
CREATE TABLE stress.items_more PARTITION OF $self->{name} DEFAULT;
SQL
	return <<"SQL";
CREATE TABLE stress.items_0 (gone int, $leaf);
ALTER TABLE stress.items_0 DROP COLUMN gone;
ALTER TABLE $self->{name} ATTACH PARTITION stress.items_0 FOR VALUES FROM (0) TO ($low);
CREATE TABLE stress.items_1 PARTITION OF $self->{name} FOR VALUES FROM ($low) TO ($high) PARTITION BY HASH (id);
CREATE TABLE stress.items_1_0 PARTITION OF stress.items_1 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE stress.items_1_1 PARTITION OF stress.items_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE stress.items_more PARTITION OF $self->{name} DEFAULT;
SQL
}

sub triggers_sql
{
	my ($self) = @_;
	my $sql = '';

	$sql .= <<"SQL" if $self->{hits};
CREATE FUNCTION stress.count_hit() RETURNS trigger LANGUAGE plpgsql AS
	\$\$ BEGIN NEW.hits := OLD.hits + 1; RETURN NEW; END \$\$;
CREATE TRIGGER hit BEFORE UPDATE ON $self->{name} FOR EACH ROW EXECUTE FUNCTION stress.count_hit();
SQL
	$sql .= <<"SQL" if $self->{audit};
CREATE FUNCTION stress.note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
	\$\$ BEGIN INSERT INTO stress.audit VALUES (coalesce(NEW.id, OLD.id), TG_OP); RETURN NULL; END \$\$;
CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON $self->{name} FOR EACH ROW EXECUTE FUNCTION stress.note();
SQL
	$sql .= <<"SQL" if $self->{looked_at};
CREATE FUNCTION stress.look() RETURNS trigger LANGUAGE plpgsql AS
	\$\$ BEGIN NEW.seen := to_jsonb(NEW) ->> '$self->{looked_at}{name}'; RETURN NEW; END \$\$;
CREATE TRIGGER a_look BEFORE INSERT OR UPDATE ON $self->{name} FOR EACH ROW EXECUTE FUNCTION stress.look();
SQL
	$sql .= <<"SQL" if $self->{undoes};
CREATE FUNCTION stress.undo() RETURNS trigger LANGUAGE plpgsql AS
	\$\$ BEGIN IF length(NEW.filler) % 7 = 3 THEN RETURN OLD; END IF; RETURN NEW; END \$\$;
CREATE TRIGGER undo BEFORE UPDATE ON $self->{name} FOR EACH ROW EXECUTE FUNCTION stress.undo();
SQL
	# it is there before the column is
	foreach my $column (grep { defined } map { $_->{cleaned} } @{ $self->{mappings} })
	{
		$sql .= <<"SQL";
CREATE FUNCTION stress.clean_$column() RETURNS trigger LANGUAGE plpgsql AS
	\$\$ DECLARE value numeric = to_jsonb(NEW) ->> '$column'; BEGIN
		IF value < 0 THEN NEW := jsonb_populate_record(NEW, jsonb_build_object('$column', -value)); END IF;
		RETURN NEW; END \$\$;
CREATE TRIGGER clean_$column BEFORE INSERT OR UPDATE ON $self->{name} FOR EACH ROW EXECUTE FUNCTION stress.clean_$column();
SQL
	}
	foreach my $column (grep { defined } map { $_->{tidied} } @{ $self->{mappings} })
	{
		$sql .= <<"SQL";
CREATE FUNCTION stress.tidy_$column() RETURNS trigger LANGUAGE plpgsql AS
	\$\$ BEGIN NEW.$column := abs(NEW.$column); RETURN NEW; END \$\$;
CREATE TRIGGER tidy_$column BEFORE INSERT OR UPDATE ON $self->{name} FOR EACH ROW EXECUTE FUNCTION stress.tidy_$column();
SQL
	}
	return $sql;
}

sub roles_sql
{
	return <<"SQL";
DO \$\$ BEGIN
	CREATE ROLE stress_writer LOGIN; CREATE ROLE stress_owner LOGIN; CREATE ROLE stress_other LOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END \$\$;
SQL
}

sub rights_sql
{
	my ($self) = @_;

	return <<"SQL";
GRANT USAGE ON SCHEMA stress TO PUBLIC;
GRANT CREATE ON SCHEMA stress TO stress_owner, stress_other;
GRANT ALL ON ALL TABLES IN SCHEMA stress TO stress_writer;
SQL
}

# Gives the table, its partitions and those that migrations have beside it to another owner.
sub owner_sql
{
	my ($owner) = @_;

	return <<"SQL";
DO \$\$ DECLARE r text; BEGIN
	FOR r IN SELECT oid::regclass FROM pg_class
		WHERE relnamespace = 'stress'::regnamespace AND relkind IN ('r', 'p') AND relname ~ '^(items|kept_|held_|owned_|gone_|refers_|fresh_)' ORDER BY oid LOOP
		EXECUTE format('ALTER TABLE %s OWNER TO $owner', r);
	END LOOP;
END \$\$;
SQL
}

# Of partitions that are made in the middle of it all: the keys of a writer of their own, a thousand each.
sub new_partition_key
{
	my ($number) = @_;

	return 3 * KEYS + $number * 1000;
}

sub new_partition_part
{
	my ($number) = @_;

	return 10 + $number;
}

# What the triggers above do, for the model, in the order of their names; undef where there are none.
sub tidy
{
	my ($self) = @_;
	my @columns = grep { defined } map { ($_->{cleaned}, $_->{tidied}) } @{ $self->{mappings} };
	my $hits = $self->{hits};
	my $look = $self->{looked_at};

	return if !@columns && !$hits && !$look && !$self->{undoes};
	return sub {
		my ($v, $before) = @_;

		$v->{seen} = $v->{ $look->{name} } if $look;
		$v->{hits} = $before->{hits} + 1 if $hits && $before;
		defined $v->{$_} and $v->{$_} = abs $v->{$_} foreach @columns;
	};
}

# Whether a trigger returns the old row, for the model.
sub undoes
{
	my ($self) = @_;

	return sub { 0 } if !$self->{undoes};
	return sub { defined $_[0]{filler} && length($_[0]{filler}) % 7 == 3 };
}

# Whether a row goes to another partition, for the model.
sub moves
{
	my ($self) = @_;
	my $by_part = $self->{kind} eq 'by_part';
	my $leaf = sub { defined $_[0] && $_[0] =~ /^[01]$/ ? $_[0] : 'more' };

	return sub { $by_part && $leaf->($_[0]{part}) ne $leaf->($_[1]{part}) };
}

# Takes the triggers of single columns away; returns these.
sub end_tidy
{
	my ($self) = @_;

	return grep { defined } map { delete $_->{tidied} } @{ $self->{mappings} };
}

# Rows that are there before the migration: for each its values; aside: draws those of columns that no sync has to do with.
sub rows
{
	my ($self, $random, $aside) = @_;
	my @operated = grep { $_->{is_operated} } map { $self->{columns}{$_} } sort keys %{ $self->{columns} };
	my @rows;

	foreach my $writer (0 .. $self->{writers} - 1)
	{
		foreach my $n (0 .. $self->{rows} - 1)
		{
			my %row = (
				id => $writer * KEYS + $n,
				part => $random->below(4),
				hits => 0,
				$self->{looked_at} ? (seen => undef) : (),
				filler => 'f' x $random->between(10, 700));
			foreach my $column (map { @{ $_->{sides}[0] } } @{ $self->{mappings} })
			{
				$row{ $column->{name} } = $random->chance(8) ? undef : $column->{value}->($random);
			}
			$row{ $_->{name} } = $aside->chance(8) ? undef : $_->{value}->($aside) foreach @operated;
			push @rows, \%row;
		}
	}
	return @rows;
}

1;
