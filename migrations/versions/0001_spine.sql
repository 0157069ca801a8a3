-- Fleet, sync state, contents, findings, history and counts.
-- Enum types sort by rank and print as the API shows them.

CREATE TYPE severity AS ENUM ('UNKNOWN', 'INFO', 'LOW', 'MEDIUM', 'HIGH', 'CRITICAL');
CREATE TYPE finding_status AS ENUM ('PASS', 'SKIP', 'ERROR', 'WARN', 'FAIL');
CREATE TYPE finding_category AS ENUM ('VULNERABILITY', 'MISCONFIGURATION', 'SECRET', 'POLICY', 'BENCHMARK',
    'RBAC', 'INFRASTRUCTURE', 'PROVENANCE', 'NETWORK', 'CLOUD');
CREATE TYPE report_state AS ENUM ('LIVE', 'SUPERSEDED', 'ABSENT');
CREATE TYPE kind_state AS ENUM ('SYNCED', 'LISTING', 'FORBIDDEN', 'ABSENT', 'ERROR');
CREATE TYPE cluster_mode AS ENUM ('AGENT', 'PUSH');
CREATE TYPE token_role AS ENUM ('VIEWER', 'ADMIN', 'AGENT');

-- ---------------------------------------------------------------- the fleet

CREATE TABLE cluster (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ordinal int NOT NULL UNIQUE,                 -- dense, the cluster's bit in bitmaps
    name text NOT NULL UNIQUE,
    labels jsonb NOT NULL DEFAULT '{}',
    uid text UNIQUE,                             -- of kube-system; bound by the first agent session
    mode cluster_mode,                           -- decided by the first session
    kubernetes_version text,
    agent_version text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX cluster_labels ON cluster USING gin (labels jsonb_path_ops);

-- One row a cluster from its first day: ingest locks it, in the order of cluster_id.
CREATE TABLE agent_session (
    cluster_id int PRIMARY KEY REFERENCES cluster ON DELETE CASCADE,
    number bigint NOT NULL DEFAULT 0,            -- the fence: frames of lower numbers are dropped
    instance text NOT NULL DEFAULT '',
    last_seen_at timestamptz,
    last_full_sync_at timestamptz,               -- when every kind was last found equal
    last_change_at timestamptz,                  -- the latest `at`, so that it rises
    clock_skew_ms int,                           -- how far the agent's clock is ahead
    quota_day date NOT NULL DEFAULT '-infinity', -- that the next two are of, UTC
    quota_rules int NOT NULL DEFAULT 0,          -- rules that this cluster brought first
    quota_bytes bigint NOT NULL DEFAULT 0        -- of contents that this cluster brought first
);

CREATE TABLE sync_root (
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    kind text NOT NULL,                          -- group/Kind, or inventory/Workload …
    state kind_state NOT NULL DEFAULT 'LISTING',
    message text,
    entries int NOT NULL DEFAULT 0,
    root bigint NOT NULL DEFAULT 0,              -- XOR of the entries' fingerprints
    newest_report_at timestamptz,
    scanner text,
    PRIMARY KEY (cluster_id, kind)
);

-- ---------------------------------------------------------------- access

CREATE TABLE credential (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    role token_role NOT NULL,
    token_hash bytea NOT NULL UNIQUE,            -- SHA-256 of a random token of 256 bits
    cluster_id int REFERENCES cluster ON DELETE CASCADE,  -- of an agent's token
    scope_clusters jsonb,                        -- a ClusterFilter; null is every cluster
    scope_namespaces text[],                     -- null is every namespace
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    CHECK ((role = 'AGENT') = (cluster_id IS NOT NULL))
);
CREATE INDEX credential_cluster ON credential (cluster_id) WHERE cluster_id IS NOT NULL;

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,                         -- the credential's name, or "fleetwatch up"
    credential_id uuid,
    action text NOT NULL,                        -- addCluster, revokeToken …
    target text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'           -- never a token
);

-- ---------------------------------------------------------------- contents, stored once

