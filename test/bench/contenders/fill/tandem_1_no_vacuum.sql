-- ours, 1 worker, without VACUUM in between
\ir ../sync/tandem.sql
SET tandem.vacuum_every = 0;
\timing on
CALL tandem.migrate('cents', workers => 1);
