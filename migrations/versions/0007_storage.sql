-- The same findings in two thirds of the room (bench/storage.py).
-- Ids that grow with what exists, not with what happens, are of 32 bits. Wide columns come first, so that
-- nothing is padded. An index that only another's prefix makes needless goes, and one that no order is
-- read from ends before its ids: equal entries are then stored once.

ALTER TABLE content ALTER COLUMN id TYPE int;
ALTER TABLE content_count ALTER COLUMN content_id TYPE int;
ALTER TABLE content_package ALTER COLUMN content_id TYPE int, ALTER COLUMN package_id TYPE int;
ALTER TABLE package ALTER COLUMN id TYPE int;
ALTER TABLE unused_content ALTER COLUMN content_id TYPE int;
ALTER TABLE image ALTER COLUMN id TYPE int;
ALTER TABLE image_stat ALTER COLUMN image_id TYPE int;
ALTER TABLE image_spread ALTER COLUMN image_id TYPE int;
ALTER TABLE subject ALTER COLUMN id TYPE int;
ALTER TABLE namespace ALTER COLUMN subject_id TYPE int;
ALTER TABLE node ALTER COLUMN subject_id TYPE int;

-- ---------------------------------------------------------------- findings

-- An entry is found by its content, and told apart there by its key: nobody looks for an id or a key alone.
ALTER TABLE finding DROP CONSTRAINT finding_pkey;
DROP INDEX finding_content, finding_key_content;
ALTER TABLE finding ALTER COLUMN content_id TYPE int;
CREATE INDEX finding_content ON finding (content_id, severity);

-- ---------------------------------------------------------------- inventory

ALTER TABLE workload RENAME TO old;
CREATE TABLE workload (
    fingerprint bigint NOT NULL,
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    subject_id int NOT NULL REFERENCES subject ON DELETE CASCADE,
    bucket smallint NOT NULL,
    service_account text
);
INSERT INTO workload (cluster_id, subject_id, service_account, fingerprint, bucket)
SELECT cluster_id, subject_id, service_account, fingerprint, bucket FROM old ORDER BY cluster_id, subject_id;
DROP TABLE old;
ALTER TABLE workload ADD PRIMARY KEY (subject_id);
CREATE INDEX workload_cluster ON workload (cluster_id);

ALTER TABLE running_image RENAME TO old;
CREATE TABLE running_image (
    cluster_id int NOT NULL,
    subject_id int NOT NULL REFERENCES subject ON DELETE CASCADE,
    image_id int NOT NULL REFERENCES image,
    pods int NOT NULL,
    container text NOT NULL
);
INSERT INTO running_image (cluster_id, subject_id, image_id, pods, container)
SELECT cluster_id, subject_id, image_id, pods, container FROM old ORDER BY cluster_id, subject_id;
DROP TABLE old;
ALTER TABLE running_image ADD PRIMARY KEY (subject_id, container, image_id);
CREATE INDEX running_image_cluster ON running_image (cluster_id);

-- ---------------------------------------------------------------- placements

ALTER TABLE placement_content DROP CONSTRAINT placement_content_placement_id_fkey;
ALTER TABLE placement RENAME TO old;
CREATE TABLE placement (
    gone_at timestamptz,                         -- without reports since; history waits for grace
    id int GENERATED ALWAYS AS IDENTITY,
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    subject_id int NOT NULL REFERENCES subject ON DELETE CASCADE,
    category finding_category,
    contents smallint NOT NULL DEFAULT 0,        -- rows of placement_content
    format smallint,                             -- of the contents behind keysets
    namespace text NOT NULL,                     -- the subject's; a Namespace lies in itself
    source text NOT NULL,
    container text NOT NULL DEFAULT '',
    keysets int[] NOT NULL DEFAULT '{}'          -- what history says is open here, sorted
);
INSERT INTO placement (id, cluster_id, subject_id, namespace, category, source, container, contents,
    keysets, format, gone_at)
OVERRIDING SYSTEM VALUE
SELECT id, cluster_id, subject_id, namespace, category, source, container, contents, keysets, format, gone_at
FROM old ORDER BY id;
DROP TABLE old;
ALTER SEQUENCE placement_id_seq1 RENAME TO placement_id_seq;
SELECT setval(pg_get_serial_sequence('placement', 'id'), coalesce(max(id), 1), max(id) IS NOT NULL)
FROM placement;
ALTER TABLE placement ADD PRIMARY KEY (id),
    ADD CONSTRAINT placement_place UNIQUE NULLS NOT DISTINCT (subject_id, category, source, container);
CREATE INDEX placement_cluster ON placement (cluster_id, namespace);
CREATE INDEX placement_gone ON placement (gone_at) WHERE gone_at IS NOT NULL;

ALTER TABLE placement_content RENAME TO old;
-- Equal to a recount of report, always. A row goes with its last report.
CREATE TABLE placement_content (
    since timestamptz NOT NULL,                  -- when the content came to the placement
    observed_at timestamptz NOT NULL,            -- the newest of its reports
    placement_id int NOT NULL,
    content_id int NOT NULL,
    cluster_id int NOT NULL,
    live int NOT NULL,                           -- reports in each state
    absent int NOT NULL,
    superseded int NOT NULL,
    image_id int                                 -- of one such report, the highest id
);
INSERT INTO placement_content (placement_id, content_id, cluster_id, live, absent, superseded, image_id,
    since, observed_at)
SELECT placement_id, content_id, cluster_id, live, absent, superseded, image_id, since, observed_at
FROM old ORDER BY placement_id, content_id;
DROP TABLE old;
ALTER TABLE placement_content ADD PRIMARY KEY (placement_id, content_id),
    ADD FOREIGN KEY (placement_id) REFERENCES placement ON DELETE CASCADE;
