# make            build against $(PG_CONFIG), by default the newest server found
# make install    install into that server
# make test       every test, in a private copy of the server; installs nothing into it
#                 (some of them: make test REGRESS='guard rights' ISOLATION= PROVE_TESTS=)
# make stress     random load on migrations, every row proved against a model: SECONDS=1200, or ROUNDS=n; SEED=n
#                 repeats random choices, SEED=known those that once failed; SCENARIOS=releases, publication or rows
# make coverage   the same tests, and how many of the lines of src/ they run
# make demo       the demonstration, in the same kind of copy
# make bench      measured beside its rivals, in such a copy; QUICK=1 in minutes; PARTS="fill latency"
# make format, make check-format

MODULE_big = pg_tandem
EXTENSION = pg_tandem
DATA = $(wildcard migrations/pg_tandem--*.sql)
PGFILEDESC = "pg_tandem - schema changes with no downtime"

OBJS = \
	src/pg_tandem.o \
	src/core/settings.o \
	src/core/error_class.o \
	src/core/extension.o \
	src/core/text.o \
	src/core/restore.o \
	src/core/hint.o \
	src/core/authority.o \
	src/core/snapshot.o \
	src/core/server_text.o \
	src/core/partition_root.o \
	src/core/role_reference.o \
	src/core/query.o \
	src/core/subtransaction.o \
	src/core/transaction.o \
	src/core/quoting.o \
	src/core/top_level.o \
	src/core/lock.o \
	src/core/same_sql.o \
	src/core/table_rows.o \
	src/catalog/phase.o \
	src/catalog/migration.o \
	src/catalog/open_migration.o \
	src/catalog/migration_rights.o \
	src/catalog/migration_forget.o \
	src/catalog/migration_lock.o \
	src/catalog/sync.o \
	src/catalog/owned_column.o \
	src/catalog/step.o \
	src/catalog/step_blocks.o \
	src/catalog/filled_leaf.o \
	src/catalog/run_control.o \
	src/catalog/registry.o \
	src/catalog/release_note.o \
	src/catalog/writer.o \
	src/catalog/release_view.o \
	src/catalog/subscription.o \
	src/catalog/own_tables.o \
	src/sync/rule_args.o \
	src/sync/expression.o \
	src/sync/expression_literals.o \
	src/sync/fill_mark.o \
	src/sync/given_columns.o \
	src/sync/relation_rules.o \
	src/sync/rule_order.o \
	src/sync/rule_cache.o \
	src/sync/row_state.o \
	src/sync/row_key.o \
	src/sync/row_tuple.o \
	src/sync/row_movement.o \
	src/sync/quarantine.o \
	src/sync/dual_write.o \
	src/sync/trigger.o \
	src/sync/trigger_row.o \
	src/backfill/failed_row.o \
	src/backfill/fill_origin.o \
	src/backfill/direct_update.o \
	src/backfill/page_room.o \
	src/backfill/window.o \
	src/backfill/batch.o \
	src/backfill/pacing.o \
	src/backfill/wal_rate.o \
	src/backfill/replication_lag.o \
	src/backfill/hold_function.o \
	src/backfill/client_load.o \
	src/backfill/throttle.o \
	src/backfill/reclaim.o \
	src/backfill/progress_notice.o \
	src/backfill/verify.o \
	src/backfill/run.o \
	src/backfill/quarantine_retry.o \
	src/ddl/statement.o \
	src/ddl/partitions.o \
	src/ddl/rule_objects.o \
	src/ddl/object_state.o \
	src/ddl/named_in.o \
	src/ddl/ddl_event.o \
	src/ddl/install.o \
	src/ddl/health.o \
	src/ddl/adopt.o \
	src/ddl/guard_report.o \
	src/ddl/guard_trigger.o \
	src/ddl/guard_own.o \
	src/ddl/broken_rules.o \
	src/ddl/broken_steps.o \
	src/ddl/guard.o \
	src/ddl/new_leaf.o \
	src/ddl/target.o \
	src/ddl/replicated_table.o \
	src/ddl/columns.o \
	src/ddl/index_definition.o \
	src/ddl/index_found.o \
	src/ddl/index_leaf.o \
	src/ddl/index_tree.o \
	src/ddl/index_build.o \
	src/ddl/derived_name.o \
	src/ddl/constraint_state.o \
	src/ddl/constraint_definition.o \
	src/ddl/constraint_hint.o \
	src/ddl/constraint_build.o \
	src/ddl/key_definition.o \
	src/ddl/key_build.o \
	src/ddl/not_null_build.o \
	src/ddl/view_definition.o \
	src/ddl/view_dress.o \
	src/ddl/view_schema.o \
	src/ddl/view_schema_name.o \
	src/ddl/versioned_view.o \
	src/api/script.o \
	src/api/load_row.o \
	src/api/arguments.o \
	src/api/repeat.o \
	src/api/expand.o \
	src/api/add_index.o \
	src/api/add_constraint.o \
	src/worker/quota.o \
	src/worker/process.o \
	src/worker/session.o \
	src/worker/command.o \
	src/worker/blockers.o \
	src/worker/loop.o \
	src/worker/vacuum.o \
	src/worker/fill.o \
	src/worker/after_fill.o \
	src/worker/build.o \
	src/worker/runner.o \
	src/worker/background.o \
	src/worker/launcher.o \
	src/release/served.o \
	src/release/declared.o \
	src/release/fence.o \
	src/release/opening.o \
	src/release/drain.o \
	src/release/readiness.o \
	src/api/migrate.o \
	src/api/release.o \
	src/api/create_views.o \
	src/api/verify.o \
	src/api/control.o \
	src/api/forget.o \
	src/api/finish.o \
	src/api/contract.o \
	src/api/abort.o

