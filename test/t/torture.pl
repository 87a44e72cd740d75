# Short wars on migrations: see test/torture.  Those on rows are fought of two seeds that once failed, those on
# releases and on a publication of a new one each time; "make torture" fights new ones of all kinds, and with
# "SEED=n" one again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../torture";
use List::Util qw(shuffle);
use PostgreSQL::Test::Utils;
use Test::More;
use Torture;

my @kept = grep { /^\d+$/ } split /\s+/, slurp_file("$FindBin::Bin/../torture/seeds") =~ s/#.*//gr;
my @seeds = (shuffle @kept)[ 0, 1 ];

my $again = $ENV{TANDEM_SEED};

@seeds = ($again) if $again;
Torture::run(wars => ['rows'], seeds => \@seeds, rounds => scalar @seeds, phases => 2, phase_seconds => 3, dumps => 1);
Torture::run(
	name => 'other', wars => [qw(releases publication)], seeds => [ $again || () ], rounds => 1,
	release_events => 120, publication_events => 40, dumps => 1);
done_testing();
