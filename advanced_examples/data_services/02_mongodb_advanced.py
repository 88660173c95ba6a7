"""MongoDB: documents, pipelines, and the same answers as SQL.

You will see documents of different shapes in one collection, writes that can't get lost, what
embedding and references cost, SQL and pipelines that give the same rows, indexes, and the asyncio
client. Query plans, schema validation and transactions need a real MongoDB: the embedded one says
what it is, and the lesson says what it skips.

Run      python advanced_examples/data_services/02_mongodb_advanced.py   (--step pauses)
Needs    PostgreSQL, MongoDB
Minutes  90
Next     03_caching_strategies.py
"""

import asyncio
import json
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from typing import TYPE_CHECKING

import bson
from bson.decimal128 import Decimal128
from bson.errors import InvalidDocument
from mongodb_parts import questions
from mongodb_parts.kit import PREFIX, Commands, in_python, in_short, own_collections, select
from mongodb_parts.questions import Pairs
from mongodb_parts.server import explain, indexes, transactions, validation
from mongodb_parts.shapes import embed_or_refer
from psycopg2.errors import ForeignKeyViolation
from pymongo import AsyncMongoClient, DeleteOne, InsertOne, UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DuplicateKeyError
from shop_profile import documents

from course import connect
from course.lesson import Lesson, run
from course.workspace import own_schema, own_turn

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812

SCHEMA = "data_02"
# The lesson's schema comes first on the search_path: its views are what the queries find. With
# them --fast takes fewer customers, in PostgreSQL and MongoDB alike.
TABLES = """
    CREATE VIEW customers AS SELECT * FROM public.customers WHERE customer_id <= {customers};
    CREATE VIEW purchases AS
    SELECT customer_id, order_id, product_id, p.name, category, quantity, unit_price AS price,
           ordered_at AS at, status
    FROM public.orders JOIN order_items USING (order_id) JOIN products AS p USING (product_id)
    WHERE customer_id <= {customers};
    CREATE TABLE shelves (name text PRIMARY KEY);
    CREATE TABLE goods (name text PRIMARY KEY, shelf text NOT NULL REFERENCES shelves);
    INSERT INTO shelves VALUES ('A');
    INSERT INTO goods VALUES ('Yoga Mat', 'A');
"""
CUSTOMERS, FEWER_CUSTOMERS = 2_000, 200
LARGEST = 16 * 1024 * 1024  # bytes that a document may have


def flexible_schema(lesson: Lesson, database: Database, connection: "Connection") -> None:
    """Documents of one collection may differ.

    A book has pages, a phone has ports. A dot leads inside, and a condition on a list asks for one
    element that meets it. The price: nobody checks a name, so a misspelt field matches nothing and
    is no error; and a missing field equals None.
    """
    products = database[f"{PREFIX}products"]
    for row in select(connection, "SELECT * FROM products ORDER BY product_id"):
        plain = {"_id": row["product_id"], "name": row["name"], "category": row["category"]}
        products.insert_one(plain | {"price": Decimal128(row["price"])} | row["attributes"])
    examples = [products.find_one({"category": kind}) for kind in ("Books", "Electronics")]
    rows = [(one["name"], ", ".join(list(one)[4:])) for one in examples]
    lesson.table(rows, ["product", "fields beyond _id, name, category and price"])
    counted = select(connection, """
        SELECT count(*) FILTER (WHERE (attributes ->> 'pages')::int > 300) AS thick,
               count(*) FILTER (WHERE (attributes #>> '{ports,usb_c}')::int >= 1) AS usb_c,
               count(*) FILTER (WHERE attributes -> 'tags' ? 'gift') AS gifts,
               count(*) FILTER (WHERE NOT attributes ? 'colour') AS no_colour
        FROM products""")[0]  # fmt: skip
    queries = {"thick": {"pages": {"$gt": 300}}, "usb_c": {"ports.usb_c": {"$gte": 1}},
               "gifts": {"tags": "gift"}, "no_colour": {"colour": None}}  # fmt: skip
    found = {name: products.count_documents(query) for name, query in queries.items()}
    evidence = ", ".join(f"{name} {count}" for name, count in found.items())
    lesson.check("PostgreSQL's jsonb finds as many", found == counted, evidence)
    lesson.check("a misspelt field: 0, no error", products.count_documents({"color": "red"}) == 0)


