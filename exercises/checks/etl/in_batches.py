"""Journeys and rows held are counted; no clock is used."""

from course.exercises import expect, require


class Database:
    """Notes what arrives, and how many rows had been read by then."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.read = self.most_held = 0

    def send(self, rows: list[int]) -> None:
        self.most_held = max(self.most_held, self.read - sum(map(len, self.batches)))
        self.batches.append(list(rows))

    def source(self, count: int):
        for number in range(count):
            self.read += 1
            yield number


def check_rows(their):
    """Every row arrives once, in order"""
    database = Database()
    expect(their.load(database.source(25), database.send, 10), 25, "How many rows there were.")
    expect([row for batch in database.batches for row in batch], list(range(25)))


def check_journeys(their):
    """1,000 rows in ten journeys"""
    database = Database()
    their.load(database.source(1000), database.send, 100)
    require(
        len(database.batches) <= 10,
        f"{len(database.batches):,} journeys for 1,000 rows, ten are enough",
        "Collect `size` rows, send them, begin a new list.",
    )


def check_sizes(their):
    """Full batches, and a shorter one at the end"""
    database = Database()
    their.load(database.source(25), database.send, 10)
    expect([len(batch) for batch in database.batches], [10, 10, 5], "25 rows, 10 at a time.")
    full = Database()
    their.load(full.source(20), full.send, 10)
    expect([len(batch) for batch in full.batches], [10, 10], "An empty batch is not worth it.")


def check_held(their):
    """Never more than one batch is held"""
    database = Database()
    their.load(database.source(1000), database.send, 100)
    require(
        database.most_held <= 100,
        f"{database.most_held:,} rows were read before the first were sent",
        "list(rows) reads the whole file. Take `size` rows at a time from the iterator.",
    )
