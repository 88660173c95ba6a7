"""Three ways to say the point-in-time join in SQL, and a history to measure them on.

The store uses the first, see sql/point_in_time.sql.
"""

from contextlib import closing

from course import connect
from course.measure import seconds

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


def compare(
    schema: str, entities: int, asked: int
) -> tuple[dict[str, list[tuple]], dict[str, float], str]:
    """(answers, seconds) of each way, the best of three, and the plan of the first.

    The history of `entities`, a hundred rows each, is made in `schema` and stays there.
    """
    answers: dict[str, list[tuple]] = {}
    with closing(connect.postgres(options=f"-c search_path={schema} -c jit=off")) as connection:
        cursor = connection.cursor()
        cursor.execute(BIG.format(entities=entities, asked=asked))

        def answer(name: str) -> None:
            cursor.execute(FORMULATIONS[name])
            answers[name] = sorted(cursor.fetchall())

        times = {
            name: min(seconds(lambda name=name: answer(name)) for _ in range(3))
            for name in FORMULATIONS
        }
        cursor.execute(f"EXPLAIN (COSTS OFF) {FORMULATIONS['LATERAL']}")
        return answers, times, "\n".join(line for (line,) in cursor.fetchall())
