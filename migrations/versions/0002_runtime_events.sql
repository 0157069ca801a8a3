-- Runtime events, by day; what is known to be missing of them; counts by hour.

CREATE TYPE event_priority AS ENUM ('DEBUG', 'INFORMATIONAL', 'NOTICE', 'WARNING', 'ERROR', 'CRITICAL',
    'ALERT', 'EMERGENCY');

CREATE SEQUENCE runtime_event_id AS bigint CACHE 1;

-- Partitions are runtime_event_YYYYMMDD, made ahead and dropped by maintenance.
-- No foreign keys: COPY pays for each row.
CREATE TABLE runtime_event (
    cluster_id int NOT NULL,
    at timestamptz NOT NULL,                     -- time, clamped around arrival: 7 days back, 5 minutes ahead
    id bigint NOT NULL DEFAULT nextval('runtime_event_id'),
    tx xid8 NOT NULL DEFAULT pg_current_xact_id(),  -- with id, the order in which events become visible
    "time" timestamptz NOT NULL,                 -- the event's own, else when it was received
    time_ns smallint NOT NULL DEFAULT 0,         -- nanoseconds beyond what timestamptz holds
    received_at timestamptz NOT NULL,            -- by the agent, corrected by its skew
    priority event_priority NOT NULL,
    rule text NOT NULL,
    source text NOT NULL,                        -- syscall, k8s_audit, a plugin's
    hostname text NOT NULL,                      -- '' where the event names none
    namespace text NOT NULL,                     -- '' is cluster scope
    pod text NOT NULL,
    container text NOT NULL,
    subject_id bigint,
    image_id bigint,
    output text NOT NULL,
    tags text[] NOT NULL,
    fields jsonb NOT NULL,                       -- output_fields, and what else the event brought
    PRIMARY KEY (cluster_id, at, id)
) PARTITION BY RANGE (at);
CREATE INDEX runtime_event_at ON runtime_event (at, id);
CREATE INDEX runtime_event_tx ON runtime_event (tx, id);
CREATE INDEX runtime_event_rule ON runtime_event (rule, at, id);
CREATE INDEX runtime_event_priority ON runtime_event (priority, at, id);
CREATE INDEX runtime_event_source ON runtime_event (source, at, id) WHERE source <> 'syscall';
CREATE INDEX runtime_event_namespace ON runtime_event (namespace, at, id) WHERE namespace <> '';
CREATE INDEX runtime_event_pod ON runtime_event (pod, at, id) WHERE pod <> '';
CREATE INDEX runtime_event_subject ON runtime_event (subject_id, at, id) WHERE subject_id IS NOT NULL;
CREATE INDEX runtime_event_image ON runtime_event (image_id, at, id) WHERE image_id IS NOT NULL;

-- Equal to a recount of runtime_event, always: kept in the ingest transaction.
CREATE TABLE runtime_event_hour (
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    hour timestamptz NOT NULL,                   -- of at
    namespace text NOT NULL,
    rule text NOT NULL,
    priority event_priority NOT NULL,
    source text NOT NULL,
    events bigint NOT NULL,
    PRIMARY KEY (cluster_id, hour, namespace, rule, priority, source)
);
CREATE INDEX runtime_event_hour_hour ON runtime_event_hour (hour);

-- The same for the whole fleet: few rows, however many clusters.
CREATE TABLE runtime_event_fleet_hour (
    hour timestamptz NOT NULL,
    rule text NOT NULL,
    priority event_priority NOT NULL,
    source text NOT NULL,
    events bigint NOT NULL,
    PRIMARY KEY (hour, rule, priority, source)
);

-- And by day, for questions about weeks.
CREATE TABLE runtime_event_fleet_day (
    day timestamptz NOT NULL,
    rule text NOT NULL,
    priority event_priority NOT NULL,
    source text NOT NULL,
    events bigint NOT NULL,
    PRIMARY KEY (day, rule, priority, source)
);

-- Up to where each spool's events are stored; written in the transaction of the rows.
CREATE TABLE event_spool (
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    epoch text NOT NULL,                         -- of one life of a spool, or of one pushed file
    next bigint NOT NULL,                        -- the first offset that is not stored
    stored_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (cluster_id, epoch)
);

CREATE TABLE event_gap (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    epoch text NOT NULL,
    key text NOT NULL,                           -- names the gap within its epoch; a growing one is written again
    started_at timestamptz,
    ended_at timestamptz,
    events bigint,                               -- null where nobody knows
    reason text NOT NULL,
    priorities jsonb,                            -- events by priority, where known
    recorded_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (cluster_id, epoch, key)
);
CREATE INDEX event_gap_ended ON event_gap (cluster_id, ended_at);

ALTER TABLE agent_session
    ADD COLUMN events_day date NOT NULL DEFAULT '-infinity',  -- that the next one is of, UTC
    ADD COLUMN events_today bigint NOT NULL DEFAULT 0,        -- taken from this cluster, for its budget
    ADD COLUMN spool_events bigint,                           -- waiting in the agent at its last heartbeat,
    ADD COLUMN spool_oldest_at timestamptz                    -- and since when the oldest does
;

CREATE FUNCTION runtime_event_partition(day date) RETURNS text LANGUAGE sql IMMUTABLE AS
    $$ SELECT 'runtime_event_' || to_char(day, 'YYYYMMDD') $$;

-- Makes the partitions of the days from first to last that are not there. Returns how many it made.
CREATE FUNCTION runtime_event_make_partitions(first date, last date) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    day date;
    made int := 0;
BEGIN
    FOR day IN SELECT generate_series(first, last, interval '1 day')::date LOOP
        IF to_regclass(runtime_event_partition(day)) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF runtime_event FOR VALUES FROM (%L) TO (%L)',
                runtime_event_partition(day), day::text || ' 00:00:00+00', (day + 1)::text || ' 00:00:00+00');
            made := made + 1;
        END IF;
    END LOOP;
    RETURN made;
END $$;

SELECT runtime_event_make_partitions(
    ((now() AT TIME ZONE 'UTC')::date - 8), ((now() AT TIME ZONE 'UTC')::date + 3));
