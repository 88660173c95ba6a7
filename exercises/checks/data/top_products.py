"""Three customers, and whoever reads them in Python is seen."""

from contextlib import contextmanager

from course import connect
from course.exercises import expect, require
from course.workspace import own_turn

NAME = "exercise_top_products"
CUSTOMERS = [
    {"_id": 1, "purchases": [
        {"name": "Tea", "quantity": 2, "status": "completed"},
        {"name": "Tea", "quantity": 3, "status": "completed"},
        {"name": "Cup", "quantity": 50, "status": "cancelled"},
    ]},
    {"_id": 2, "purchases": [
        {"name": "Pot", "quantity": 4, "status": "completed"},
        {"name": "Cup", "quantity": 4, "status": "completed"},
        {"name": "Jam", "quantity": 1, "status": "completed"},
    ]},
    {"_id": 3, "purchases": []},
]  # fmt: skip


class Watched:
    """A collection that only aggregates."""

    def __init__(self, collection) -> None:
        self.collection, self.stages = collection, []

    def aggregate(self, pipeline, *others, **options):
        self.stages.append([next(iter(stage)) for stage in pipeline])
        return self.collection.aggregate(pipeline, *others, **options)

    def __getattr__(self, name):
        require(False, f"your code called {name}() on the collection", "aggregate() is enough.")


@contextmanager
def customers():
    """A collection of this exercise's own."""
    database = connect.mongo()
    with own_turn(NAME):
        try:
            database[NAME].drop()
            database[NAME].insert_many([dict(customer) for customer in CUSTOMERS])
            yield Watched(database[NAME])
        finally:
            database[NAME].drop()
            database.client.close()


def check_answer(their):
    """Pieces of completed purchases, the most first"""
    with customers() as collection:
        found = list(their.top_products(collection))
    expect(
        found,
        [{"_id": "Tea", "pieces": 5}, {"_id": "Cup", "pieces": 4}, {"_id": "Pot", "pieces": 4}],
        "50 cups were cancelled; Cup and Pot have 4 pieces each, and C comes before P.",
    )


def check_count(their):
    """As many as asked for"""
    with customers() as collection:
        expect([p["_id"] for p in their.top_products(collection, 1)], ["Tea"])
    with customers() as collection:
        expect(len(list(their.top_products(collection, 99))), 4, "There are four products.")


def check_pipeline(their):
    """One pipeline does all of it"""
    with customers() as collection:
        list(their.top_products(collection))
        expect(len(collection.stages), 1, "How often aggregate() was called.")
        require(
            "$group" in collection.stages[0],
            f"the stages were {collection.stages[0]}",
            "Let $group add up.",
        )
