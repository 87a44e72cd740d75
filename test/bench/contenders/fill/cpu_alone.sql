-- no fill: a process that computes for two milliseconds and rests for six, as ours beside clients, and does nothing else
SET bench.ms = :ms;
\timing on
DO $$
DECLARE
	finish timestamptz := clock_timestamp() + current_setting('bench.ms')::float8 * interval '1 ms';
	turn timestamptz;
BEGIN
	WHILE clock_timestamp() < finish LOOP
		turn := clock_timestamp() + '2 ms';
		WHILE clock_timestamp() < turn LOOP
		END LOOP;
		COMMIT;
		PERFORM pg_sleep(0.006);
	END LOOP;
END $$;
