-- batches of 1000 by key that write the new column
ALTER TABLE item ADD COLUMN cents bigint;
\timing on
DO $$
DECLARE
	after int := 0;
BEGIN
	LOOP
		WITH batch AS (
			SELECT id FROM item WHERE id > after ORDER BY id LIMIT 1000 FOR NO KEY UPDATE
		), written AS (
			UPDATE item SET cents = item.price * 100::bigint FROM batch WHERE item.id = batch.id RETURNING item.id
		)
		SELECT max(id) INTO after FROM written;
		EXIT WHEN after IS NULL;
		COMMIT;
	END LOOP;
END $$;
