# No argument reaches SQL unquoted: a function that counts its calls is smuggled into every text and name
# that a user can give, as an argument and as the name of an object in a migration from end to end.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use TandemTest;
use Test::More;

# what is smuggled in, in the ways out of a string, a name or a list
chomp(my @smuggled = <DATA>);
my $statement = 'SELECT public.pwn()';
my $expression = '(public.pwn())';

my $node = new_server('main');
my $super = $node->safe_psql('postgres', 'SELECT current_user');

sub sql { return $node->safe_psql('postgres', $_[0]); }

sub literal
{
	my ($text) = @_;

	$text =~ s/'/''/g;
	$text =~ s/\\/\\\\/g;
	return "E'$text'";
}

sub identifier
{
	my ($text) = @_;

	$text =~ s/"/""/g;
	return qq("$text");
}

# A sequence keeps count whatever is rolled back.
sql(<<'SQL');
CREATE SEQUENCE public.pwned;
GRANT ALL ON SEQUENCE public.pwned TO PUBLIC;
CREATE FUNCTION public.pwn() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT nextval('public.pwned')::text $$;
SQL

sub is_clean
{
	my ($what) = @_;

	is(sql('SELECT is_called FROM public.pwned'), 'f', "$what: nothing smuggled in has run");
	return;
}

# arguments, one at a time; the others are right
my %functions = (
	create_migration => { name => q('new'), release => '42', comment => q('c') },
	add_column => { migration => q('m'), relation => q('items'), column_name => q('extra'), type => q('int'), up => q('price'), default_value => q('1'), on_error => q('error') },
	add_constraint => { migration => q('m'), relation => q('items'), name => q('price_check'), definition => q('CHECK (price > 0)') },
	add_not_null => { migration => q('m'), relation => q('items'), column_name => q('cents') },
	add_after_switch => { migration => q('m'), relation => q('items'), set => q('price = 0'), condition => q('price < 0'), back => q('price = -1') },
	change_column => {
		migration => q('m'), relation => q('items'), column_name => q('price'), type => q('bigint'), up => q('price'), down => q('price'), default_value => q('1'),
		on_conflict => q('error'), on_error => q('error'), carry => q('{items_price_idx}'), leave => q('{items_price_idx}')
	},
	change_key => { migration => q('m'), relation => q('items'), column_name => q('price'), type => q('bigint') },
	rename_column => { migration => q('m'), relation => q('items'), column_name => q('price'), new_name => q('cost') },
	drop_column => { migration => q('m'), relation => q('items'), column_name => q('price'), down => q('cents / 100'), on_error => q('error') },
	add_index => { migration => q('m'), definition => q('CREATE INDEX cents_idx ON items (cents)') },
	at_contract => { migration => q('m'), relation => q('items'), statement => q('CREATE INDEX cents_idx ON items (cents)') },
	add_table => { migration => q('m'), relation => q('items') },
	rename_table => { migration => q('m'), relation => q('items'), new_name => q('things') },
	drop_table => { migration => q('m'), relation => q('items') },
	drop_index => { migration => q('m'), index => q('items_price_idx') },
	rename_constraint => { migration => q('m'), relation => q('items'), name => q('items_pkey'), new_name => q('items_key') },
	sync_column => {
		migration => q('m'), relation => q('items'), old => q('price'), new => q('cents'), up => q('price * 100'), down => q('cents / 100'),
		on_conflict => q('error'), on_error => q('error')
	},
	sync_columns => {
		migration => q('m'), relation => q('items'), old => q('{price}'), new => q('{cents}'), up => q('{price}'), down => q('{cents}'),
		on_conflict => q('error'), on_error => q('error')
	},
	pause => { migration => q('m') },
	resume => { migration => q('m') },
	cancel => { migration => q('m') },
	start_migrate => { migration => q('m') },
	configure => { migration => q('m'), setting => q('tandem.max_rows_per_second'), value => q('7') },
	verify => { migration => q('m') },
	take_keys => { migration => q('m') },
	take_names => { migration => q('m') },
	preview_contract => { migration => q('m') },
	refill => { migration => q('m'), derived => q('{}') },
	set_release_prefix => { prefix => q('release_') },
	health => { release => 1, requires => q('{"a": 1}') },
	register_release => { release => 1, comment => q('c') },
	record_shape => { release => 1, relations => q('{items}') },
	check_shape => { release => 1, script => q('SELECT 1') },
	lint => { script => q('ALTER TABLE items ADD extra int') },
	# a script runs, as it should
	rehearse => { script => q(text 'SELECT 1'), max_lock_mode => q('SHARE') },
	rehearse_change => { relation => q('items'), type => q('bigint'), up => q('price'), down => q('price'), column_name => q('price') },
	set_dependency => { name => q('search'), version => 1 },
	create_publication => { release => 1, publication => q('p') },
	join_region => { region => q('r'), publication => q('p') },
	leave_region => { region => q('r') },
	create_views => { release => 1, relations => q('{items}'), schemas => q('{public}') },
	migrate => { migration => q('m'), if_running => q('error') },
	contract => { migration => q('m'), undeclared => q('refuse'), accept => q('{defaults}') },
	abort => { migration => q('m') },
	forget => { migration => q('m') },
	migrate_call => { name => q('m'), paused => 'true', running => 'false' },
	is_next_number => { value => q('nextval(1)') },
	in_lines => { words => q('a b'), width => 3 },
	describe_sessions => { sessions => q('rows of {pid 1}') },
);

