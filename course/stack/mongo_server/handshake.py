"""Commands by which a client finds out who answers: hello, ping, buildInfo and their kin.

They touch no data and are answered at once, even while a long aggregation is at work.
"""

from datetime import UTC, datetime
from importlib.metadata import version

from course.stack.mongo_server.aggregation import MIMICS
from course.stack.mongo_server.commands import Context, Registry
from course.stack.mongo_server.wire import MAX_DOCUMENT_BYTES, MAX_MESSAGE_BYTES, Document
from course.stack.mongo_server.writes import MAX_BATCH

# The protocol of MongoDB 5.0. A standalone server of that age retries no writes and has no
# transactions, so that clients do not ask for either.
WIRE_VERSION = 13
EMBEDDED = f"mongomock {version('mongomock')}"
registry = Registry()


@registry.command("hello", "isMaster", options="*", instant=True)
def hello(context: Context, command: Document) -> Document:
    """Who I am and what I can take."""
    return {
        "helloOk": True,
        "ismaster": True,
        "isWritablePrimary": True,
        "maxBsonObjectSize": MAX_DOCUMENT_BYTES,
        "maxMessageSizeBytes": MAX_MESSAGE_BYTES,
        "maxWriteBatchSize": MAX_BATCH,
        "localTime": datetime.now(UTC),
        "logicalSessionTimeoutMinutes": 30,
        "connectionId": context.connection_id,
        "minWireVersion": 0,
        "maxWireVersion": WIRE_VERSION,
        "readOnly": False,
        "embedded": EMBEDDED,
        "ok": 1.0,
    }


@registry.command("buildInfo", instant=True)
def build_info(context: Context, command: Document) -> Document:
    """The version it mimics and, in `embedded` and `modules`, what it really is."""
    return {
        "version": MIMICS,
        "versionArray": [*(int(part) for part in MIMICS.split(".")), 0],
        "gitVersion": "embedded",
        "modules": ["embedded"],
        "embedded": EMBEDDED,
        "storageEngines": ["memory"],
        "bits": 64,
        "debug": False,
        "maxBsonObjectSize": MAX_DOCUMENT_BYTES,
        "ok": 1.0,
    }


@registry.command("ping", "endSessions", "refreshSessions", "killSessions", instant=True)
def ping(context: Context, command: Document) -> Document:
    """I am here. Sessions hold nothing, so there is nothing to end either."""
    return {"ok": 1.0}