CREATE INDEX placement_content_content ON placement_content (content_id, cluster_id, placement_id);
CREATE INDEX placement_content_cluster ON placement_content (cluster_id);
CREATE INDEX placement_content_image ON placement_content (image_id, cluster_id) WHERE image_id IS NOT NULL;

-- ---------------------------------------------------------------- reports

-- Few, and shared by all: a catalogue that stays.
CREATE TABLE report_kind (
    id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    api_group text NOT NULL,
    kind text NOT NULL,
    UNIQUE (api_group, kind)
);
INSERT INTO report_kind (api_group, kind) SELECT DISTINCT api_group, kind FROM report ORDER BY 1, 2;

-- What a report is known by within its cluster: 128 bits of SHA-256 over its names.
CREATE FUNCTION report_key(api_group text, kind text, namespace text, name text, sub_key text)
RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT encode(substr(sha256(convert_to(ARRAY[api_group, kind, namespace, name, sub_key]::text, 'UTF8')),
        1, 16), 'hex')::uuid
$$;

ALTER TABLE report RENAME TO old;
CREATE TABLE report (
    key uuid NOT NULL,                           -- report_key of its names
    reported_at timestamptz,                     -- its own time
    observed_at timestamptz NOT NULL,            -- the agent's, corrected by its skew
    absent_since timestamptz,                    -- of an ABSENT one
    fingerprint bigint NOT NULL,
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    placement_id int NOT NULL,
    content_id int NOT NULL,
    image_id int,
    state report_state NOT NULL,
    kind_id smallint NOT NULL,                   -- no foreign key: kinds stay
    bucket smallint NOT NULL,
    namespace text NOT NULL,
    name text NOT NULL,
    sub_key text NOT NULL,
    uid text,
    scanner text,
    scanner_version text,
    labels jsonb NOT NULL DEFAULT '{}'
);
INSERT INTO report (key, cluster_id, kind_id, namespace, name, sub_key, uid, placement_id, content_id,
    image_id, state, scanner, scanner_version, labels, reported_at, observed_at, absent_since, fingerprint,
    bucket)
SELECT report_key(r.api_group, r.kind, r.namespace, r.name, r.sub_key), r.cluster_id, k.id, r.namespace,
    r.name, r.sub_key, r.uid, r.placement_id, r.content_id, r.image_id, r.state, r.scanner,
    r.scanner_version, r.labels, r.reported_at, r.observed_at, r.absent_since, r.fingerprint, r.bucket
FROM old r JOIN report_kind k USING (api_group, kind) ORDER BY r.cluster_id, r.id;
DROP TABLE old;
ALTER TABLE report ADD PRIMARY KEY (cluster_id, key);
CREATE INDEX report_placement ON report (placement_id, content_id);
CREATE INDEX report_absent ON report (absent_since) WHERE state = 'ABSENT';

-- ---------------------------------------------------------------- history

ALTER TABLE transition RENAME TO old;
CREATE TABLE transition (
    at timestamptz NOT NULL,
    observed_at timestamptz NOT NULL,
    placement_id int NOT NULL,
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    before int[] NOT NULL,                       -- keysets, sorted
    after int[] NOT NULL
);
-- A placement's times rise, which nothing has enforced so far.
INSERT INTO transition (placement_id, cluster_id, at, observed_at, before, after)
SELECT placement_id, cluster_id,
    at + (row_number() OVER (PARTITION BY placement_id, at ORDER BY id) - 1) * interval '1 microsecond',
    observed_at, before, after
FROM old ORDER BY id;
DROP TABLE old;
ALTER TABLE transition ADD PRIMARY KEY (placement_id, at);
CREATE INDEX transition_at ON transition (at);
CREATE INDEX transition_cluster ON transition (cluster_id, at);

-- ---------------------------------------------------------------- who may see what is shared

ALTER TABLE usage RENAME TO old;
-- placements and reports count live and absent ones; rows counts superseded ones too.
CREATE TABLE usage (
    content_id int NOT NULL,
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    "rows" int NOT NULL,
    placements int NOT NULL,
    reports int NOT NULL,
    namespace text NOT NULL
);
INSERT INTO usage (content_id, cluster_id, namespace, "rows", placements, reports)
SELECT content_id, cluster_id, namespace, "rows", placements, reports FROM old
ORDER BY content_id, cluster_id, namespace;
DROP TABLE old;
ALTER TABLE usage ADD PRIMARY KEY (content_id, cluster_id, namespace);
CREATE INDEX usage_cluster ON usage (cluster_id, namespace);
CREATE INDEX usage_namespace ON usage (namespace, content_id);

ALTER TABLE image_usage RENAME TO old;
CREATE TABLE image_usage (
    image_id int NOT NULL REFERENCES image,
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    subject_id int NOT NULL REFERENCES subject ON DELETE CASCADE,
    reports int NOT NULL,                        -- live and absent
    pods int NOT NULL,
    namespace text NOT NULL                      -- the subject's
);
INSERT INTO image_usage (image_id, cluster_id, namespace, subject_id, reports, pods)
SELECT image_id, cluster_id, namespace, subject_id, reports, pods FROM old
ORDER BY image_id, cluster_id, subject_id;
DROP TABLE old;
ALTER TABLE image_usage ADD PRIMARY KEY (image_id, cluster_id, subject_id);
CREATE INDEX image_usage_subject ON image_usage (subject_id);
CREATE INDEX image_usage_cluster ON image_usage (cluster_id, namespace);