def crud(lesson: Lesson, database: Database) -> None:
    """Create, read, update, delete.

    An update names what to change: $set, $inc, $push. With `upsert` it inserts what it doesn't
    find. One that finds nothing is no error: look at matched_count. Money is Decimal128, as exact
    as SQL's numeric; pymongo refuses Python's Decimal, and would store a float without a word.
    """
    shelf = database[f"{PREFIX}shelf"]
    shelf.insert_one({"_id": "mat", "price": Decimal128("24.90"), "stock": 10})
    with lesson.expected_error(DuplicateKeyError), in_short():
        shelf.insert_one({"_id": "mat"})
    with lesson.expected_error(InvalidDocument):
        shelf.insert_one({"_id": "block", "price": Decimal("9.90")})
    shelf.insert_one({"_id": "float", "price": 9.9})
    sell = {"$inc": {"stock": -1}, "$set": {"colour": "blue"}}
    results = {
        "an update": shelf.update_one({"_id": "mat"}, sell),
        "nothing new": shelf.update_one({"_id": "mat"}, {"$set": {"colour": "blue"}}),
        "a misspelt _id": shelf.update_one({"_id": "matt"}, sell),
        "an upsert": shelf.update_one({"_id": "block"}, {"$inc": {"stock": 5}}, upsert=True),
    }
    rows = [(name, r.matched_count, r.modified_count, r.upserted_id) for name, r in results.items()]
    lesson.table(rows, ["what", "matched", "modified", "upserted"])
    mat = shelf.find_one({"_id": "mat"}, {"_id": 0, "price": 0})
    lesson.check("a float went in unnoticed", shelf.find_one("float")["price"] == 9.9)
    lesson.check("two operators, one change", mat == {"stock": 9, "colour": "blue"})
    lesson.check("the misspelt one changed nothing, silently", rows[2][1:] == (0, 0, None))
    lesson.check(
        "the upsert made a document", shelf.find_one("block") == {"_id": "block", "stock": 5}
    )
    lesson.check("deleting says how many", shelf.delete_many({}).deleted_count == 3)


def one_at_a_time(lesson: Lesson, database: Database) -> None:
    """Changes of one document come one at a time.

    Who reads, computes and writes back overwrites what others wrote meanwhile. An operator works
    inside the server, where nobody comes between. If the change depends on what you saw, put that
    into the filter: when it no longer holds, nothing matches, and you begin again.
    """
    pages = database[f"{PREFIX}pages"]
    home = {"_id": "home"}
    pages.insert_one({**home, "visits": 0, "latest": []})
    for seen in (pages.find_one(home), pages.find_one(home)):
        pages.replace_one(home, {**seen, "visits": seen["visits"] + 1})
    lesson.check("two read, both write: a visit is lost", pages.find_one(home)["visits"] == 1)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: pages.update_one(home, {"$inc": {"visits": 1}}), range(200)))
    lesson.check("200 times $inc from 8 threads: none is", pages.find_one(home)["visits"] == 201)
    stale = pages.update_one({**home, "visits": 1}, {"$set": {"visits": 0}})
    lesson.check("who still believes in 1 changes nothing", stale.matched_count == 0)
    for visitor in range(30):
        latest = {"$each": [visitor], "$slice": -documents.LATEST_EVENTS}
        pages.update_one(home, {"$push": {"latest": latest}})
    latest = pages.find_one(home)["latest"]
    lesson.check("$push with $slice keeps the latest 20", latest == list(range(10, 30)))


def bulk(lesson: Lesson, database: Database, commands: Commands) -> None:
    """Many writes in one command.

    Each command is a round trip, so send many writes in one. That is no transaction: in order it
    stops at the first error, out of order it goes on, and what was written stays either way. The
    error says which ones failed.
    """
    sheet, count = database[f"{PREFIX}sheet"], 500
    alone = commands.during(lambda: [sheet.insert_one({"_id": n}) for n in range(count)])
    sheet.delete_many({})
    together = commands.during(lambda: sheet.insert_many([{"_id": n} for n in range(count)]))
    rows = [("insert_one", *alone[1:]), ("insert_many", *together[1:])]
    lesson.table(rows, ["way", "commands", "seconds"], f"{count} documents", measured=True)
    lesson.check("1 command instead of 500", (alone[1], together[1]) == (500, 1))
    ratio = alone[2] / together[2]
    lesson.check("at least 3x as fast", ratio >= 3, f"{ratio:.1f}x")
    for ordered, stored in ((True, 1), (False, 2)):
        batch = [{"_id": 1_000 + ordered}, {"_id": 7}, {"_id": 2_000 + ordered}]
        with lesson.expected_error(BulkWriteError) as caught, in_short():
            sheet.insert_many(batch, ordered=ordered)
        kept = caught.error.details["nInserted"]
        lesson.check(f"ordered={ordered}: {stored} of 3 stored", kept == stored)
    add, mark, remove = InsertOne({"_id": -1}), {"$set": {"marked": True}}, DeleteOne({"_id": 7})
    done = sheet.bulk_write([add, UpdateOne({"_id": -1}, mark), remove])
    counts = (done.inserted_count, done.modified_count, done.deleted_count)
    lesson.check("bulk_write mixes all kinds", counts == (1, 1, 1))


