# What the syncs of a scenario may compute, each told twice: in SQL for the server, and in Perl for the
# model.  A value is the text that the server prints, or undef.
#
# sides: the columns of each release; links: a rule from each side to the next.  A link has up and down in
# SQL, and up_of and down_of, which take the values of one side and return those of the other.  sources: other
# columns that up reads, whose values up_of takes after those of its side; down_sources: those of down, likewise.
# down_gives:
# the columns that down computes, where these are not all of its side; what it leaves out has no expression.
# derived: the first side are sources, too: both releases see it, and nothing but up computes the other.
package Mapping;

use strict;
use warnings;

use POSIX ();

# NULL gives NULL, as in most of SQL
sub strictly
{
	my ($function) = @_;

	return sub {
		my @values = @_;

		return (undef) if grep { !defined } @values;
		return $function->(@values);
	};
}

# Towards zero, which has no sign.
sub whole
{
	my ($n) = @_;

	return int($n) + 0;
}

sub word
{
	my ($random) = @_;

	return $random->pick(qw(ada bob cleo dan eve fay gus hal ida jim)) . $random->below(100);
}

sub number
{
	my ($name, $type, $low, $high) = @_;

	return { name => $name, type => $type, is_number => 1, value => sub { $_[0]->between($low, $high) } };
}

sub column
{
	my ($name, $type, $value) = @_;

	return { name => $name, type => $type, value => $value };
}

sub cents
{
	return {
		name => 'cents',
		sides => [ [ number('price', 'int', -5000, 5000) ], [ number('cents', 'bigint', -500000, 500000) ] ],
		links => [ {
			up => ['price * 100::bigint'],
			down => ['(cents / 100)::int'],
			up_of => strictly(sub { $_[0] * 100 }),
			down_of => strictly(sub { whole($_[0] / 100) }) } ] };
}

# "shared" is what the old release cannot say.
sub visibility
{
	return {
		name => 'visibility',
		sides => [
			[ column('is_public', 'boolean', sub { $_[0]->pick('t', 'f') }) ],
			[ column('visibility', 'text', sub { $_[0]->pick('public', 'private', 'shared') }) ] ],
		links => [ {
			up => [q(CASE WHEN is_public THEN 'public' ELSE 'private' END)],
			down => [q(visibility = 'public')],
			up_of => sub { defined $_[0] && $_[0] eq 't' ? 'public' : 'private' },
			down_of => strictly(sub { $_[0] eq 'public' ? 't' : 'f' }) } ] };
}

