# How long tandem.lint takes for a long script.
# shellcheck shell=bash
: "${cluster:?}" "${rounds:?}" "${part:?}"
statements=$(size 10000 10000 1000)

title 'A long script read by tandem.lint'
note "$statements statements: of each twelve three make a table, with a column and an index, and nine alter one of two tables that are there: columns, CHECK and foreign keys NOT VALID, defaults, comments, and what goes."
measure lint s
target 'tandem.lint of 10,000 statements: s' lint:mixed 1 '<=' 2
target 'tandem.lint of 10,000 statements that each drop a column in use: s' lint:drops 1 '<=' 2

fresh_database lint
psql_on lint <<-SQL
	CREATE EXTENSION pg_tandem;
	CREATE TABLE customers (id bigint PRIMARY KEY, name text);
	CREATE TABLE orders (id bigint PRIMARY KEY, customer bigint REFERENCES customers, amount int, note text);
	CREATE TABLE scripts (name text, script text);
	INSERT INTO scripts SELECT 'mixed', string_agg(format('CREATE TABLE t%s (id bigint PRIMARY KEY, a int, b text);
		ALTER TABLE t%1\$s ADD c int DEFAULT 5; CREATE INDEX t%1\$s_i ON t%1\$s (a);
		ALTER TABLE orders ADD c%1\$s int; ALTER TABLE orders ADD CONSTRAINT k%1\$s CHECK (amount > %1\$s) NOT VALID;
		ALTER TABLE orders ADD FOREIGN KEY (amount) REFERENCES customers NOT VALID;
		ALTER TABLE customers ALTER name SET DEFAULT ''a''; COMMENT ON TABLE orders IS ''a''; ALTER TABLE orders DROP note;
		ALTER TABLE customers ALTER name TYPE varchar(20); ALTER TABLE customers ALTER name SET NOT NULL;
		UPDATE orders SET amount = 1 WHERE id = %1\$s', i), ';') FROM generate_series(1, $statements / 12) i
	UNION ALL SELECT 'drops', repeat('ALTER TABLE orders DROP note;', $statements);
SQL
for ((round = 1; round <= rounds; round++)); do
	say "$part, round $round of $rounds"
	for script in mixed drops; do
		began=$EPOCHREALTIME
		query lint "SELECT count(*) FROM scripts s, tandem.lint(s.script) WHERE s.name = '$script'" >/dev/null
		seconds=$(awk -v b="$began" -v e="$EPOCHREALTIME" 'BEGIN { print e - b }')
		value lint "$script" "$round" "$seconds"
	done
done
drop_databases lint