def one_document_a_customer(lesson: Lesson, database: Database, connection: "Connection") -> None:
    """One document a customer.

    The API at the end of this module shows a profile: who they are, what they bought, what they
    did last. So `shop_profile/documents.py` embeds all of it in one document, found by `_id`. The
    events have a bound; the purchases have not, so know how far they are from 16 MiB. PostgreSQL
    stays the source: loading once more brings the same documents.
    """
    customers = database[f"{PREFIX}customers"]
    everybody = list(documents.customer_documents(connection))
    documents.load(customers, everybody)
    documents.load(customers, everybody[:50])
    lesson.check("loaded twice, there once", customers.count_documents({}) == len(everybody))
    one = documents.find_customer(customers, everybody[6]["_id"])
    lesson.table([(name, str(value)) for name, value in one["purchases"][0].items()],
                 ["purchases[0]", one["name"]])  # fmt: skip
    lesson.check("what comes back is what was stored", one == everybody[6])
    largest = max(everybody, key=lambda customer: len(bson.encode(customer)))
    room = LARGEST // (len(bson.encode(largest)) // len(largest["purchases"]))
    evidence = f"the busiest customer has {len(largest['purchases'])} purchases"
    lesson.check("a document has room for 50,000 purchases", room > 50_000, evidence)
    for bad in ({"_id": 1}, one | {"purchases": [one["purchases"][0] | {"price": 9.9}]}):
        with lesson.expected_error(ValueError):
            documents.load(customers, [bad])


def sql_beside_pipeline(lesson: Lesson, database: Database, connection: "Connection") -> None:
    """Purchases by category: SQL beside the pipeline.

    A pipeline says what happens, step by step. SQL says the same in another order. $unwind makes a
    document of each element of a list, which is SQL's table of purchases; the $match before a
    $group is WHERE, one after it would be HAVING; $project is SELECT. Filter early: only a $match
    at the very beginning can use an index.
    """
    rows, found = both_answers(lesson, database, connection, questions.BY_CATEGORY)
    lesson.table(found, ["category", "count", "total"], "From MongoDB")
    lesson.check("PostgreSQL gives the same rows", rows == found, f"{len(rows)} categories")


def both_answers(
    lesson: Lesson, database: Database, connection: "Connection", pairs: Pairs
) -> tuple[list[dict], list[dict]]:
    """Print clause and stage; return the rows of PostgreSQL and the documents of MongoDB."""
    for clause, stage in pairs:
        ((name, options),) = stage.items()
        text = textwrap.wrap(f"{name}: {json.dumps(options)}", 70, subsequent_indent="    ")
        lesson.console.say("\n      ".join([f"  {clause}" if clause else "", *text]).lstrip("\n"))
    rows = select(connection, questions.sql_of(pairs))
    found = database[f"{PREFIX}customers"].aggregate(questions.pipeline_of(pairs))
    return rows, in_python(list(found))


def best_sellers(lesson: Lesson, database: Database, connection: "Connection") -> None:
    """Top products, and $lookup for what is not embedded.

    Sort, cut to five, and only then join: $lookup asks the other collection once a document. It is
    a left join, and what it finds is a list: the $unwind behind it makes one document of each, and
    none where nothing was found. SQL's planner finds its own order; a pipeline is done nearly as
    you wrote it.
    """
    pairs = questions.top_products(f"{PREFIX}products")
    rows, found = both_answers(lesson, database, connection, pairs)
    lesson.table(found, ["product_id", "name", "pieces"], "From MongoDB")
    lesson.check("PostgreSQL gives the same rows", rows == found)