sub split_name
{
	return {
		name => 'split_name',
		sides => [
			[ column('full_name', 'text', sub { join ' ', map { word($_[0]) } 1 .. $_[0]->pick(1, 2, 2, 2, 3) }) ],
			[ column('first', 'varchar(20)', \&word), column('last', 'text', \&word) ] ],
		links => [ {
			up => [ q(split_part(full_name, ' ', 1)), q(split_part(full_name, ' ', 2)) ],
			down => [q(first || ' ' || last)],
			up_of => sub {
				return (undef, undef) if !defined $_[0];
				my @words = split / /, $_[0], -1;
				return ($words[0] // '', $words[1] // '');
			},
			down_of => strictly(sub { "$_[0] $_[1]" }) } ] };
}

sub merge_month
{
	return {
		name => 'merge_month',
		sides => [
			[ number('year', 'int', 1970, 2030), number('month', 'smallint', 1, 12) ],
			[ column('period', 'text', sub { join '-', $_[0]->between(1970, 2030), $_[0]->between(1, 12), $_[0]->chance(30) ? 'x' : () }) ] ],
		links => [ {
			up => [q(year || '-' || month)],
			down => [ q(split_part(period, '-', 1)::int), q(split_part(period, '-', 2)::smallint) ],
			up_of => strictly(sub { "$_[0]-$_[1]" }),
			down_of => sub { defined $_[0] ? (split /-/, $_[0])[ 0, 1 ] : (undef, undef) } } ] };
}

sub one_way
{
	return {
		name => 'one_way',
		sides => [ [ column('title', 'text', sub { ucfirst word($_[0]) }) ], [ column('slug', 'text', \&word) ] ],
		links => [ { up => ['lower(title)'], up_of => strictly(sub { lc $_[0] }) } ] };
}

sub json
{
	return {
		name => 'json',
		sides => [
			[ column('tag', 'text', \&word) ],
			[ column('doc', 'jsonb', sub { sprintf $_[0]->chance(50) ? '{"tag": "%s"}' : '{"n": 1, "tag": "%s"}', word($_[0]) }) ] ],
		links => [ {
			up => [q(jsonb_build_object('tag', tag))],
			down => [q(doc ->> 'tag')],
			up_of => sub { defined $_[0] ? qq({"tag": "$_[0]"}) : '{"tag": null}' },
			down_of => strictly(sub { $_[0] =~ /"tag": "(.*?)"/ ? $1 : undef }) } ] };
}

# Whole hundredths, and thousandths that are rounded; in thousandths here.
sub thousandths
{
	my ($n) = @_;

	return sprintf '%s%d.%03d', $n < 0 ? '-' : '', abs($n) / 1000, abs($n) % 1000;
}

sub amount
{
	return {
		name => 'amount',
		sides => [
			[ number('units', 'int', -9999, 9999) ],
			[ column('amount', 'numeric(12,3)', sub { thousandths($_[0]->between(-99999, 99999)) }) ] ],
		links => [ {
			up => ['units * 0.01'],
			down => ['round(amount * 100)::int'],
			up_of => strictly(sub { thousandths($_[0] * 10) }),
			down_of => strictly(
				sub {
					my $n = $_[0] =~ tr/.//dr;
					my $rounded = int((abs($n) + 5) / 10);
					return $n < 0 && $rounded ? -$rounded : $rounded;
				}) } ] };
}

sub day
{
	my $day = sub { sprintf '20%02d-%02d-%02d', $_[0]->between(10, 30), $_[0]->between(1, 12), $_[0]->between(1, 28) };

	return {
		name => 'day',
		sides => [
			[ column('day', 'date', $day) ],
			[ column('moment', 'timestamptz', sub { $day->($_[0]) . sprintf ' %02d:00:00+00', $_[0]->below(24) }) ] ],
		links => [ {
			up => [q(day::timestamp AT TIME ZONE 'UTC')],
			down => [q((moment AT TIME ZONE 'UTC')::date)],
			up_of => strictly(sub { "$_[0] 00:00:00+00" }),
			down_of => strictly(sub { substr $_[0], 0, 10 }) } ] };
}

# Values that are stored outside the row.
sub body
{
	my $long = sub {
		my ($random) = @_;
		return join '', map { sprintf '%08x', $random->below(1 << 31) } 1 .. $random->between(1, 600);
	};

	return {
		name => 'body',
		sides => [ [ column('body', 'text', $long) ], [ column('shout', 'text', sub { $_[0]->chance(50) ? uc $long->($_[0]) : $long->($_[0]) }) ] ],
		links => [ {
			up => ['upper(body)'],
			down => ['lower(shout)'],
			up_of => strictly(sub { uc $_[0] }),
			down_of => strictly(sub { lc $_[0] }) } ] };
}

sub grade
{
	return {
		name => 'grade',
		functions => <<'SQL',
CREATE FUNCTION stress.letter() RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT 'g' $$;
CREATE FUNCTION stress.to_grade(level int) RETURNS text LANGUAGE plpgsql IMMUTABLE
	AS $$ BEGIN RETURN letter() || level; END $$;
CREATE FUNCTION stress.to_level(grade text) RETURNS int LANGUAGE sql IMMUTABLE
	AS $$ SELECT substr(grade, 2)::int $$;
SQL
		sides => [ [ number('level', 'int', 0, 99) ], [ column('grade', 'text', sub { 'g' . $_[0]->below(100) }) ] ],
		links => [ {
			up => ['stress.to_grade(level)'],
			down => ['stress.to_level(grade)'],
			up_of => strictly(sub { "g$_[0]" }),
			down_of => strictly(sub { substr $_[0], 1 }) } ] };
}

# Three releases: the second can say more than the first, the third more than the second.
sub chain
{
	return {
		name => 'chain',
		sides => [
			[ number('stock', 'int', -500, 500) ],
			[ number('tenths', 'bigint', -5000, 5000) ],
			[ column('quantity', 'text', sub { 'q' . $_[0]->between(-5000, 5000) . ($_[0]->chance(40) ? '~' : '') }) ] ],
		links => [ {
				up => ['stock * 10::bigint'],
				down => ['(tenths / 10)::int'],
				up_of => strictly(sub { $_[0] * 10 }),
				down_of => strictly(sub { whole($_[0] / 10) }) }, {
				up => [q('q' || tenths)],
				down => [q(rtrim(substr(quantity, 2), '~')::bigint)],
				up_of => strictly(sub { "q$_[0]" }),
				down_of => strictly(sub { substr($_[0], 1) =~ tr/~//dr }) } ] };
}

# A transform that fails, and is not to take the old release down: such rows wait in quarantine; repaired: no more
# of them.
sub code
{
	my %mapping = (
		name => 'code',
		quarantine => 1,
		repair => [ 'code', 7 ],
		links => [ {
			up => ['code::int'],
			down => ['num::text'],
			up_of => strictly(sub { $_[0] eq 'bad' ? die "raises\n" : $_[0] }),
			down_of => strictly(sub { $_[0] }) } ]);

	$mapping{sides} = [
		[ column('code', 'text', sub { $_[0]->chance(10) && !$mapping{repaired} ? 'bad' : $_[0]->below(1000) }) ],
		[ number('num', 'int', 0, 999) ] ];
	return \%mapping;
}

# Likewise, where writers may repair it by a column that up but reads; a value of its own is never repaired.
sub mean
{
	my %mapping = (
		name => 'mean',
		derived => 1,
		quarantine => 1,
		bad => { total => 1, members => 0 },
		repair => [ 'members', 1 ],
		links => [ { up => ['total / members'], up_of => strictly(sub { $_[1] == 0 ? die "raises\n" : whole($_[0] / $_[1]) }) } ]);

	$mapping{sides} = [
		[ number('total', 'int', -999, 999), column('members', 'int', sub { $_[0]->chance(15) && !$mapping{repaired} ? 0 : $_[0]->between(1, 9) }) ],
		[ number('mean', 'bigint', -999, 999) ] ];
	return \%mapping;
}

# Whether an up raises for a row, of whatever migration it is or was; the same in SQL.
sub is_bad
{
	my ($v) = @_;

	return 1 if defined $v->{code} && $v->{code} eq 'bad';
	return defined $v->{total} && defined $v->{members} && $v->{members} == 0;
}

sub bad_sql
{
	my (%columns) = @_;

	return join ' OR ', $columns{code} ? q(code = 'bad') : (), $columns{mean} ? 'members = 0 AND total IS NOT NULL' : ();
}

# down knows but one of the old columns, and so tells nothing of agreement.
sub address
{
	return {
		name => 'address',
		sides => [
			[ column('city', 'text', \&word), column('street', 'text', \&word) ],
			[ column('address', 'text', sub { join ', ', map { word($_[0]) } 1 .. $_[0]->pick(1, 2, 2) }) ] ],
		links => [ {
			up => [q(city || ', ' || street)],
			down => [ q(split_part(address, ', ', 1)), undef ],
			down_gives => ['city'],
			up_of => strictly(sub { "$_[0], $_[1]" }),
			down_of => strictly(sub { (split /, /, $_[0])[0] }) } ] };
}

# down reads a column that writers change by itself, and what up makes of it does not depend on that.
sub lot
{
	return {
		name => 'lot',
		down_sources => ['part'],
		sides => [ [ number('pieces', 'int', -999, 999) ], [ number('lots', 'bigint', -999, 999) ] ],
		links => [ {
			up => ['(pieces >> 2)::bigint'],
			down => ['(lots * 4)::int + (coalesce(part, 0) & 3)'],
			up_of => strictly(sub { POSIX::floor($_[0] / 4) }),
			down_of => sub { defined $_[0] ? $_[0] * 4 + (($_[1] // 0) & 3) : undef } } ] };
}

# up takes the row as a whole, in which its own column is NULL.
sub digest
{
	return {
		name => 'digest',
		derived => 1,
		row_functions => <<'SQL',
CREATE FUNCTION stress.digest(item stress.items) RETURNS text LANGUAGE plpgsql IMMUTABLE
	AS $$ BEGIN RETURN 'd' || coalesce(item.base, 0) || coalesce(to_jsonb(item) ->> 'digest', ''); END $$;
SQL
		sides => [ [ number('base', 'int', 0, 99) ], [ column('digest', 'text', \&word) ] ],
		links => [ { up => ['stress.digest(items)'], up_of => sub { 'd' . ($_[0] // 0) } } ] };
}

# up reads an old column of another mapping, which down computes there.
sub fee
{
	return {
		name => 'fee',
		with => 'cents',
		sources => ['price'],
		sides => [ [ number('surcharge', 'int', -999, 999) ], [ number('fee', 'bigint', -9999999, 9999999) ] ],
		links => [ {
			up => ['surcharge * 32768::bigint + coalesce(price, 0) + 16384'],
			down => ['(fee >> 15)::int'],
			up_of => sub { defined $_[0] ? $_[0] * 32768 + ($_[1] // 0) + 16384 : undef },
			down_of => strictly(sub { POSIX::floor($_[0] / 32768) }) } ] };
}

# up reads a column that writers change by itself.
sub weight
{
	return {
		name => 'weight',
		sources => ['part'],
		sides => [ [ number('grams', 'int', -999, 999) ], [ number('weight', 'bigint', -9999, 9999) ] ],
		links => [ {
			up => ['grams * 10::bigint + coalesce(part, 0)'],
			down => ['(weight / 10)::int'],
			up_of => sub { defined $_[0] ? $_[0] * 10 + ($_[1] // 0) : undef },
			down_of => strictly(sub { whole($_[0] / 10) }) } ] };
}

# up reads a column that another trigger changes.
sub standing
{
	return {
		name => 'standing',
		sources => ['hits'],
		sides => [ [ number('score', 'int', -999, 999) ], [ number('standing', 'bigint', -999999, 999999) ] ],
		links => [ {
			up => ['score * 1000::bigint + hits'],
			down => ['(standing / 1000)::int'],
			up_of => strictly(sub { $_[0] * 1000 + $_[1] }),
			down_of => strictly(sub { whole($_[0] / 1000) }) } ] };
}

sub derived
{
	return {
		name => 'derived',
		derived => 1,
		sides => [ [ number('due', 'int', -5000, 5000) ], [ number('due_cents', 'bigint', -500000, 500000) ] ],
		links => [ { up => ['due * 100::bigint'], up_of => strictly(sub { $_[0] * 100 }) } ] };
}

# Of two columns, one of them with a type of an extension.
sub label
{
	return {
		name => 'label',
		derived => 1,
		sources => ['part'],
		sides => [ [ column('kind', 'citext', sub { $_[0]->pick(qw(Box box BOX bag Bag)) }) ], [ column('label', 'text', \&word) ] ],
		links => [ {
			up => [q((CASE WHEN kind = 'box' THEN 'box' ELSE 'other' END) || coalesce(part, 0))],
			up_of => sub { (defined $_[0] && lc $_[0] eq 'box' ? 'box' : 'other') . ($_[1] // 0) } } ] };
}

# Values that are equal, and not the same: what down makes of the new column judges by the type's own equality.
sub admin
{
	my $column = column('role', 'citext', sub { $_[0]->pick(qw(Admin ADMIN admin guest Guest)) });

	$column->{equal} = sub { lc $_[0] eq lc $_[1] };
	return {
		name => 'admin',
		alike => sub { { role => $_[0]->pick(qw(Guest GUEST guesT)), is_admin => 'perhaps' } },
		sides => [ [$column], [ column('is_admin', 'text', sub { $_[0]->pick('yes', 'no', 'perhaps') }) ] ],
		links => [ {
			up => [q(CASE WHEN role = 'admin' THEN 'yes' ELSE 'no' END)],
			down => [q(CASE WHEN is_admin = 'yes' THEN 'admin' ELSE 'guest' END)],
			up_of => sub { defined $_[0] && lc $_[0] eq 'admin' ? 'yes' : 'no' },
			down_of => sub { defined $_[0] && $_[0] eq 'yes' ? 'admin' : 'guest' } } ] };
}

# All of them, made again.
sub all
{
	return (cents(), visibility(), split_name(), merge_month(), one_way(), json(), amount(), day(), body(), grade(), chain(), code(),
		weight(), standing(), derived(), label(), admin(), mean(), lot(), digest(), fee(), address());
}

1;
