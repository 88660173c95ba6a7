"""The parts on what a server does beside storing: indexes, plans, validation, transactions."""

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from bson.decimal128 import Decimal128
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, WriteError

from course.lesson import Lesson
from mongodb_parts.kit import PREFIX, has_transactions, in_short, is_embedded, skipped

PATIENCE = 90  # seconds; the TTL monitor comes every 60
REVIEWS = {
    "bsonType": "object",
    "required": ["product_id", "stars"],
    "properties": {
        "product_id": {"bsonType": "int"},
        "stars": {"bsonType": "int", "minimum": 1, "maximum": 5},
        "paid": {"bsonType": "decimal"},
    },
}


def indexes(lesson: Lesson, database: Database) -> None:
    """Indexes: unique, compound, TTL.

    A unique index is the one rule between documents. A compound index on (country, city) serves
    filters on country, or on both, not on city alone. A TTL index removes documents some time after
    a date: a broom that comes once a minute, so queries still compare the time. What is no date is
    never removed.
    """
    customers, sessions = database[f"{PREFIX}customers"], database[f"{PREFIX}sessions"]
    customers.create_index("email", unique=True)
    with lesson.expected_error(DuplicateKeyError), in_short():
        customers.insert_one({"_id": -1, "email": customers.find_one()["email"]})
    customers.create_index([("country", 1), ("city", 1)])
    sessions.create_index("seen_at", expireAfterSeconds=3600)
    names = [*customers.index_information(), *sessions.index_information()]
    wanted = ["_id_", "email_1", "country_1_city_1", "_id_", "seen_at_1"]
    lesson.check("_id has one from the start", names == wanted, ", ".join(wanted[1:3]))
    now = datetime.now(UTC)
    times = {"2 hours ago": now - timedelta(hours=2), "now": now, "a text": "2020-01-01"}
    sessions.insert_many([{"_id": name, "seen_at": time} for name, time in times.items()])
    if lesson.fast and not is_embedded(database):
        lesson.console.say("  --fast: not waiting for the broom")
        return
    deadline = time.monotonic() + PATIENCE
    while sessions.count_documents({}) == 3 and time.monotonic() < deadline:
        time.sleep(0.2)
    left = {session["_id"] for session in sessions.find()}
    lesson.check("what is too old is gone, a text stays", left == {"now", "a text"})


def stages_of(plan: dict[str, Any]) -> list[str]:
    """The stages of a query plan, whichever way this version nests them."""
    inner = [
        stage for value in plan.values() if isinstance(value, dict) for stage in stages_of(value)
    ]
    return [plan["stage"], *inner] if "stage" in plan else inner


def explain(lesson: Lesson, database: Database) -> None:
    """explain: does it scan the collection or an index?

    COLLSCAN reads every document, IXSCAN the keys of an index. Compare totalDocsExamined with what
    came back: far more means that an index is missing.
    """
    if is_embedded(database):
        return skipped(lesson, database, "query plans")
    customers, rows = database[f"{PREFIX}customers"], []
    for query in ({"country": "Germany"}, {"city": "Berlin"}):
        told = customers.find(query).explain()
        stages = stages_of(told["queryPlanner"]["winningPlan"])
        done = told["executionStats"]
        rows.append((str(query), " ".join(stages), done["totalDocsExamined"], done["nReturned"]))
    lesson.table(rows, ["filter", "plan", "examined", "returned"])
    lesson.check("the first field of an index: IXSCAN", "IXSCAN" in rows[0][1])
    lesson.check("it reads what it returns", rows[0][2] == rows[0][3])
    lesson.check("the second one alone: COLLSCAN", "COLLSCAN" in rows[1][1])
    return None


def validation(lesson: Lesson, database: Database) -> None:
    """Schema validation: a validator in the collection.

    Flexible doesn't mean lawless. A $jsonSchema says which fields there must be and of which type,
    for every program that writes. It looks at inserts and updates; documents that were there
    before stay as they are. `shop_profile.documents.check` did the same for one program.
    """
    if is_embedded(database):
        return skipped(lesson, database, "validators")
    reviews = database.create_collection(f"{PREFIX}reviews", validator={"$jsonSchema": REVIEWS})
    reviews.insert_one({"product_id": 1, "stars": 5, "paid": Decimal128("9.90"), "text": "Good!"})
    wrong = {"no stars": {}, "six stars": {"stars": 6}, "a float": {"stars": 5, "paid": 9.9}}
    for name, fields in wrong.items():
        with lesson.expected_error(WriteError) as caught, in_short():
            reviews.insert_one({"product_id": 1, **fields})
        lesson.check(f"{name}: refused by the validator", caught.error.code == 121)
    lesson.check("only the good one is there", reviews.count_documents({}) == 1)
    return None


def transfer(session: ClientSession, accounts: Collection, points: int) -> None:
    """Move points from Anna to Ivan; ValueError, and nothing moves, if she has too few."""
    accounts.update_one({"_id": "Ivan"}, {"$inc": {"points": points}}, session=session)
    enough = {"_id": "Anna", "points": {"$gte": points}}
    paid = accounts.update_one(enough, {"$inc": {"points": -points}}, session=session)
    if paid.matched_count == 0:
        raise ValueError("too few points")


def transactions(lesson: Lesson, database: Database) -> None:
    """Transactions: several documents, all or nothing.

    They need a replica set, even one of a single server. Every command must name the session, or
    it stands outside. `with_transaction` commits, aborts on an exception, and begins again when the
    server asks for it, so the function may run twice. If you need one on every request, embed
    differently, or use PostgreSQL.
    """
    if not has_transactions(database):
        return skipped(lesson, database, "transactions")
    accounts = database[f"{PREFIX}accounts"]
    accounts.insert_many([{"_id": "Anna", "points": 100}, {"_id": "Ivan", "points": 0}])
    with database.client.start_session() as session:
        session.with_transaction(partial(transfer, accounts=accounts, points=70))
        with lesson.expected_error(ValueError):
            session.with_transaction(partial(transfer, accounts=accounts, points=70))
    points = {account["_id"]: account["points"] for account in accounts.find()}
    lesson.check("one transfer is there, one left nothing", points == {"Anna": 30, "Ivan": 70})
    return None
