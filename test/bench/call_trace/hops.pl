# hops.pl LIBRARY FOLDER [list]: what each path of test/bench/hops has called, of the library's own functions,
# by the files of FOLDER that test/bench/call_trace/drive has left.

use strict;
use warnings;

my ($library, $folder, $list) = @ARGV;
my %place = ();

# What is called at these addresses: function and file, for those whose file is in src/.
sub resolve
{
	my @addresses = @_;

	open my $lines, '-|', 'addr2line', '-f', '-e', $library, @addresses or die "addr2line: $!\n";
	foreach my $address (@addresses)
	{
		chomp(my $function = <$lines>);
		my ($file) = <$lines> =~ m{/(src/(?:\w+/)?\w+\.[ch]):};
		$place{$address} = { function => $function, file => $file } if defined $file;
	}
	close $lines or die "addr2line failed\n";
	return;
}

sub read_calls
{
	my ($name) = @_;

	open my $lines, '<', "$folder/$name" or die "$folder/$name: $!\n";
	my @events = map { [split] } <$lines>;
	my %seen = map { $_->[1] => 1 } grep { $_->[0] eq '>' && !$place{ $_->[1] } } @events;
	resolve(sort keys %seen) if %seen;
	return @events;
}

# The events from the n-th call of a function on, until is_end says so of one.
sub between
{
	my ($function, $n, $is_end, @events) = @_;
	my @path = ();

	foreach my $event (@events)
	{
		my ($mark, $address) = @$event;
		my $name = $mark eq '=' ? '' : ($place{$address} // {})->{function} // '';

		next if !@path && !($mark eq '>' && $name eq $function && --$n == 0);
		push @path, $event;
		return @path if $is_end->($mark, $name, $address);
	}
	die "$function: no such path\n";
}

# The most of the library's functions that were under way at a time.  An error ends some without a return.
sub deepest_stack
{
	my (@stack, @deepest);

	foreach my $event (grep { $place{ $_->[1] } } @_)
	{
		my ($mark, $address) = @$event;

		if ($mark eq '>')
		{
			push @stack, $address;
			@deepest = @stack if @stack > @deepest;
		}
		elsif (grep { $_ eq $address } @stack)
		{
			1 while pop @stack ne $address;
		}
	}
	return map { $place{$_} } @deepest;
}

sub show_list
{
	my ($calls, $order, @stack) = @_;
	my %files = map { $_->{file} => 1 } @stack;

	printf "    %4d  %-40s %s\n", $calls->{"$_->{file} $_->{function}"}, $_->{function}, $_->{file} foreach @$order;
	printf "    deepest stack: %d functions in %d files\n", scalar @stack, scalar keys %files;
	printf "          %-40s %s\n", $_->{function}, $_->{file} foreach @stack;
	return;
}

my %path = (
	row => sub { between('tandem_sync_row', 2, sub { $_[0] eq '<' && $_[1] eq 'tandem_sync_row' }, @_) },
	batch => sub { between('tandem_migrate', 1, sub { $_[0] eq '=' && $_[2] > 0 }, @_) },
	contract => sub { between('tandem_contract', 1, sub { $_[0] eq '<' && $_[1] eq 'tandem_contract' }, @_) });

foreach my $name (qw(row batch contract))
{
	my (%calls, %files, @order);
	my @events = $path{$name}->(read_calls($name));

	foreach my $call (map { $place{ $_->[1] } // () } grep { $_->[0] eq '>' } @events)
	{
		push @order, $call if !$calls{"$call->{file} $call->{function}"}++;
		$files{ $call->{file} }++;
	}
	printf "%s %d %d\n", $name, scalar @order, scalar keys %files;
	show_list(\%calls, \@order, deepest_stack(@events)) if $list;
}
