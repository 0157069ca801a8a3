-- Counts by rule, package and image over the whole fleet, taken anew every minute or so (store/finding_stats.py).
-- Of live and absent reports. clusters has a bit a cluster, at its ordinal.

CREATE TABLE rule_stat (
    rule_id int NOT NULL,
    category finding_category NOT NULL,
    severity severity NOT NULL,
    status finding_status NOT NULL,
    fixable boolean NOT NULL,
    findings bigint NOT NULL,
    occurrences bigint NOT NULL,
    clusters bit varying NOT NULL,
    PRIMARY KEY (rule_id, category, severity, status, fixable)
);

CREATE TABLE package_stat (
    package text NOT NULL,                       -- '' is none
    category finding_category NOT NULL,
    severity severity NOT NULL,
    status finding_status NOT NULL,
    fixable boolean NOT NULL,
    findings bigint NOT NULL,
    occurrences bigint NOT NULL,
    clusters bit varying NOT NULL,
    PRIMARY KEY (package, category, severity, status, fixable)
);

CREATE TABLE image_stat (
    image_id bigint NOT NULL,                    -- 0 is none
    category finding_category NOT NULL,
    severity severity NOT NULL,
    status finding_status NOT NULL,
    fixable boolean NOT NULL,
    findings bigint NOT NULL,
    occurrences bigint NOT NULL,
    clusters bit varying NOT NULL,
    PRIMARY KEY (image_id, category, severity, status, fixable)
);

-- How many clusters run an image or have a report about it.
CREATE TABLE image_spread (
    image_id bigint PRIMARY KEY,
    clusters int NOT NULL
);

-- When the above were taken, and how long that took: of no or one row.
CREATE TABLE finding_stats_taken (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    at timestamptz NOT NULL,
    seconds real NOT NULL
);
