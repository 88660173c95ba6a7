"""The customers' documents: what PostgreSQL has, whole and exact; what is refused and why."""

import asyncio
import copy
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from bson import Decimal128
from pymongo import AsyncMongoClient, MongoClient
from pymongo.collection import Collection
from shop_profile import documents

from course import connect
from course.workspace import own_schema

SCHEMA = "test_data_02_documents"
VIEW = "CREATE VIEW customers AS SELECT * FROM public.customers WHERE customer_id <= 30;"
PURCHASE = {
    "order_id": 1, "product_id": 2, "name": "Yoga Mat", "category": "Sports", "quantity": 1,
    "price": Decimal128("24.90"), "at": datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC),
    "status": "completed",
}  # fmt: skip
CUSTOMER = {
    "_id": 1, "name": "Anna", "email": "anna@example.com", "city": "Kyiv", "country": "Ukraine",
    "registered_on": datetime(2025, 1, 1, tzinfo=UTC), "purchases": [PURCHASE],
    "events": [{"event_id": 1, "session_id": 1, "type": "view", "at": PURCHASE["at"]}],
}  # fmt: skip


@pytest.fixture(scope="module")
def connection(service: Callable[[str], str]) -> Iterator[Any]:
    service("postgres")
    options = f"-c search_path={SCHEMA},public"
    with own_schema(SCHEMA, VIEW), closing(connect.postgres(options=options)) as opened:
        opened.autocommit = True
        yield opened


@pytest.fixture
def customers(service: Callable[[str], str]) -> Iterator[Collection]:
    with MongoClient(service("mongo")) as client:
        collection = client.get_default_database("learning_db")[f"test_02_{uuid4().hex}"]
        yield collection
        collection.drop()


def rows(connection: Any, query: str) -> list[tuple]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def test_every_purchase_is_there_once_and_exact(connection: Any) -> None:
    found = [
        (one["_id"], line["order_id"], line["product_id"], line["quantity"],
         line["price"].to_decimal(), line["at"], line["status"])
        for one in documents.customer_documents(connection) for line in one["purchases"]
    ]  # fmt: skip
    wanted = rows(connection, """
        SELECT customer_id, order_id, product_id, quantity, unit_price, ordered_at, status
        FROM orders JOIN order_items USING (order_id) JOIN customers USING (customer_id)
        ORDER BY customer_id, ordered_at, order_id, line_number""")  # fmt: skip
    assert found == wanted
    assert {status for *_, status in wanted} == {"completed", "cancelled", "refunded"}


def test_events_are_the_latest_in_order(connection: Any) -> None:
    everything = rows(connection, """
        SELECT customer_id, event_id FROM web_events JOIN customers USING (customer_id)
        ORDER BY event_id""")  # fmt: skip
    for one in documents.customer_documents(connection, events=5):
        wanted = [event for customer, event in everything if customer == one["_id"]][-5:]
        assert [event["event_id"] for event in one["events"]] == wanted


def test_portions_don_t_show(connection: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = list(documents.customer_documents(connection))
    monkeypatch.setattr(documents, "PORTION", 7)
    assert list(documents.customer_documents(connection)) == whole
    assert [one["_id"] for one in whole] == list(range(1, 31))


def test_what_is_null_is_left_out(connection: Any) -> None:
    silent = rows(connection, "SELECT customer_id FROM customers WHERE phone IS NULL")
    found = documents.customer_documents(connection)
    assert {one["_id"] for one in found if "phone" not in one} == {key for (key,) in silent}


def test_what_is_stored_comes_back_whichever_client_asks(
    connection: Any, customers: Collection, service: Callable[[str], str]
) -> None:
    everybody = list(documents.customer_documents(connection))
    assert documents.load(customers, iter(everybody)) == 30
    assert documents.load(customers, everybody) == 30
    assert customers.count_documents({}) == 30

    async def ask() -> list[Any]:
        async with AsyncMongoClient(service("mongo")) as client:
            theirs = client.get_default_database("learning_db")[customers.name]
            asked = (documents.find_customer_async(theirs, key) for key in (7, 99))
            return await asyncio.gather(*asked)

    assert documents.find_customer(customers, 7) == everybody[6]
    assert documents.find_customer(customers, 99) is None
    assert asyncio.run(ask()) == [everybody[6], None]


def test_of_two_with_one_id_the_later_stays(customers: Collection) -> None:
    documents.load(customers, [CUSTOMER, CUSTOMER | {"name": "Olena"}])
    assert [one["name"] for one in customers.find()] == ["Olena"]


@pytest.mark.parametrize("field", [*documents.CUSTOMER])
def test_a_missing_field_is_named(customers: Collection, field: str) -> None:
    bad = {name: value for name, value in CUSTOMER.items() if name != field}
    with pytest.raises(ValueError, match=f"the field {field} is missing"):
        documents.load(customers, [CUSTOMER | {"_id": 2}, bad])
    assert customers.count_documents({}) == 0


@pytest.mark.parametrize("price", [24.9, 24, "24.90", Decimal("24.90"), None, True])
def test_money_of_another_type_is_refused(customers: Collection, price: Any) -> None:
    bad = copy.deepcopy(CUSTOMER)
    bad["purchases"].append(PURCHASE | {"price": price})
    kind = type(price).__name__
    message = rf"customer 1, purchases\[1\]: price must be Decimal128, not {kind}"
    with pytest.raises(ValueError, match=message):
        documents.load(customers, [bad])
    assert customers.count_documents({}) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"_id": "1"}, "_id must be int, not str"),
        ({"purchases": [PURCHASE | {"at": "2025-01-01"}]}, "at must be datetime, not str"),
        ({"purchases": [PURCHASE | {"quantity": True}]}, "quantity must be int, not bool"),
        ({"purchases": ["a mat"]}, r"purchases\[0\] must be a document, not str"),
        ({"events": [{"event_id": 1}]}, r"events\[0\]: the field session_id is missing"),
    ],
)
def test_other_wrong_types_are_named(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        documents.check(CUSTOMER | change)


def test_a_good_one_passes() -> None:
    documents.check(CUSTOMER)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (Decimal("0.10"), Decimal128("0.10")),
        (datetime(2025, 1, 2).date(), datetime(2025, 1, 2, tzinfo=UTC)),
        (CUSTOMER["registered_on"], CUSTOMER["registered_on"]),
        ("text", "text"),
    ],
)
def test_as_bson(value: Any, stored: Any) -> None:
    assert documents.as_bson(value) == stored
