"""One document a customer: who they are, what they bought, what they did last.

    {_id: 7, name, email, city, country, registered_on, phone?,
     purchases: [{order_id, product_id, name, category, quantity, price, at, status}],
     events: [{event_id, session_id, type, at, product_id?, order_id?}]}

What is read together lies together: one look-up by `_id` brings all that a profile needs. `?` marks
fields that are missing where there is nothing to say. Purchases hold the lines of every order, the
oldest first, with the order's status (completed, cancelled, refunded) and the price of one piece on
the day of the order. Events are the latest ones, the oldest first.

Money is Decimal128: as exact as PostgreSQL's numeric, and `$sum` adds it up exactly. Whole cents
would do as well, but then every reader has to know. Times are UTC and come back with their zone.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from bson.codec_options import CodecOptions
from bson.decimal128 import Decimal128
from psycopg2.extras import RealDictCursor
from pymongo import ReplaceOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.collection import Collection

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

Document = dict[str, Any]
LATEST_EVENTS = 20
PORTION = 250  # documents a round trip
WITH_ZONE: CodecOptions[Document] = CodecOptions(tz_aware=True)

CUSTOMERS = """
    SELECT customer_id AS _id, name, email, city, country, registration_date AS registered_on, phone
    FROM customers
    WHERE customer_id > %s
    ORDER BY customer_id
    LIMIT %s
"""
PURCHASES = """
    SELECT customer_id, order_id, product_id, products.name, category, quantity,
           unit_price AS price, ordered_at AS at, status
    FROM orders
    JOIN order_items USING (order_id)
    JOIN products USING (product_id)
    WHERE customer_id BETWEEN %s AND %s
    ORDER BY customer_id, ordered_at, order_id, line_number
"""
EVENTS = """
    SELECT customer_id, event_id, session_id, event_type AS type, occurred_at AS at, product_id,
           order_id
    FROM (
        SELECT *, row_number() OVER (PARTITION BY customer_id ORDER BY event_id DESC) AS place
        FROM web_events
        WHERE customer_id BETWEEN %s AND %s
    ) AS recent
    WHERE place <= %s
    ORDER BY customer_id, event_id
"""


def customer_documents(connection: "Connection", events: int = LATEST_EVENTS) -> Iterator[Document]:
    """A document for each customer of the shop, by ascending `_id`, with so many latest events.

    Reads in portions, so that memory does not grow with the shop.
    """
    last = 0
    with connection.cursor(cursor_factory=RealDictCursor) as cursor:
        while customers := _rows(cursor, CUSTOMERS, last, PORTION):
            first, last = customers[0]["_id"], customers[-1]["_id"]
            purchases = _by_customer(_rows(cursor, PURCHASES, first, last))
            latest = _by_customer(_rows(cursor, EVENTS, first, last, events))
            for customer in customers:
                key = customer["_id"]
                yield customer | {
                    "purchases": purchases.get(key, []), "events": latest.get(key, [])
                }  # fmt: skip


def _rows(cursor: RealDictCursor, query: str, *values: object) -> list[Document]:
    """The rows as BSON can hold them; what is NULL is left out."""
    cursor.execute(query, values)
    return [
        {name: as_bson(value) for name, value in row.items() if value is not None} for row in cursor
    ]


def as_bson(value: Any) -> Any:
    """`value` as BSON can hold it: money is Decimal128, and a day begins at midnight, UTC."""
    if isinstance(value, Decimal):
        return Decimal128(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    return value


def _by_customer(rows: Sequence[Document]) -> dict[int, list[Document]]:
    return {
        key: [{name: row[name] for name in row if name != "customer_id"} for row in group]
        for key, group in groupby(rows, itemgetter("customer_id"))
    }


def load(collection: Collection[Document], documents: Iterable[Document]) -> int:
    """Store documents, each in the place of the one with its `_id`; returns how many.

    Once more changes nothing; of two with one `_id` the later stays. A document is replaced whole
    or not at all, the collection is not: portions before a bad document stay.

    Raises:
        ValueError: a document lacks a field, or has money or a time of the wrong type.
    """
    stored, rest = 0, iter(documents)
    while portion := list(islice(rest, PORTION)):
        for document in portion:
            check(document)
        collection.bulk_write(
            [ReplaceOne({"_id": one["_id"]}, one, upsert=True) for one in portion]
        )
        stored += len(portion)
    return stored


CUSTOMER = {"_id": int, "name": str, "email": str, "city": str, "country": str,
            "registered_on": datetime, "purchases": list, "events": list}  # fmt: skip
PURCHASE = {"order_id": int, "product_id": int, "name": str, "category": str, "quantity": int,
            "price": Decimal128, "at": datetime, "status": str}  # fmt: skip
EVENT = {"event_id": int, "session_id": int, "type": str, "at": datetime}


def check(document: Document) -> None:
    """Refuse a customer's document that its readers could not use.

    MongoDB stores whatever it gets. A validator in the collection would refuse such a document for
    every program that writes; this one does so for ours, on every server.

    Raises:
        ValueError: names the document, the field and what is wrong with it.
    """
    key = document.get("_id", "without _id")
    _check_fields(document, CUSTOMER, f"customer {key}")
    for name, fields in (("purchases", PURCHASE), ("events", EVENT)):
        for place, part in enumerate(document[name]):
            _check_fields(part, fields, f"customer {key}, {name}[{place}]")


def _check_fields(document: Any, fields: dict[str, type], where: str) -> None:
    if not isinstance(document, dict):
        raise ValueError(f"{where} must be a document, not {type(document).__name__}")
    for name, kind in fields.items():
        if name not in document:
            raise ValueError(f"{where}: the field {name} is missing")
        if not isinstance(document[name], kind) or isinstance(document[name], bool):
            found = type(document[name]).__name__
            raise ValueError(f"{where}: {name} must be {kind.__name__}, not {found}")


def find_customer(collection: Collection[Document], customer_id: int) -> Document | None:
    """The customer's document, None if there is none."""
    return collection.with_options(WITH_ZONE).find_one({"_id": customer_id})


async def find_customer_async(
    collection: AsyncCollection[Document], customer_id: int
) -> Document | None:
    """`find_customer` for an AsyncCollection."""
    return await collection.with_options(WITH_ZONE).find_one({"_id": customer_id})
