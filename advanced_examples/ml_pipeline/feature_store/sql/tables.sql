CREATE SCHEMA IF NOT EXISTS {schema};

-- Whose features there are, by which column, and for how long a value may be used.
CREATE TABLE IF NOT EXISTS {schema}.entities (
    entity_type text PRIMARY KEY,
    key text NOT NULL,
    ttl interval
);

-- The versions: which features with which types. The history of each stands in a table of its own.
CREATE TABLE IF NOT EXISTS {schema}.feature_sets (
    entity_type text REFERENCES {schema}.entities,
    version integer CHECK (version > 0),
    features jsonb NOT NULL,
    PRIMARY KEY (entity_type, version)
);

-- The lineage: which SQL made which rows, from which data, and when.
CREATE TABLE IF NOT EXISTS {schema}.runs (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    entity_type text NOT NULL,
    version integer NOT NULL,
    row_count bigint NOT NULL,
    definition text,
    parameters jsonb,
    sources jsonb,
    created timestamptz NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    FOREIGN KEY (entity_type, version) REFERENCES {schema}.feature_sets
);
