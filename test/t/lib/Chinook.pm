# The public Chinook sample database, of eleven tables.
package Chinook;

use strict;
use warnings;

use Exporter qw(import);
use Test::More;

our @EXPORT = qw(load_chinook);

# Loads it into a database of its own, chinook; the test is skipped where there is none.
sub load_chinook
{
	my ($node) = @_;
	my $script = $ENV{TANDEM_CHINOOK} || '../shared/data/chinook.sql';

	plan skip_all => "no sample database at $script" unless -r $script;
	$node->start;
	# the script makes the database and connects to it
	$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $script ],
		'the sample database is loaded');
	return;
}

1;
