-- sql/shape.sql of a project that is tested by pg_regress: expected/shape.out has no rows.
\set script `cat migrations/next/*.sql`
SELECT * FROM tandem.check_shape(41, script => :'script');
