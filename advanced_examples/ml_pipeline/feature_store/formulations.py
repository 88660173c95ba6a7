"""Three ways to say the point-in-time join in SQL, and a history to measure them on.

The store uses the first, see sql/point_in_time.sql.
"""

# A history of which every formulation finds the same rows.
BIG = """
    CREATE TABLE history AS
    SELECT entity_id, timestamptz '2025-01-01' + day * interval '1 day' AS event_time,
           timestamptz '2025-01-01' + day * interval '1 day 2 hours' AS created,
           entity_id * 1000.0::float8 + day AS value
    FROM generate_series(0, 99) AS day, generate_series(1, {entities}) AS entity_id;
    ALTER TABLE history ADD PRIMARY KEY (entity_id, event_time, created);
    CREATE TABLE asked AS
    SELECT n, 1 + n * 7919 % {entities} AS entity_id,
           timestamptz '2025-01-02' + n * 104729 % 8000000 * interval '1 second' AS at
    FROM generate_series(1, {asked}) AS n;
    ANALYZE history; ANALYZE asked;
"""
KNOWN = """history.entity_id = asked.entity_id AND event_time <= at
        AND event_time >= at - interval '30 days' AND created <= at"""
FORMULATIONS = {
    "LATERAL": f"""
        SELECT n, value FROM (SELECT * FROM asked ORDER BY entity_id, at) AS asked
        LEFT JOIN LATERAL (SELECT value FROM history WHERE {KNOWN}
                           ORDER BY event_time DESC, created DESC LIMIT 1) AS found ON true""",
    "DISTINCT ON": f"""
        SELECT DISTINCT ON (n) n, value FROM asked LEFT JOIN history ON {KNOWN}
        ORDER BY n, event_time DESC, created DESC""",
    "window": f"""
        SELECT n, value FROM (
            SELECT n, value, row_number() OVER (
                PARTITION BY n ORDER BY event_time DESC, created DESC) AS place
            FROM asked LEFT JOIN history ON {KNOWN}) AS numbered
        WHERE place = 1""",
}
