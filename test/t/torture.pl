# A short war on migrations: see test/torture.  It fights one seed that once failed, and a new one, which
# it prints; "make torture SEED=n" fights it again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../torture";
use PostgreSQL::Test::Utils;
use Test::More;
use Torture;

my @kept = grep { /^\d+$/ } split /\s+/, slurp_file("$FindBin::Bin/../torture/seeds") =~ s/#.*//gr;
my @seeds = @kept ? $kept[ rand @kept ] : ();

@seeds = ($ENV{TANDEM_SEED}) if $ENV{TANDEM_SEED};
Torture::run(seeds => \@seeds, rounds => 2, phases => 2, phase_seconds => 3, dumps => 1);
done_testing();
