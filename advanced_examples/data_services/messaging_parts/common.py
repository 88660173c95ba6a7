"""What all parts of the lesson use: its names, its events, its tables."""

from psycopg2.extensions import connection as Connection  # noqa: N812
from shop_profile import workers
from shop_profile.messages import Event, Topology

PREFIX, SCHEMA = "data_04.", "data_04"
EXCHANGE = f"{PREFIX}user_events"


def group(queue: str, key: str = "user.created", **more: object) -> Topology:
    """The queues of one consumer group in this lesson."""
    return Topology(PREFIX, queue, (key,), **{"delays": (), **more})


def sign_up(user_id: int, kind: str = "user.created") -> Event:
    """What the shop says when somebody signs up (or does something else)."""
    return Event(kind, user_id, {"email": f"user{user_id}@example.com"})


def open_database() -> Connection:
    """A connection that finds the lesson's tables."""
    return workers.open_database(SCHEMA)


def points(database: Connection) -> dict[int, int]:
    """The points of every user."""
    with database, database.cursor() as cursor:
        cursor.execute("SELECT user_id, points FROM points ORDER BY user_id")
        return dict(cursor.fetchall())