CREATE TABLE keyset (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,                -- SHA-256 of the keys
    keys bigint[] NOT NULL                       -- sorted, distinct
);

-- What a key stands for; it outlives the findings, as history needs it.
CREATE TABLE finding_key (
    key bigint PRIMARY KEY,                      -- 64 bits of BLAKE2b over the four
    category finding_category NOT NULL,
    rule text NOT NULL,
    package text,
    target text
);

CREATE TABLE rule (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    category finding_category NOT NULL,
    key text NOT NULL,
    severity severity NOT NULL DEFAULT 'UNKNOWN',
    score real,
    title text,
    description text,
    remediation text,
    links text[] NOT NULL DEFAULT '{}',          -- https only
    published_at timestamptz,
    modified_at timestamptz,
    UNIQUE (key, category)
);

CREATE TABLE content (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    kind text NOT NULL,
    format smallint NOT NULL,
    reader smallint NOT NULL,                    -- the version of the reader that made its findings
    body bytea NOT NULL,                         -- zstd of the canonical JSON
    bytes int NOT NULL,                          -- of the canonical JSON
    keyset_id int NOT NULL REFERENCES keyset,
    os text,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX content_reader ON content (kind, reader);

CREATE TABLE content_count (
    content_id bigint NOT NULL REFERENCES content ON DELETE CASCADE,
    category finding_category NOT NULL,
    severity severity NOT NULL,
    status finding_status NOT NULL,
    findings int NOT NULL,
    PRIMARY KEY (content_id, severity, status)
);

CREATE TABLE finding (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    content_id bigint NOT NULL,                  -- no foreign key: COPY pays for each row
    rule_id int NOT NULL,
    key bigint NOT NULL,
    ordinal smallint NOT NULL,                   -- among equal keys of the content
    category finding_category NOT NULL,
    status finding_status NOT NULL,
    severity severity NOT NULL,
    score real,
    package text,
    installed_version text,
    fixed_version text,
    package_type text,
    purl text,
    package_path text,
    target text,
    message text
);
CREATE INDEX finding_content ON finding (content_id, severity, id);
CREATE INDEX finding_severity ON finding (severity, id) WHERE status IN ('FAIL', 'WARN', 'ERROR');
CREATE INDEX finding_rule ON finding (rule_id, severity, id);
CREATE INDEX finding_package ON finding (package, severity, id) WHERE package IS NOT NULL;
CREATE INDEX finding_category ON finding (category, severity, id) WHERE status IN ('FAIL', 'WARN', 'ERROR');
CREATE INDEX finding_key_content ON finding (key, content_id);

CREATE TABLE package (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,                -- BLAKE2b-128 of the columns below
    name text NOT NULL,
    version text NOT NULL,
    type text,
    purl text,
    "group" text,
    licenses text[] NOT NULL DEFAULT '{}'
);
CREATE INDEX package_name ON package (name, version, id);

CREATE TABLE content_package (
    content_id bigint NOT NULL REFERENCES content ON DELETE CASCADE,
    package_id bigint NOT NULL REFERENCES package,
    PRIMARY KEY (content_id, package_id)
);
CREATE INDEX content_package_package ON content_package (package_id, content_id);

-- ---------------------------------------------------------------- images

CREATE TABLE image (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    registry text NOT NULL,
    repository text NOT NULL,
    tag text NOT NULL DEFAULT '',
    digest text NOT NULL DEFAULT '',
    digest_trusted boolean NOT NULL DEFAULT false, -- seen running, not only reported
    name text NOT NULL GENERATED ALWAYS AS (
        registry || '/' || repository
        || CASE WHEN tag = '' THEN '' ELSE ':' || tag END
        || CASE WHEN digest = '' THEN '' ELSE '@' || digest END) STORED,
    UNIQUE (registry, repository, tag, digest)
);
CREATE INDEX image_repository ON image (repository, id);
CREATE INDEX image_name ON image (name, id);

-- ---------------------------------------------------------------- subjects and inventory

CREATE TABLE subject (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    api_group text NOT NULL,                     -- '' is the core group
    kind text NOT NULL,
    namespace text NOT NULL,                     -- '' is cluster scope
    name text NOT NULL,
    labels jsonb NOT NULL DEFAULT '{}',
    resolved boolean NOT NULL DEFAULT false,     -- its owner is known from an inventory
    running boolean,                             -- the inventory holds it; null where there is none
    pods int,                                    -- null where no inventory counts them
    present boolean NOT NULL DEFAULT true,       -- it runs or has a report; else only history knows it
    scanned boolean NOT NULL DEFAULT false,      -- it has a live or absent report
    UNIQUE (cluster_id, namespace, kind, name, api_group)
);
CREATE INDEX subject_name ON subject (name, id);

CREATE TABLE workload (
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    subject_id bigint NOT NULL REFERENCES subject ON DELETE CASCADE,
    service_account text,
    fingerprint bigint NOT NULL,
    bucket smallint NOT NULL,
    PRIMARY KEY (cluster_id, subject_id)
);
CREATE TABLE namespace (
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    name text NOT NULL,
    subject_id bigint NOT NULL REFERENCES subject ON DELETE CASCADE,
    labels jsonb NOT NULL DEFAULT '{}',
    fingerprint bigint NOT NULL,
    bucket smallint NOT NULL,
    PRIMARY KEY (cluster_id, name)
);
CREATE TABLE node (
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    name text NOT NULL,
    subject_id bigint NOT NULL REFERENCES subject ON DELETE CASCADE,
    labels jsonb NOT NULL DEFAULT '{}',
    kubelet_version text,
    os_image text,
    architecture text,
    container_runtime text,
    fingerprint bigint NOT NULL,
    bucket smallint NOT NULL,
    PRIMARY KEY (cluster_id, name)
);
CREATE TABLE running_image (
    cluster_id int NOT NULL,
    subject_id bigint NOT NULL REFERENCES subject ON DELETE CASCADE,
    container text NOT NULL,
    image_id bigint NOT NULL REFERENCES image,
    pods int NOT NULL,
    PRIMARY KEY (cluster_id, subject_id, container, image_id)
);
CREATE INDEX running_image_subject ON running_image (subject_id);
CREATE INDEX workload_subject ON workload (subject_id);
CREATE INDEX namespace_subject ON namespace (subject_id);
CREATE INDEX node_subject ON node (subject_id);
CREATE INDEX running_image_image ON running_image (image_id, cluster_id);

-- ---------------------------------------------------------------- reports and what they point at

-- What a report's subject and container is for one category and source: findings and history hang here.
-- A bill of materials has no category.
CREATE TABLE placement (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    subject_id bigint NOT NULL REFERENCES subject ON DELETE CASCADE,
    namespace text NOT NULL,                     -- the subject's; a Namespace lies in itself
    category finding_category,
    source text NOT NULL,
    container text NOT NULL DEFAULT '',
    contents smallint NOT NULL DEFAULT 0,        -- rows of placement_content
    keysets int[] NOT NULL DEFAULT '{}',         -- what history says is open here, sorted
    format smallint,                             -- of the contents behind keysets
    gone_at timestamptz,                         -- without reports since; history waits for grace
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (subject_id, source, category, container)
);
CREATE INDEX placement_cluster ON placement (cluster_id, namespace, id);
CREATE INDEX placement_gone ON placement (gone_at) WHERE gone_at IS NOT NULL;

CREATE TABLE report (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    api_group text NOT NULL,
    kind text NOT NULL,
    namespace text NOT NULL,
    name text NOT NULL,
    sub_key text NOT NULL,
    uid text,
    placement_id bigint NOT NULL,
    content_id bigint NOT NULL,
    image_id bigint,
    state report_state NOT NULL,
    scanner text,
    scanner_version text,
    labels jsonb NOT NULL DEFAULT '{}',
    reported_at timestamptz,                     -- the report's own time
    observed_at timestamptz NOT NULL,            -- the agent's, corrected by its skew
    absent_since timestamptz,                    -- of an ABSENT one
    fingerprint bigint NOT NULL,
    bucket smallint NOT NULL,
    UNIQUE (cluster_id, kind, namespace, name, sub_key, api_group)
);
CREATE INDEX report_bucket ON report (cluster_id, api_group, kind, bucket) WHERE state <> 'ABSENT';
CREATE INDEX report_placement ON report (placement_id, content_id);
CREATE INDEX report_content ON report (content_id);
CREATE INDEX report_image ON report (image_id, cluster_id) WHERE image_id IS NOT NULL;
CREATE INDEX report_absent ON report (absent_since) WHERE state = 'ABSENT';

CREATE TABLE failed_report (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    api_group text NOT NULL,
    kind text NOT NULL,
    namespace text NOT NULL,
    name text NOT NULL,
    sub_key text NOT NULL,
    reason text NOT NULL,
    bytes bigint,
    observed_at timestamptz NOT NULL,
    fingerprint bigint NOT NULL,
    bucket smallint NOT NULL,
    UNIQUE (cluster_id, kind, namespace, name, sub_key, api_group)
);

-- Equal to a recount of report, always. A row goes with its last report.
CREATE TABLE placement_content (
    placement_id bigint NOT NULL REFERENCES placement ON DELETE CASCADE,
    content_id bigint NOT NULL,
    cluster_id int NOT NULL,
    live int NOT NULL,
    absent int NOT NULL,
    superseded int NOT NULL,
    image_id bigint,                             -- of one such report, the highest id
    since timestamptz NOT NULL,                  -- when the content came to the placement
    observed_at timestamptz NOT NULL,            -- the newest of its reports
    PRIMARY KEY (placement_id, content_id)
);
CREATE INDEX placement_content_content ON placement_content (content_id, cluster_id, placement_id);
CREATE INDEX placement_content_cluster ON placement_content (cluster_id, content_id);
CREATE INDEX placement_content_image ON placement_content (image_id, cluster_id) WHERE image_id IS NOT NULL;

CREATE TABLE transition (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    placement_id bigint NOT NULL,
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    at timestamptz NOT NULL,
    observed_at timestamptz NOT NULL,
    before int[] NOT NULL,                       -- keysets, sorted
    after int[] NOT NULL
);
CREATE INDEX transition_placement ON transition (placement_id, at);
CREATE INDEX transition_at ON transition (at);
CREATE INDEX transition_cluster ON transition (cluster_id, at);

-- ---------------------------------------------------------------- counts, kept in the ingest transaction

-- Of live and absent reports. findings: one a placement and entry; occurrences: one a report and entry.
CREATE TABLE severity_count (
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    namespace text NOT NULL,
    source text NOT NULL,
    category finding_category NOT NULL,
    severity severity NOT NULL,
    status finding_status NOT NULL,
    findings bigint NOT NULL,
    occurrences bigint NOT NULL,
    PRIMARY KEY (cluster_id, namespace, source, category, severity, status)
);

CREATE INDEX severity_count_severity ON severity_count (cluster_id, severity) WHERE findings > 0;

-- Who may see a shared content. placements and reports count live and absent ones; rows counts
-- superseded ones too.
CREATE TABLE usage (
    content_id bigint NOT NULL,
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    namespace text NOT NULL,
    "rows" int NOT NULL,
    placements int NOT NULL,
    reports int NOT NULL,
    PRIMARY KEY (content_id, cluster_id, namespace)
);
CREATE INDEX usage_cluster ON usage (cluster_id, namespace, content_id);

-- Who may see a shared image: where reports name it or pods run it.
CREATE TABLE image_usage (
    image_id bigint NOT NULL REFERENCES image,
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    namespace text NOT NULL,
    subject_id bigint NOT NULL REFERENCES subject ON DELETE CASCADE,
    reports int NOT NULL,                        -- live and absent
    pods int NOT NULL,
    PRIMARY KEY (image_id, cluster_id, namespace, subject_id)
);
CREATE INDEX image_usage_subject ON image_usage (subject_id, image_id);
CREATE INDEX image_usage_cluster ON image_usage (cluster_id, namespace, image_id);
