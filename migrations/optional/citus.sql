-- Spreads runtime events over the workers of Citus, by cluster. Not run by `fleetwatch migrate`: read
-- docs/scaling.md first, it says what is lost. On a schema that `fleetwatch migrate` has brought up to
-- date, while no aggregator runs:
--
--     psql "$DATABASE_URL" -v ON_ERROR_STOP=1 --single-transaction -f citus.sql
--
-- The extension has to be there (CREATE EXTENSION citus, workers added by citus_add_node).

-- A distributed table may not refer to a local one. A cluster that is removed takes its hours with it
-- all the same: the program deletes from each table by cluster.
ALTER TABLE runtime_event_hour DROP CONSTRAINT runtime_event_hour_cluster_id_fkey;

-- With the partitions that are there; those that are made later follow.
SELECT create_distributed_table('runtime_event', 'cluster_id', colocate_with => 'none');
SELECT create_distributed_table('runtime_event_hour', 'cluster_id', colocate_with => 'runtime_event');