# Empty on the command line (make WERROR=), a compiler newer than this code does not stop the build.
WERROR = -Werror
PG_CFLAGS = -Wall -Wextra $(WERROR) -Wno-unused-parameter

# Only what SQL or the server calls by name is exported. Servers before 16 leave PGDLLEXPORT empty.
PG_CPPFLAGS = -I$(srcdir)/src '-DPGDLLEXPORT=__attribute__((visibility("default")))'
PG_CFLAGS += -fvisibility=hidden

# Bitcode would serve inlining into JIT code only; nothing here is called that way,
# and it needs the very clang that the server was built with.
override with_llvm = no

# make test: on servers made for the run, reached through private sockets. make installcheck, as everywhere:
# on the running server that PGHOST, PGPORT and PGUSER name, as a superuser, after make install. The server
# needs wal_level = logical and max_prepared_transactions = 4.
SERVER_OPTS = --temp-config=test/setup/postgresql.conf --encoding=UTF8
REGRESS := $(patsubst sql/%.sql,%,$(wildcard sql/*.sql))
REGRESS_OPTS = --outputdir=build/regress
ISOLATION := $(patsubst test/isolation/specs/%.spec,%,$(wildcard test/isolation/specs/*.spec))
ISOLATION_OPTS = --inputdir=test/isolation --outputdir=build/isolation
ifdef PRIVATE_SERVERS
REGRESS_OPTS += --temp-instance=tmp_check/regress $(SERVER_OPTS)
ISOLATION_OPTS += --temp-instance=tmp_check/isolation $(SERVER_OPTS) --temp-config=test/setup/fenced.conf
else
# isolation specs need the fence in every session
installcheck: export PGOPTIONS = -c tandem.nice_ratio=0
ISOLATION_OPTS += --launcher='env PGOPTIONS="$$PGOPTIONS -c session_preload_libraries=pg_tandem"'
endif
PROVE_TESTS := $(wildcard test/t/*.pl)
TAP_TESTS := $(if $(PROVE_TESTS),1)
REGRESS_PREP = test-folders
EXTRA_CLEAN = build tmp_check

# test and demo must run where no server is installed yet: they install it first.
ifndef PG_CONFIG
PG_CONFIG := $(shell test/setup/find-server)
endif
PGXS := $(if $(PG_CONFIG),$(shell $(PG_CONFIG) --pgxs))
ifneq ($(wildcard $(PGXS)),)
include $(PGXS)
else
all install installcheck:
	@echo "no PostgreSQL with server headers found: set PG_CONFIG, or let 'make test' install one" >&2
	@exit 1
clean:
	rm -rf build src/*.o src/*/*.o $(MODULE_big).so
endif

# PGXS follows neither headers nor a change of server.
$(OBJS): $(wildcard src/*.h src/*/*.h) build/server
build/server: FORCE
	@mkdir -p build
	@echo '$(PG_CONFIG) $(VERSION)' | cmp -s - $@ || echo '$(PG_CONFIG) $(VERSION)' > $@

test-folders:
	@mkdir -p tmp_check build/regress build/isolation build/tap

test:
	@test/setup/optional pgbouncer python3-psycopg2 python3-sqlalchemy
	@test/setup/sandbox test/setup/run-tests

coverage:
	@test/coverage

stress:
	@test/setup/sandbox env STRESS_SECONDS=$(SECONDS) STRESS_ROUNDS=$(ROUNDS) TANDEM_SEED='$(SEED)' \
		STRESS_SCENARIOS='$(SCENARIOS)' test/stress/run

demo:
	@test/setup/sandbox test/demo/run

bench:
	@test/setup/optional gnuplot-nox valgrind
	@test/setup/sandbox test/bench/run
	@test/bench/publish

format:
	@test/checks/format --fix

check-format:
	@test/checks/format

.PHONY: test-folders test coverage stress demo bench format check-format FORCE
