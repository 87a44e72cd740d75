-- batches of 128 blocks in PL/pgSQL
ALTER TABLE item ADD COLUMN cents bigint;
\timing on
DO $$
DECLARE
	blocks int := pg_relation_size('item') / current_setting('block_size')::int;
BEGIN
	FOR block IN 0 .. blocks BY 128 LOOP
		UPDATE item SET cents = price * 100::bigint
		WHERE ctid >= format('(%s,0)', block)::tid AND ctid < format('(%s,0)', block + 128)::tid
			AND cents IS NULL;
		COMMIT;
	END LOOP;
END $$;
