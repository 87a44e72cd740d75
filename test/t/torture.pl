# A short war on migrations: see test/torture.  It fights two of the seeds that once failed; new ones are for
# "make torture", where "SEED=n" fights one again.

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

@seeds = ($ENV{TANDEM_SEED}) if $ENV{TANDEM_SEED};
Torture::run(seeds => \@seeds, rounds => scalar @seeds, phases => 2, phase_seconds => 3, dumps => 1);
done_testing();
