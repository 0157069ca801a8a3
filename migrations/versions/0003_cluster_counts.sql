-- Counts by cluster without their namespaces: what most questions about the whole fleet sum up.
-- Kept from severity_count by triggers, so that whoever writes that cannot forget this; equal to its
-- sum, always. The lock on the cluster's session, which every writer holds, orders them.

CREATE TABLE cluster_severity_count (
    cluster_id int NOT NULL REFERENCES cluster ON DELETE CASCADE,
    source text NOT NULL,
    category finding_category NOT NULL,
    severity severity NOT NULL,
    status finding_status NOT NULL,
    findings bigint NOT NULL,
    occurrences bigint NOT NULL,
    PRIMARY KEY (cluster_id, source, category, severity, status)
);

INSERT INTO cluster_severity_count
SELECT cluster_id, source, category, severity, status, sum(findings), sum(occurrences)
FROM severity_count GROUP BY 1, 2, 3, 4, 5;

CREATE FUNCTION severity_count_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO cluster_severity_count AS c
    SELECT cluster_id, source, category, severity, status, sum(findings), sum(occurrences)
    FROM added GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (cluster_id, source, category, severity, status) DO UPDATE SET
        findings = c.findings + excluded.findings, occurrences = c.occurrences + excluded.occurrences;
    RETURN NULL;
END $$;

CREATE FUNCTION severity_count_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE cluster_severity_count c
    SET findings = c.findings + d.findings, occurrences = c.occurrences + d.occurrences
    FROM (
        SELECT cluster_id, source, category, severity, status, sum(findings) AS findings,
            sum(occurrences) AS occurrences
        FROM (SELECT * FROM added UNION ALL
            SELECT cluster_id, namespace, source, category, severity, status, -findings, -occurrences
            FROM removed) x
        GROUP BY 1, 2, 3, 4, 5) d
    WHERE (c.cluster_id, c.source, c.category, c.severity, c.status)
        = (d.cluster_id, d.source, d.category, d.severity, d.status)
        AND (d.findings <> 0 OR d.occurrences <> 0);
    RETURN NULL;
END $$;

-- Rows go when they are zero; those of a cluster that is removed take their sum along.
CREATE FUNCTION severity_count_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE cluster_severity_count c
    SET findings = c.findings - d.findings, occurrences = c.occurrences - d.occurrences
    FROM (
        SELECT cluster_id, source, category, severity, status, sum(findings) AS findings,
            sum(occurrences) AS occurrences
        FROM removed GROUP BY 1, 2, 3, 4, 5) d
    WHERE (c.cluster_id, c.source, c.category, c.severity, c.status)
        = (d.cluster_id, d.source, d.category, d.severity, d.status)
        AND (d.findings <> 0 OR d.occurrences <> 0);
    DELETE FROM cluster_severity_count c
    WHERE c.findings = 0 AND c.occurrences = 0 AND c.cluster_id IN (SELECT cluster_id FROM removed);
    RETURN NULL;
END $$;

CREATE TRIGGER added AFTER INSERT ON severity_count
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION severity_count_added();
CREATE TRIGGER changed AFTER UPDATE ON severity_count
    REFERENCING NEW TABLE AS added OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION severity_count_changed();
CREATE TRIGGER removed AFTER DELETE ON severity_count
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION severity_count_removed();
