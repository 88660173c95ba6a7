"""Services whose URL was given: they are used as they are, or fail plainly."""

import logging
from collections.abc import Callable

from course.errors import ServiceUnavailable
from course.settings import TITLES, URL_NAMES
from course.stack.endpoint import Endpoint

PATIENCE = 5  # seconds until a given server counts as not answering


def check(service: str, url: str) -> Endpoint:
    """The endpoint at `url`, asked through the service's own driver. Raises ServiceUnavailable."""
    try:
        detail = VERSIONS[service](url)
    except Exception as error:  # each driver has its own errors; all of them mean: not usable
        name = URL_NAMES[service]
        # The error's text may show the URL with its password: only its first line, cleaned.
        reason = (str(error).strip() or type(error).__name__).splitlines()[0].replace(url, name)
        address = Endpoint(service, url, "given", "").address
        raise ServiceUnavailable(
            service,
            f"{TITLES[service]} does not answer at the address that was given: {reason}",
            f"{name}, which points to {address}",
            f"start that server, or unset {name} (also in .env) to use the course's own",
        ) from error
    return Endpoint(service, url, "given", detail)


def _postgres(url: str) -> str:
    import psycopg2

    session = psycopg2.connect(url, connect_timeout=PATIENCE)
    version = session.info.parameter_status("server_version") or ""
    session.close()
    return f"PostgreSQL {version.partition(' ')[0]}"


def _redis(url: str) -> str:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client = redis.Redis.from_url(
        url, socket_connect_timeout=PATIENCE, socket_timeout=PATIENCE, retry=Retry(NoBackoff(), 0)
    )
    with client:
        info = client.info("server")
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info['redis_version']}"


def _mongo(url: str) -> str:
    import pymongo

    client: pymongo.MongoClient = pymongo.MongoClient(
        url, serverSelectionTimeoutMS=PATIENCE * 1000, connectTimeoutMS=PATIENCE * 1000
    )
    with client:
        client.get_default_database("test").list_collection_names()
        return f"MongoDB {client.server_info()['version']}"


def _rabbitmq(url: str) -> str:
    import pika

    # Without a handler of its own, pika's complaints about a dead server would go to the screen.
    logging.getLogger("pika").addHandler(logging.NullHandler())
    parameters = pika.URLParameters(url)
    parameters.socket_timeout = parameters.stack_timeout = PATIENCE
    parameters.connection_attempts = 1
    connection = pika.BlockingConnection(parameters)
    version = connection._impl.server_properties.get("version", "")
    connection.close()
    return f"RabbitMQ {version}"


VERSIONS: dict[str, Callable[[str], str]] = {
    "postgres": _postgres,
    "redis": _redis,
    "mongo": _mongo,
    "rabbitmq": _rabbitmq,
}
