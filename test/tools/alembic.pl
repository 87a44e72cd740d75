# Alembic and SQLAlchemy: the files of doc/tools/alembic.md, from the first release to the fourth.
# Hazard: a tool whose scripts are one transaction each, and an ORM that saves what it has read.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";
use ToolTest;
use Test::More;

my $python = '/usr/bin/python3';

plan skip_all => 'alembic, SQLAlchemy and psycopg2 are needed' if system("$python -c 'import alembic, sqlalchemy, psycopg2' 2>/dev/null") != 0;

# What autogenerate would do, by the same settings as env.py: one line each.
my $difference = <<'PY';
import importlib, re, sys
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
sys.path.insert(0, ".")
models = importlib.import_module(sys.argv[1])
options = {"compare_type": True, "include_name": lambda name, kind, parents: not (name and re.search(r"__\d+$", name))}
with create_engine("postgresql://").connect() as connection:
    for change in compare_metadata(MigrationContext.configure(connection, opts=options), models.Base.metadata):
        print(change)
PY

my $tool = ToolTest->new('alembic',
	deploy => sub { ('env', 'PYTHONPATH=.', $python, '-m', 'alembic', 'upgrade', $_[0]) },
	undeploy => sub { ('env', 'PYTHONPATH=.', $python, '-m', 'alembic', 'downgrade', 'name_contract') },
	app => sub { ($python, 'main.py', $_[0]) },
	difference => sub { ($python, '-c', $difference, "release_$_[0]") },
	no_difference => sub { $_[0] eq '' });

$tool->walk;
$tool->{node}->stop;

done_testing();
