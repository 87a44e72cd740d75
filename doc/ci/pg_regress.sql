-- sql/shape.sql of a project that is tested by pg_regress: what breaks release 41 is a line more than
-- expected/shape.out has, which is this file.
\setenv PGDATABASE :DBNAME
\! psql -Xq -f schema/production.sql >/dev/null 2>&1
\! doc/ci/check 41 migrations/next/*.sql >/dev/null
