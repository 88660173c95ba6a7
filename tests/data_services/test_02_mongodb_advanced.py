"""SQL and pipelines on random purchases, what the parts of the lesson do, and it as a process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from bson import Decimal128
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mongodb_parts import kit, questions
from mongodb_parts.server import stages_of
from psycopg2.extras import execute_values
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.errors import BulkWriteError
from shop_profile import documents

from course import connect
from course.settings import ROOT
from course.workspace import own_schema, own_turn
from tests.support import load_lesson, run_when_its_turn_comes, told_without_a_service

PATH = "advanced_examples/data_services/02_mongodb_advanced.py"
lesson = load_lesson(PATH)
SCHEMA = "test_data_02_questions"
TABLES = """
    CREATE TABLE products (product_id int PRIMARY KEY, name text, category text,
                           price numeric(10, 2), attributes jsonb);
    CREATE TABLE purchases (customer_id int, product_id int, category text, quantity int,
                            price numeric(10, 2), status text);
"""
few_settings = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
money = st.integers(0, 1_000_000).map(lambda cents: Decimal(cents).scaleb(-2))
categories = st.sampled_from(["books", "home", "toys"])
products = st.lists(
    st.tuples(categories, money | st.sampled_from([Decimal(25), Decimal("24.99"), Decimal(100)]),
              st.none() | st.lists(st.sampled_from("abcd"), unique=True)),
    min_size=1, max_size=6,
)  # fmt: skip
purchases = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 6), categories, st.integers(1, 5), money,
              st.sampled_from(["completed", "cancelled"])),
    max_size=30,
)  # fmt: skip


@pytest.fixture(scope="module")
def connection(service: Callable[[str], str]) -> Iterator[Any]:
    service("postgres")
    options = f"-c search_path={SCHEMA}"
    with own_schema(SCHEMA, TABLES), closing(connect.postgres(options=options)) as opened:
        yield opened


@pytest.fixture(scope="module")
def database(service: Callable[[str], str]) -> Iterator[Database]:
    with MongoClient(service("mongo")) as client:
        yield client.get_default_database("learning_db")


@pytest.fixture(scope="module")
def name(database: Database) -> Iterator[str]:
    """The beginning of the names of collections that are gone after the tests."""
    prefix = f"test_02_{uuid4().hex}"
    yield prefix
    for ending in ("_customers", "_products"):
        database.drop_collection(prefix + ending)


def fill_postgres(connection: Any, goods: list[tuple], lines: list[tuple]) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE products, purchases")
        rows = [
            (key, f"p{key}", category, price, json.dumps({} if tags is None else {"tags": tags}))
            for key, (category, price, tags) in enumerate(goods, 1)
        ]
        execute_values(cursor, "INSERT INTO products VALUES %s", rows)
        if lines:
            execute_values(cursor, "INSERT INTO purchases VALUES %s", lines)


def fill_mongo(database: Database, name: str, goods: list[tuple], lines: list[tuple]) -> None:
    for ending in ("_customers", "_products"):
        database[name + ending].delete_many({})
    database[f"{name}_products"].insert_many(
        {"_id": key, "name": f"p{key}", "category": category, "price": Decimal128(price)}
        | ({} if tags is None else {"tags": tags})
        for key, (category, price, tags) in enumerate(goods, 1)
    )
    fields = ("product_id", "category", "quantity", "price", "status")
    database[f"{name}_customers"].insert_many(
        {
            "_id": customer,
            "purchases": [
                dict(zip(fields, map(documents.as_bson, line[1:]), strict=True))
                for line in lines
                if line[0] == customer
            ],
        }
        for customer in range(1, 5)
    )


@few_settings
@given(goods=products, lines=purchases)
def test_sql_and_pipeline_give_equal_rows(
    connection: Any, database: Database, name: str, goods: list[tuple], lines: list[tuple]
) -> None:
    lines = [(line[0], line[1] % len(goods) + 1, *line[2:]) for line in lines]  # a foreign key
    fill_postgres(connection, goods, lines)
    fill_mongo(database, name, goods, lines)
    for pairs in (questions.BY_CATEGORY, questions.top_products(f"{name}_products", 3)):
        found = database[f"{name}_customers"].aggregate(questions.pipeline_of(pairs))
        rows = kit.select(connection, questions.sql_of(pairs))
        assert kit.in_python(list(found)) == rows
    for query, pipeline in questions.PANELS.values():
        found = database[f"{name}_products"].aggregate(pipeline)
        assert kit.in_python(list(found)) == kit.select(connection, query)


@pytest.mark.parametrize("pairs", [questions.BY_CATEGORY, questions.top_products("products")])
def test_a_query_holds_every_clause_in_sql_s_order(pairs: questions.Pairs) -> None:
    lines = questions.sql_of(pairs).splitlines()
    assert sorted(lines) == sorted(clause for clause, _ in pairs if clause)
    assert [line.split()[0] for line in lines][:2] == ["SELECT", "FROM"]


def test_the_view_has_the_fields_of_an_embedded_purchase(service: Callable[[str], str]) -> None:
    service("postgres")
    view = "test_data_02_view"
    with (
        own_schema(view, lesson.TABLES.format(customers=5)),
        closing(connect.postgres(options=f"-c search_path={view}")) as connection,
    ):
        row = kit.select(connection, "SELECT * FROM purchases LIMIT 1")[0]
    assert set(row) == {"customer_id", *documents.PURCHASE}


# Plans as the manual shows them: classic engine, slot-based engine, express path.
IXSCAN = {"stage": "FETCH", "inputStage": {"stage": "IXSCAN", "indexName": "country_1_city_1"}}
PLANS = [
    ({"stage": "COLLSCAN", "filter": {"city": {"$eq": "Lviv"}}}, ["COLLSCAN"]),
    ({"isCached": False, **IXSCAN}, ["FETCH", "IXSCAN"]),
    ({"isCached": False, "queryPlan": IXSCAN, "slotBasedPlan": {"stages": "[1] nlj"}},
     ["FETCH", "IXSCAN"]),
    ({"stage": "EXPRESS_IXSCAN", "keyPattern": "{ email: 1 }"}, ["EXPRESS_IXSCAN"]),
]  # fmt: skip


@pytest.mark.parametrize(("plan", "stages"), PLANS)
def test_stages_of_a_plan(plan: dict, stages: list[str]) -> None:
    assert stages_of(plan) == stages


def test_an_error_in_short_keeps_what_it_knows(database: Database, name: str) -> None:
    products = database[f"{name}_products"]
    with pytest.raises(BulkWriteError) as caught, kit.in_short():
        products.insert_many([{"_id": -1}, {"_id": -1}])
    assert str(caught.value) == "batch op errors occurred"
    assert caught.value.details["nInserted"] == 1


def test_commands_are_counted(service: Callable[[str], str]) -> None:
    commands = kit.Commands()
    with MongoClient(service("mongo"), event_listeners=[commands]) as client:
        ping = client.admin.command
        result, sent, seconds = commands.during(lambda: [ping("ping"), ping("ping")][0]["ok"])
    assert (result, sent) == (1, 2)
    assert seconds > 0


def collections_left(database: Database) -> list[str]:
    return [name for name in database.list_collection_names() if name.startswith(kit.PREFIX)]


def test_it_waits_for_its_turn_leaves_nothing_behind_and_says_what_it_skips(
    service: Callable[[str], str], database: Database
) -> None:
    service("postgres")
    said = run_when_its_turn_comes(own_turn(lesson.SCHEMA), ROOT / PATH, "--fast")
    assert collections_left(database) == []
    skipped = said.count("SKIPPED")
    if kit.is_embedded(database):
        assert skipped == 3
    else:
        assert skipped == (0 if kit.has_transactions(database) else 1)


@pytest.mark.skipif(os.name == "nt", reason="Windows can't send Ctrl-C to a single process")
@pytest.mark.parametrize("step", [14])
def test_ctrl_c_ends_it_cleanly(
    service: Callable[[str], str], database: Database, step: int
) -> None:
    service("postgres")
    pipe = subprocess.PIPE
    command = [sys.executable, str(ROOT / PATH), "--fast"]
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        while not process.stdout.readline().startswith(f"{step}  "):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors == "Stopped by Ctrl-C.\n"
    assert collections_left(database) == []


@pytest.mark.parametrize(
    "missing",
    [
        {"MONGO_URL": "mongodb://127.0.0.1:9/nowhere"},
        {"DATABASE_URL": "postgresql://a:b@127.0.0.1:9/nowhere"},
    ],
    ids=lambda missing: next(iter(missing)),
)
def test_without_a_service_it_says_so_and_ends_with_69(missing: dict[str, str]) -> None:
    assert next(iter(missing)) in told_without_a_service(lesson, **missing)
