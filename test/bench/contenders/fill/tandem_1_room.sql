-- ours, 1 worker, all settings at their defaults, on pages that have room for every new version
\ir ../sync/tandem.sql
\timing on
CALL tandem.migrate('cents', workers => 1);
