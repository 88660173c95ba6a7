"""The part on embedding and references: the same orders in two shapes."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import bson
from pymongo.database import Database

from course.lesson import Lesson
from mongodb_parts.kit import PREFIX, Commands, Document, select

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812


def page_of_whole(database: Database, order_id: int) -> list[tuple]:
    """What a page shows of an order that holds all of it."""
    order = database[f"{PREFIX}whole"].find_one(order_id)
    return [(order["customer"], item["name"], item["quantity"]) for item in order["items"]]


def page_of_keys(database: Database, order_id: int) -> list[tuple]:
    """What a page shows of an order that refers to its customer and products."""
    order = database[f"{PREFIX}keys"].find_one(order_id)
    customer = database[f"{PREFIX}people"].find_one(order["customer_id"])
    wanted = {"_id": {"$in": [item["product_id"] for item in order["items"]]}}
    names = {
        product["_id"]: product["name"] for product in database[f"{PREFIX}products"].find(wanted)
    }
    return [
        (customer["name"], names[item["product_id"]], item["quantity"]) for item in order["items"]
    ]


def orders_in_two_shapes(connection: "Connection") -> tuple[list[Document], list[Document]]:
    """The first 500 orders: whole, and with keys instead of names."""
    whole = select(connection, """
        SELECT order_id AS _id, c.name AS customer, customer_id, json_agg(json_build_object(
                   'product_id', product_id, 'name', p.name, 'quantity', quantity)
                   ORDER BY product_id) AS items
        FROM purchases AS p JOIN customers AS c USING (customer_id)
        GROUP BY order_id, c.name, customer_id ORDER BY order_id LIMIT 500""")  # fmt: skip
    keys = [{"_id": order["_id"], "customer_id": order["customer_id"],
             "items": [{name: item[name] for name in ("product_id", "quantity")}
                       for item in order["items"]]} for order in whole]  # fmt: skip
    return whole, keys


def embed_or_refer(
    lesson: Lesson, database: Database, connection: "Connection", commands: Commands
) -> None:
    """Embed what is read together, refer to what is shared.

    The same orders twice: whole, with the names of customer and products, and as keys. A whole
    order is shown with one command. Keys take three, but a product is renamed in one place. Embed
    what has one parent, is read with it and has a bound. Refer to what many share, what changes by
    itself and what grows for ever. A receipt wants the old name: there a copy is the truth.
    """
    whole, keys = orders_in_two_shapes(connection)
    people = {order["customer_id"]: order["customer"] for order in whole}
    database[f"{PREFIX}whole"].insert_many(whole)
    database[f"{PREFIX}keys"].insert_many(keys)
    database[f"{PREFIX}people"].insert_many([{"_id": n, "name": people[n]} for n in people])

    def pages(of: Callable[[Database, int], list[tuple]]) -> tuple[list, int, float]:
        return commands.during(lambda: [of(database, order["_id"]) for order in whole[:100]])

    (shown, few, fast), (same, many, slow) = pages(page_of_whole), pages(page_of_keys)
    sizes = [sum(len(bson.encode(order)) for order in orders) for orders in (whole, keys)]
    name = {"$set": {"items.$.name": "Alto Five"}}
    copies = database[f"{PREFIX}whole"].update_many({"items.product_id": 1}, name).modified_count
    products = database[f"{PREFIX}products"]
    before = products.find_one_and_update({"_id": 1}, {"$set": {"name": "Alto Five"}})
    once = products.update_one({"_id": 1}, {"$set": {"name": before["name"]}})  # as in PostgreSQL
    rows = [
        ("whole", few // 100, f"{fast * 10:.2f}", sizes[0] // len(whole), copies),
        ("keys", many // 100, f"{slow * 10:.2f}", sizes[1] // len(keys), once.modified_count),
    ]
    columns = ["orders", "commands a page", "ms a page", "bytes an order", "documents to rename"]
    lesson.table(rows, columns, "The same 500 orders", measured=True)
    lesson.check("both show the same pages", shown == same)
    lesson.check("1 command a page instead of 3", (few, many) == (100, 300))
    lesson.check("keys are smaller", sizes[1] < sizes[0], f"{sizes[1] / sizes[0]:.0%} of the bytes")
    lesson.check("a new name: many changes, or one", copies > 1 == once.modified_count, f"{copies}")
