"""The same object on several days, in any test, without any mail."""

from contextlib import suppress
from datetime import UTC, date, datetime

from course.exercises import expect, require

DUE = {
    "ann@example.com": date(2025, 10, 29),
    "bob@example.com": date(2025, 10, 30),
    "cem@example.com": date(2025, 10, 25),
}


class World:
    """A clock that can be turned, and a letter box."""

    def __init__(self, their) -> None:
        self.now = datetime(2025, 10, 26, 12, tzinfo=UTC)
        self.asked = 0
        self.letters: list[tuple[str, str]] = []
        self.reminders = their.Reminders(
            DUE, self.clock, lambda *letter: self.letters.append(letter)
        )

    def clock(self) -> datetime:
        self.asked += 1
        return self.now


def check_clock(their):
    """The clock that is given decides what is due"""
    world = World(their)
    found = world.reminders.remind()
    require(world.asked, "the clock that was given was never asked", "Call self.clock().")
    expect(found, ["ann@example.com"], "On 26 October only the 29th is within three days.")


def check_letters(their):
    """The sender that is given sends"""
    world = World(their)
    world.reminders.remind()
    expect(
        [email for email, _ in world.letters], ["ann@example.com"], "Call self.send(email, text)."
    )
    require(
        "2025-10-29" in world.letters[0][1], f"the letter says {world.letters[0][1]!r}, no date"
    )


def check_next_day(their):
    """Next day: only who wasn't reminded before"""
    world = World(their)
    world.reminders.remind()
    world.now = datetime(2025, 10, 27, 0, 30, tzinfo=UTC)
    expect(world.reminders.remind(), ["bob@example.com"], "Ann was reminded yesterday.")


def check_failure(their):
    """A mail that fails is tried again the next time"""
    world = World(their)

    def broken(email: str, text: str) -> None:
        raise ConnectionError("no mail server")

    world.reminders.send = broken
    with suppress(ConnectionError):
        world.reminders.remind()
    world.reminders.send = lambda *letter: world.letters.append(letter)
    expect(world.reminders.remind(), ["ann@example.com"], "Note who was reminded after sending.")
