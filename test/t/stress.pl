# Short scenarios of migrations under load: see test/stress.  Those of rows are run with the first seeds that
# once failed ("make stress SEED=known" runs all of them, and so does .ci/long), those of releases and of a
# publication with one of them; "make stress" runs new ones of all kinds, and with "SEED=n" one again.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../stress";
use PostgreSQL::Test::Utils;
use Test::More;
use Stress;

my @given = split ' ', $ENV{TANDEM_SEED} // '';
my @known = Stress::known_seeds();
my @seeds = @given ? @given : @known[ 0 .. 5 ];

Stress::run(scenarios => ['rows'], seeds => \@seeds, rounds => scalar @seeds, phases => 2, phase_seconds => 3, dumps => 1);
Stress::run(
	name => 'other', scenarios => [qw(releases publication)], seeds => [ @given ? @given : $seeds[0] ], rounds => scalar @given || 1,
	release_events => 120, publication_events => 40, dumps => 1);
done_testing();
