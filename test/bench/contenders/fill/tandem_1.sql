-- ours, 1 worker, all settings at their defaults; the statistics and the proof of every row are part of it
\ir ../sync/tandem.sql
\timing on
CALL tandem.migrate('cents', workers => 1);