# what is there of them is all tried, but what only the library calls
my %known = map { $_ => 1 } split /\n/, sql(<<'SQL');
SELECT DISTINCT proname FROM pg_proc, unnest(proargtypes::regtype[]) AS argument
WHERE pronamespace = 'tandem'::regnamespace AND NOT starts_with(proname, '_')
	-- parts of these functions, with tandem.at_once: DDL of the caller
	AND proname !~ '^(once|plain)_'
	AND argument IN ('text', 'name', 'text[]', 'name[]', 'jsonb')
SQL
is_deeply([ sort keys %known ], [ sort keys %functions ], 'every function that takes a text is tried');

sql(<<'SQL');
CREATE TABLE items (id int PRIMARY KEY, price int);
INSERT INTO items SELECT i, i FROM generate_series(1, 10) i;
ALTER TABLE items ADD COLUMN cents int;
SELECT tandem.create_migration('m', 7);
SQL
my $calls = '';
my $tried = 0;
foreach my $function (sort keys %functions)
{
	my $arguments = $functions{$function};
	my $call = $function =~ /^(migrate|contract|abort|rehearse)$/ ? 'CALL' : 'SELECT * FROM';

	foreach my $argument (sort keys %$arguments)
	{
		next unless $arguments->{$argument} =~ /^'/;
		# an expression runs, as it should: only what would end it is tried
		my @forms = $argument =~ /^(up|down|definition|set|condition|back)$/ ? grep { $_ ne '%s' && !/\|\||, %s,/ } @smuggled : @smuggled;

		foreach my $text (map { sprintf $_, $statement } @forms)
		{
			my %given = (%$arguments, $argument => literal($text));
			my $list = join ', ', map { "$_ => $given{$_}" } sort keys %given;

			$calls .= "BEGIN;\n$call tandem.$function($list);\nROLLBACK;\n";
			$tried++;
		}
	}
}
my ($status, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\nSET client_min_messages = error;\n$calls", on_error_stop => 0);
my @errors = $err =~ /ERROR:  (\w{5}):/g;
cmp_ok(scalar @errors, '>', $tried / 2, "$tried calls with something smuggled in were tried");
is_deeply([ grep { /^XX/ } @errors ], [], 'no internal error');
is_clean('arguments');

# names, of everything there is, in a migration from end to end
foreach my $form (@smuggled)
{
	my $text = sprintf $form, $expression;
	my ($schema, $role, $table, $part, $old, $new, $split, $index, $check, $migration) =
	  map { substr($_, 0, 60) } map { "$_$text" } qw(s r t p o n b i c m);
	my ($s, $r, $t, $p, $o, $n, $b, $i, $c) = map { identifier($_) } $schema, $role, $table, $part, $old, $new, $split, $index, $check;
	my ($m, $relation) = (literal($migration), literal("$s.$t"));

	sql(<<"SQL");
CREATE ROLE $r SUPERUSER;
SET ROLE $r;
CREATE SCHEMA $s;
CREATE TABLE $s.$t ("key" int PRIMARY KEY, $o int CHECK ($o > 0)) PARTITION BY RANGE ("key");
CREATE TABLE $s.$p PARTITION OF $s.$t FOR VALUES FROM (0) TO (1000);
INSERT INTO $s.$t SELECT k, k FROM generate_series(1, 100) k;
SQL
	my $expand = <<"SQL";
SET client_min_messages = error;
SET ROLE $r;
SELECT tandem.create_migration($m, 42, $m);
SELECT tandem.add_column($m, $relation, @{[literal($new)]}, 'bigint');
SELECT tandem.add_column($m, $relation, @{[literal($split)]}, 'bigint');
SELECT tandem.sync_columns($m, $relation, ARRAY[@{[literal($old)]}], ARRAY[@{[literal($new)]}, @{[literal($split)]}],
	ARRAY[@{[literal("$o / 10")]}, @{[literal("$o % 10")]}], ARRAY[@{[literal("$n * 10 + $b")]}]);
SELECT tandem.add_index($m, @{[literal("CREATE INDEX $i ON $s.$t ($n, $b)")]});
SELECT tandem.add_constraint($m, $relation, @{[literal($check)]}, @{[literal("CHECK ($b < 10)")]});
SELECT tandem.add_not_null($m, $relation, @{[literal($new)]});
SELECT tandem.create_views(42);
CALL tandem.migrate($m);
SQL
	$node->safe_psql('postgres', "$expand; CALL tandem.abort($m)");
	$node->safe_psql('postgres', "DELETE FROM tandem.migration; $expand");
	is(sql("UPDATE $s.$t SET $o = 123 WHERE key = 1; UPDATE release_42.$t SET $b = 7 WHERE key = 1; SELECT $o, $n, $b FROM $s.$t WHERE key = 1"),
		'127|12|7', "$text: both releases write");
	is(sql("SELECT sum(rows_checked), sum(rows_unfilled), sum(rows_mismatched) FROM tandem.verify($m)"), '100|0|0', "$text: every row is right");
	is(sql('SELECT count(*) FROM tandem.progress WHERE migration <> $$m$$ AND state <> $$done$$'), '0', "$text: every step is done");
	sql("SET ROLE $r; CALL tandem.contract($m, undeclared => 'ignore')");
	is(sql("SELECT $n, $b FROM $s.$t WHERE key = 99"), '9|9', "$text: contracted");
	# views of tables in two schemas, made by another role than their owner
	my ($u, $g) = map { identifier(substr("$_$text", 0, 60)) } qw(u g);
	sql(<<"SQL");
CREATE ROLE $g;
CREATE SCHEMA $u;
GRANT USAGE ON SCHEMA $u TO $g;
CREATE TABLE $u.$t (id int, $o int);
COMMENT ON COLUMN $u.$t.$o IS @{[literal($text)]};
GRANT SELECT ($o) ON $u.$t TO $r;
ALTER TABLE $u.$t OWNER TO $g;
SELECT tandem.create_views(43, relations => ARRAY[$relation, @{[literal("$u.$t")]}]);
SELECT tandem.create_views(43, schemas => ARRAY[@{[literal($schema)]}]);
SQL
	is(sql(q(SELECT count(*) FILTER (WHERE view::text LIKE 'release\_43.%'), count(*) FROM tandem.view WHERE release = 43)), '1|2',
		"$text: views in two schemas");
	sql(<<"SQL");
DO \$\$ DECLARE v name; BEGIN
	FOR v IN SELECT nspname FROM pg_namespace WHERE nspname LIKE '%release\_43' LOOP
		EXECUTE format('DROP SCHEMA %I CASCADE', v);
	END LOOP;
END \$\$;
DROP OWNED BY $g;
DROP SCHEMA $u;
DROP ROLE $g;
SQL
	sql("DELETE FROM tandem.registry; DELETE FROM tandem.migration WHERE name <> 'm'; DROP OWNED BY $r; DROP ROLE $r");
}
is_clean('names');

# settings, in a run that uses them
expand_table($node, 'settings', rows => 10);
foreach my $setting (qw(tandem.hold_function tandem.lag_sources application_name search_path))
{
	my @runs = map { "SET $setting = @{[literal(sprintf $_, $statement)]}; CALL tandem.migrate('settings')" } @smuggled;

	$node->psql('postgres', join(";\n", "SET client_min_messages = error; SET tandem.lock_retry_time = '100ms'", @runs), on_error_stop => 0);
}
is_clean('settings');

done_testing();

__DATA__
%s
x'; %s; --
x"; %s; --
x$$; %s; --
x\'; %s; --
x', %s, '
x" || %s || "
x); %s; --
x') || %s || ('
{"x", %s}
$1; %s
