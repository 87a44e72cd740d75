# The long war of "make torture": TORTURE_SECONDS, or TORTURE_ROUNDS seeds; TANDEM_SEED replays one, and
# TORTURE_WARS says which wars of it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use Test::More;
use Torture;

my $seed = $ENV{TANDEM_SEED};

Torture::run(
	seeds => defined $seed && $seed ne '' ? [$seed] : [],
	rounds => $ENV{TORTURE_ROUNDS} || (defined $seed && $seed ne '' ? 1 : 0),
	seconds => $ENV{TORTURE_SECONDS} || 1200,
	wars => [ split ' ', $ENV{TORTURE_WARS} || 'releases publication rows' ],
	keep_going => $ENV{TORTURE_KEEP_GOING},
	standbys => 1,
	dumps => 2);
done_testing();
