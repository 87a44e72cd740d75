-- no fill: a process that computes for two milliseconds and rests for six, as ours beside clients, and does nothing else
\timing on
DO $$
DECLARE
	finish timestamptz := clock_timestamp() + '20 s';
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
