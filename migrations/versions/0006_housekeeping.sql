-- Contents that nothing shows, and clusters that are being removed.

-- Looked for by maintenance, so that ingest pays nothing. No foreign key: it would lock contents.
CREATE TABLE unused_content (
    content_id bigint PRIMARY KEY,
    since timestamptz NOT NULL                   -- when it was first found without a place
);
CREATE INDEX unused_content_since ON unused_content (since);

-- Since when a cluster is being removed: nobody sees it, and its rows go in batches.
ALTER TABLE cluster ADD COLUMN removed_at timestamptz;
CREATE INDEX cluster_removed ON cluster (id) WHERE removed_at IS NOT NULL;
