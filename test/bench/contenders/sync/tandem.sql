-- ours: expand
CREATE EXTENSION pg_tandem;
BEGIN;
SELECT tandem.create_migration('cents') \g /dev/null
SELECT tandem.add_column('cents', 'item', 'cents', 'bigint') \g /dev/null
SELECT tandem.sync_column('cents', 'item', old => 'price', new => 'cents',
	up => 'price * 100::bigint', down => '(cents / 100)::int') \g /dev/null
COMMIT;
