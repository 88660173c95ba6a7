-- The history of one version: a row says from event_time on these were the values, and that
-- the store has known it since created. The primary key is the index that the join needs: a
-- B-tree reads backwards as well, so it finds the newest row before any moment at once.
CREATE TABLE {table} (
    entity_id bigint NOT NULL,
    event_time timestamptz NOT NULL,
    created timestamptz NOT NULL,
    run_id bigint NOT NULL REFERENCES {schema}.runs,
    {columns},
    PRIMARY KEY (entity_id, event_time, created)
);
