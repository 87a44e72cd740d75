# make            build against $(PG_CONFIG), by default the newest server found
# make install    install into that server
# make test       every test, in a private copy of the server; installs nothing into it
#                 (some of them: make test REGRESS='guard rights' ISOLATION= PROVE_TESTS=)
# make stress     random load on migrations, every row proved against a model: SECONDS=1200, or ROUNDS=n; SEED=n
#                 repeats random choices, SEED=known those that once failed; SCENARIOS=releases, publication, rows or
#                 regions; REGIONS=3: regions alone, so many, each seed under load for REGION_SECONDS=120
# make coverage   the same tests, and how many of the lines of src/ they run
# make demo       the demonstration, in the same kind of copy; make demo-regions: one of three regions
# make bench      measured beside its rivals, in such a copy; QUICK=1 in minutes; PARTS="fill latency"
# make format, make check-format

MODULE_big = pg_tandem
EXTENSION = pg_tandem
DATA = $(wildcard migrations/pg_tandem--*.sql)
# for servers without this library: the same operations as tandem.at_once, from the same text
DATA_built = tandem_stub.sql
PGFILEDESC = "pg_tandem - schema changes with no downtime"

OBJS = \
	src/pg_tandem.o \
	src/core/catalog_row.o \
	src/core/catalog_watch.o \
	src/core/settings.o \
	src/core/extension.o \
	src/core/text.o \
	src/core/transaction.o \
	src/core/time_limit.o \
	src/core/error.o \
	src/core/authority.o \
	src/core/query.o \
	src/core/lock.o \
	src/core/wait_chain.o \
	src/core/sequence.o \
	src/core/statement.o \
	src/core/relation.o \
	src/catalog/after_switch.o \
	src/catalog/migration.o \
	src/catalog/migration_rights.o \
	src/catalog/migration_lock.o \
	src/catalog/run_control.o \
	src/catalog/registry.o \
	src/catalog/region_row.o \
	src/catalog/session_release.o \
	src/catalog/operation.o \
	src/catalog/owned_column.o \
	src/catalog/release_view.o \
	src/catalog/renamed_column.o \
	src/catalog/step.o \
	src/catalog/step_blocks.o \
	src/catalog/step_report.o \
	src/catalog/sync.o \
	src/catalog/unfinished.o \
	src/catalog/subscription.o \
	src/catalog/writer.o \
	src/rule/assignments.o \
	src/rule/release_names.o \
	src/rule/expression.o \
	src/rule/spelled_out.o \
	src/rule/expression_uses.o \
	src/rule/meaning.o \
	src/rule/rule_args.o \
	src/rule/sync_trigger.o \
	src/rule/fill_mark.o \
	src/rule/rule_uses.o \
	src/rule/recorded_calls.o \
	src/rule/rule_compile.o \
	src/rule/own_side.o \
	src/rule/relation_rules.o \
	src/rule/twin_keys.o \
	src/rule/whole_row.o \
	src/row/dropped_column.o \
	src/row/dual_write.o \
	src/row/round_trip.o \
	src/row/row_state.o \
	src/row/row_tuple.o \
	src/row/unfit_value.o \
	src/row/running_statement.o \
	src/row/plan_source.o \
	src/row/write_target.o \
	src/row/from_itself.o \
	src/row/given_default.o \
	src/row/arrived_default.o \
	src/row/arrived_row.o \
	src/row/writer_statement.o \
	src/row/writer_trigger.o \
	src/row/noted_row.o \
	src/row/row_movement.o \
	src/row/key_lock.o \
	src/row/trigger.o \
	src/row/quarantine.o \
	src/fill/apply_grace.o \
	src/fill/batch.o \
	src/fill/direct_update.o \
	src/fill/pages.o \
	src/fill/switch_update.o \
	src/fill/throttle.o \
	src/fill/throttle_causes.o \
	src/fill/verify.o \
	src/fill/former_writers.o \
	src/fill/row_retry.o \
	src/fill/quarantine_retry.o \
	src/fill/progress_notice.o \
	src/fill/step_run.o \
	src/trigger/target.o \
	src/trigger/writer_trigger.o \
	src/trigger/install.o \
	src/trigger/adopt.o \
	src/trigger/added_columns.o \
	src/trigger/guard.o \
	src/trigger/guard_before.o \
	src/trigger/in_use.o \
	src/trigger/guard_own.o \
	src/trigger/ddl_event.o \
	src/trigger/rule_objects.o \
	src/trigger/overload.o \
	src/trigger/changed_use.o \
	src/trigger/broken.o \
	src/ddl/index_definition.o \
	src/ddl/index_path.o \
	src/ddl/index_build.o \
	src/ddl/constraint_definition.o \
	src/ddl/constraint_build.o \
	src/ddl/key.o \
	src/ddl/named_objects.o \
	src/ddl/not_null.o \
	src/ddl/given_statement.o \
	src/ddl/sequence_type.o \
	src/ddl/statement_names.o \
	src/ddl/take_back.o \
	src/ddl/columns.o \
	src/views/view_definition.o \
	src/views/view_properties.o \
	src/views/view_dependents.o \
	src/views/view_schema.o \
	src/views/view_kept.o \
	src/views/view_default.o \
	src/views/tombstone.o \
	src/views/table_change.o \
	src/views/versioned_view.o \
	src/views/views_end.o \
	src/release/session.o \
	src/release/readiness.o \
	src/release/fence.o \
	src/release/drain.o \
	src/region/release_record.o \
	src/region/published_table.o \
	src/region/release_publication.o \
	src/region/published_ddl.o \
	src/region/release_subscription.o \
	src/region/arrival.o \
	src/region/membership.o \
	src/region/gate.o \
	src/ending/held_rows.o \
	src/ending/kept.o \
	src/ending/open_work.o \
	src/ending/parts.o \
	src/ending/lent_names.o \
	src/ending/losses.o \
	src/ending/built.o \
	src/ending/compiled_functions.o \
	src/ending/operations.o \
	src/ending/remade_views.o \
	src/ending/tables.o \
	src/ending/user_views.o \
	src/ending/view_parts.o \
	src/ending/build_users.o \
	src/run/process.o \
	src/run/command.o \
	src/run/loop.o \
	src/run/fill.o \
	src/run/own_values.o \
	src/run/retry.o \
	src/run/build.o \
	src/run/runner.o \
	src/run/beat.o \
	src/run/after_switch.o \
	src/run/background.o \
	src/lint/script.o \
	src/lint/script_tables.o \
	src/lint/script_change.o \
	src/lint/effect.o \
	src/lint/alter_effect.o \
	src/lint/wide_effect.o \
	src/lint/lint_text.o \
	src/lint/lint_alter.o \
	src/lint/lint_object.o \
	src/lint/lint_use.o \
	src/lint/lint_rule.o \
	src/lint/lint.o \
	src/lint/ddl_check.o \
	src/review/change_trial.o \
	src/review/equal_values.o \
	src/review/fill_estimate.o \
	src/review/lock_watch.o \
	src/review/observed.o \
	src/review/rehearsal_report.o \
	src/review/rehearsal.o \
	src/review/rehearsal_limits.o \
	src/review/rehearse_change.o \
	src/api/arguments.o \
	src/api/result_row.o \
	src/api/expand.o \
	src/api/absent_column.o \
	src/api/added_column.o \
	src/api/add_after_switch.o \
	src/api/add_column.o \
	src/api/carried.o \
	src/api/carried_end.o \
	src/api/carried_key.o \
	src/api/cascade.o \
	src/api/changed_default.o \
	src/api/moved_sequence.o \
	src/api/change_column.o \
	src/api/column_moves.o \
	src/api/column_operation.o \
	src/api/column_rename.o \
	src/api/rule_text.o \
	src/api/take_keys.o \
	src/api/take_names.o \
	src/api/rule_try.o \
	src/api/at_once.o \
	src/api/add_build.o \
	src/api/new_column.o \
	src/api/operations.o \
	src/api/planned_builds.o \
	src/api/statement_check.o \
	src/api/table_operations.o \
	src/api/migrate.o \
	src/api/control.o \
	src/api/refill.o \
	src/api/rehearse.o \
	src/api/release.o \
	src/api/shape.o \
	src/api/create_views.o \
	src/api/region.o \
	src/api/lint.o \
	src/api/load_row.o \
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
ISOLATION_OPTS += --temp-instance=tmp_check/isolation $(SERVER_OPTS) --temp-config=test/setup/isolation.conf
else
# isolation specs need the fence in every session
installcheck: export PGOPTIONS = -c tandem.nice_ratio=0
ISOLATION_OPTS += --launcher='env PGOPTIONS="$$PGOPTIONS -c session_preload_libraries=pg_tandem"'
endif
# the longest first, so that none of them runs alone at the end
LONG_TESTS := $(patsubst %,test/t/%.pl,stress throttle time_left waits region_handshake dump_phases expressions quarantine_retry)
PROVE_TESTS := $(LONG_TESTS) $(filter-out $(LONG_TESTS),$(wildcard test/t/*.pl test/tools/*.pl))
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

# PGXS follows neither headers, nor a change of this file or of the server.
$(OBJS): $(wildcard src/*.h src/*/*.h) Makefile build/server
build/server: FORCE
	@mkdir -p build
	@echo '$(PG_CONFIG) $(VERSION)' | cmp -s - $@ || echo '$(PG_CONFIG) $(VERSION)' > $@

# operations become those of the stub by their names
tandem_stub.sql: migrations/stub.sql migrations/pg_tandem--1.0.sql
	(sed '/^-- OPERATIONS$$/,$$d' migrations/stub.sql; \
	sed -n '/^-- BEGIN AT ONCE$$/,/^-- END AT ONCE$$/p' migrations/pg_tandem--1.0.sql | \
	sed -e '/^-- BEGIN\|^-- END/d' -e 's/^CREATE FUNCTION tandem\.once_change_key\(.*\) RETURNS void/CREATE OR REPLACE PROCEDURE tandem.change_key\1/' \
		-e 's/^CREATE FUNCTION/CREATE OR REPLACE FUNCTION/' -e 's/tandem\.once_/tandem./g'; \
	sed '1,/^-- OPERATIONS$$/d' migrations/stub.sql) > $@

test-folders:
	@mkdir -p tmp_check build/regress build/isolation build/tap

test:
	@test/setup/optional pgbouncer python3-psycopg2 python3-sqlalchemy sqitch libdbd-pg-perl python3-alembic python3-django ruby-activerecord ruby-pg
	@test/setup/sandbox test/setup/run-tests

coverage:
	@test/coverage

stress:
	@test/setup/sandbox env STRESS_SECONDS=$(SECONDS) STRESS_ROUNDS=$(ROUNDS) TANDEM_SEED='$(SEED)' \
		STRESS_SCENARIOS='$(or $(SCENARIOS),$(if $(REGIONS),regions))' STRESS_REGIONS='$(REGIONS)' STRESS_REGION_SECONDS='$(REGION_SECONDS)' \
		test/stress/run

demo:
	@test/setup/sandbox test/demo/run

demo-regions:
	@test/setup/sandbox test/demo/regions

bench:
	@test/setup/optional gnuplot-nox valgrind
	@test/setup/sandbox test/bench/run
	@test/bench/publish

format:
	@test/checks/format --fix

check-format:
	@test/checks/format

.PHONY: test-folders test coverage stress demo demo-regions bench format check-format FORCE
