-- batches of 1000 by key that lock their rows and write pk = pk, so that a pair of triggers fills them;
-- without the sleep and the round trips between batches
\ir ../sync/pgroll_manner.sql
\timing on
DO $$
DECLARE
	after int := 0;
BEGIN
	LOOP
		WITH batch AS (
			SELECT id FROM item WHERE id > after ORDER BY id LIMIT 1000 FOR NO KEY UPDATE
		), written AS (
			UPDATE item SET id = item.id FROM batch WHERE item.id = batch.id RETURNING item.id
		)
		SELECT max(id) INTO after FROM written;
		EXIT WHEN after IS NULL;
		COMMIT;
	END LOOP;
END $$;
