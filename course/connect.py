"""One function a service: a connection to wherever the stack has it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from course import stack
from course.errors import CourseError, ServiceUnavailable

if TYPE_CHECKING:
    import pika
    import psycopg2.extensions
    import psycopg2.pool
    import pymongo.database
    import redis as redis_client

ALL_LENT = (
    "PostgreSQL has no connection left (sorry, too many clients already): end the programs that "
    "hold them, or start the course's own server anew with `python3 learn.py down`."
)


def url(service: str) -> str:
    """The URL of `service`, which is started if need be; ServiceUnavailable if it can't be had."""
    return stack.find(service).url


def prepare(services: Iterable[str]) -> list[stack.Endpoint]:
    """Bring the services up and load the course data; ServiceUnavailable names what is missing."""
    found = stack.find_all(list(services))
    for endpoint in found.values():
        if isinstance(endpoint, ServiceUnavailable):
            raise endpoint
    endpoints = [endpoint for endpoint in found.values() if isinstance(endpoint, stack.Endpoint)]
    if "postgres" in found:
        load_course_data()
    return endpoints


def load_course_data() -> bool:
    """Load the shop and make its views where they aren't there yet; True if that was done now."""
    from course.analytics import apply
    from course.shop.load import ensure_loaded

    connection = postgres()
    try:
        loaded = ensure_loaded(connection)
        return apply(connection) or loaded
    finally:
        connection.close()


def postgres(**options: Any) -> "psycopg2.extensions.connection":
    """A psycopg2 connection; `options` go to `psycopg2.connect`."""
    import psycopg2

    try:
        return psycopg2.connect(url("postgres"), **options)
    except psycopg2.OperationalError as error:
        if "too many clients" in str(error):
            raise CourseError(ALL_LENT) from error
        raise


def postgres_pool(smallest: int = 1, largest: int = 5) -> "psycopg2.pool.ThreadedConnectionPool":
    """A psycopg2 pool that threads may share."""
    import psycopg2.pool

    return psycopg2.pool.ThreadedConnectionPool(smallest, largest, url("postgres"))


def redis(**options: Any) -> "redis_client.Redis":
    """A redis-py client that answers with text; `options` go to `Redis.from_url`."""
    import redis as redis_client

    return redis_client.Redis.from_url(url("redis"), **{"decode_responses": True, **options})


def mongo(**options: Any) -> "pymongo.database.Database":
    """The course's MongoDB database; close it with `.client.close()`."""
    import pymongo

    client: pymongo.MongoClient = pymongo.MongoClient(url("mongo"), **options)
    return client.get_default_database("learning_db")


def rabbitmq() -> "pika.BlockingConnection":
    """A pika connection; one thread may use it."""
    import pika

    return pika.BlockingConnection(pika.URLParameters(url("rabbitmq")))