def panels(lesson: Lesson, database: Database, connection: "Connection") -> None:
    """Three questions in one command: $facet, with $bucket.

    A page with filters wants counts by category, by price and by tag. $facet sends the same
    documents through several pipelines. A $bucket reaches from its boundary up to the next one,
    which belongs to the next; a value outside of all is an error unless there is a `default`.
    """
    products = database[f"{PREFIX}products"]
    facets = {name: pipeline for name, (_, pipeline) in questions.PANELS.items()}
    (found,) = in_python(list(products.aggregate([{"$facet": facets}])))
    for name, (query, _) in questions.PANELS.items():
        rows = select(connection, query)
        lesson.check(f"by {name}: the same as in SQL", rows == found[name], f"{len(rows)} rows")
    lesson.table(found["price"], ["_id", "count", "dearest"], "$bucket")


async def asyncio_client(lesson: Lesson, database: Database) -> None:
    """AsyncMongoClient: the same names, with await.

    Every call that goes to the server is awaited; `find` only builds a cursor, `aggregate` goes and
    is awaited. One client for the whole program: it is a pool, so tasks may ask at once. A plain
    client in a coroutine stops the event loop, and with it every other request.
    """
    by_category = questions.pipeline_of(questions.BY_CATEGORY)
    plain, ticks = database[f"{PREFIX}customers"], 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.001)

    async with AsyncMongoClient(connect.url("mongo")) as client:
        customers = client.get_default_database("learning_db")[f"{PREFIX}customers"]
        asking = (documents.find_customer_async(customers, n) for n in range(1, 51))
        found = await asyncio.gather(*asking)
        lesson.check("50 tasks, one client", [one["_id"] for one in found] == list(range(1, 51)))
        clock = asyncio.create_task(tick())
        await asyncio.sleep(0)
        before, rows = ticks, list(plain.aggregate(by_category))
        frozen, before = ticks - before, ticks
        same = [row async for row in await customers.aggregate(by_category)]
        free = ticks - before
        clock.cancel()
    lesson.check("both clients give the same rows", rows == same)
    lesson.check("the plain one stops the event loop", frozen == 0)
    lesson.check("the other one leaves it to others", free >= 3)


def when_not(lesson: Lesson, database: Database, connection: "Connection") -> None:
    """When not to use a document store.

    When facts refer to each other and must stay true together: orders, stock, money. PostgreSQL
    keeps a reference whole; MongoDB lets you remove what others point at. When the questions are
    not known yet: documents suit the reading they were built for, tables any. And when jsonb in
    the database that you have would do.

    At a thousand times the size: the indexes and the documents in use must fit into memory;
    purchases move to documents of their own, one a customer and month; a shard key that every
    query names, chosen early; and figures by category are kept ready by $merge every night, or
    computed in a column store, not by $unwind over everything.
    """
    with lesson.expected_error(ForeignKeyViolation), connection, connection.cursor() as cursor:
        cursor.execute("DELETE FROM shelves WHERE name = 'A'")
    database[f"{PREFIX}products"].delete_one({"_id": 1})
    dangling = database[f"{PREFIX}keys"].count_documents({"items.product_id": 1})
    lesson.check("MongoDB: orders point at nothing, unnoticed", dangling > 0, f"{dangling}")


def main(lesson: Lesson) -> None:
    """The table of contents."""
    customers = FEWER_CUSTOMERS if lesson.fast else CUSTOMERS
    commands = Commands()
    with (
        own_turn(SCHEMA),
        own_schema(SCHEMA, TABLES.format(customers=customers)),
        closing(connect.postgres(options=f"-c search_path={SCHEMA},public")) as connection,
        connect.mongo(event_listeners=[commands]).client as client,
        own_collections(database := client.get_default_database("learning_db")),
    ):
        lesson.step(flexible_schema, lesson, database, connection)
        lesson.step(crud, lesson, database)
        lesson.step(one_at_a_time, lesson, database)
        lesson.step(bulk, lesson, database, commands)
        lesson.step(embed_or_refer, lesson, database, connection, commands)
        lesson.step(one_document_a_customer, lesson, database, connection)
        lesson.step(sql_beside_pipeline, lesson, database, connection)
        lesson.step(best_sellers, lesson, database, connection)
        lesson.step(panels, lesson, database, connection)
        lesson.step(indexes, lesson, database)
        lesson.step(explain, lesson, database)
        lesson.step(validation, lesson, database)
        lesson.step(transactions, lesson, database)
        lesson.step(asyncio_client, lesson, database)
        lesson.step(when_not, lesson, database, connection)


if __name__ == "__main__":
    run(main)
