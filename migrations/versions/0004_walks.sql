-- What questions about namespaces, by score, and about checks that passed, walk through.

CREATE INDEX usage_namespace ON usage (namespace, content_id, cluster_id);
CREATE INDEX finding_passed ON finding (category, severity, id) WHERE status IN ('PASS', 'SKIP');
CREATE INDEX finding_score ON finding (coalesce(score, '-infinity'::real), id) WHERE status IN ('FAIL', 'WARN', 'ERROR');
