"""Failures in a row, a rest, and one question that decides."""

from course.exercises import expect, expect_error


class Source:
    """Up or down, as told; counts how often it is asked."""

    def __init__(self) -> None:
        self.up, self.asked, self.now = False, 0, 100.0

    def ask(self) -> str:
        self.asked += 1
        if not self.up:
            raise ConnectionError("down")
        return "answer"

    def clock(self) -> float:
        return self.now


def fail(breaker, source, times: int) -> None:
    """Ask a source that is down, so many times; its own error must come out."""
    for _ in range(times):
        with expect_error(ConnectionError, "Until it opens, the source's own error comes out."):
            breaker.call(source.ask)


def opened(their):
    """A breaker that has just opened, and its source."""
    source = Source()
    breaker = their.Breaker(3, 10.0, source.clock)
    fail(breaker, source, 3)
    return breaker, source


def check_up(their):
    """A source that is up is asked each time"""
    source = Source()
    source.up = True
    breaker = their.Breaker(3, 10.0, source.clock)
    expect([breaker.call(source.ask) for _ in range(5)], ["answer"] * 5)


def check_opens(their):
    """After three failures in a row nobody asks any more"""
    breaker, source = opened(their)
    with expect_error(their.Open, "The breaker is open: raise Open without asking."):
        breaker.call(source.ask)
    expect(source.asked, 3, "How often the source was asked; the fourth call must not reach it.")


def check_in_a_row(their):
    """A success in between sets the count back"""
    source = Source()
    breaker = their.Breaker(3, 10.0, source.clock)
    fail(breaker, source, 2)
    source.up = True
    breaker.call(source.ask)
    source.up = False
    fail(breaker, source, 2)
    source.up = True
    expect(breaker.call(source.ask), "answer", "Two, a success, two: never three in a row.")


def check_heals(their):
    """After the rest one question goes through, and closes it"""
    breaker, source = opened(their)
    source.up, source.now = True, 110.0
    expect(breaker.call(source.ask), "answer", "10 s have passed: one question may go through.")
    source.up = False
    fail(breaker, source, 3)


def check_still_down(their):
    """Still down after the rest: one question, and it rests again"""
    breaker, source = opened(their)
    source.now = 111.0
    fail(breaker, source, 1)
    source.now = 120.9
    with expect_error(their.Open, "The question failed at 111 s: it rests until 121 s."):
        breaker.call(source.ask)
    expect(source.asked, 4, "Three, and one after the rest.")
