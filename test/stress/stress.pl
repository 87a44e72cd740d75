# The long test of "make stress": STRESS_SECONDS, or STRESS_ROUNDS seeds; TANDEM_SEED repeats one, or several, or
# the known ones, and STRESS_SCENARIOS says which scenarios of them.  Those of regions have STRESS_REGIONS servers, and are
# under load for STRESS_REGION_SECONDS each.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Test::More;
use Stress;

my $seed = $ENV{TANDEM_SEED} // '';
my @seeds = $seed eq 'known' ? Stress::known_seeds() : split ' ', $seed;

Stress::run(
	seeds => \@seeds,
	rounds => $ENV{STRESS_ROUNDS} || scalar @seeds,
	seconds => $ENV{STRESS_SECONDS} || 1200,
	scenarios => [ split ' ', $ENV{STRESS_SCENARIOS} || 'releases publication rows' ],
	regions => $ENV{STRESS_REGIONS} || 3,
	region_seconds => $ENV{STRESS_REGION_SECONDS} || 120,
	keep_going => $ENV{STRESS_KEEP_GOING} || $seed eq 'known',
	standbys => 1,
	dumps => 2);
done_testing();
