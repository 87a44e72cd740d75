-- ours, 2 workers, without VACUUM in between
\ir ../sync/tandem.sql
SET tandem.vacuum_every = 0;
\timing on
CALL tandem.migrate('cents', workers => 2);
