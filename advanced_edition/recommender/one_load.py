"""The step of lesson 03 about single-flight: fifty callers miss, and the store is asked once."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from config_advanced import MIB

from course.lesson import Lesson
from recommender.cache import TieredCache

CALLERS, PRODUCT = 50, 7


class SlowStore:
    """A store in which a look-up takes `delay` seconds, and that counts how often it was asked."""

    name = "slow store"

    def __init__(self, delay: float) -> None:
        self.delay, self.asked, self.broken = delay, 0, False

    def get(self, key: int) -> tuple:
        """Two neighbours of any product; TimeoutError while it is broken."""
        self.asked += 1
        time.sleep(self.delay)
        if self.broken:
            raise TimeoutError("the store does not answer")
        return ((key + 1, 0.9), (key + 2, 0.8))


def one_load(lesson: Lesson) -> None:
    """Single-flight: many miss, one loads.

    A product goes viral, and fifty threads miss it at the same moment. Without care the store gets
    the same question fifty times, just when it is busiest. Here the first one asks and the others
    wait for its answer. An error reaches all who wait, and is not kept.
    """
    slow = SlowStore(lesson.delay(0.5) + 0.35)  # or a busy machine might start them too late
    lesson.check("plainly, 50 callers ask 50 times", len(at_once(slow.get)) == slow.asked)
    cache, slow.asked = TieredCache(MIB, slow), 0
    lesson.check("in one flight all get the same answer", len(set(at_once(cache.get))) == 1)
    lesson.check("and the store was asked once", slow.asked == 1)
    cache.near.clear()
    slow.broken, slow.asked = True, 0
    failed = at_once(partial(error_of, cache.get))
    lesson.check("when it fails, all 50 hear it", failed == [TimeoutError] * CALLERS)
    lesson.check("after one question", slow.asked == 1)
    slow.broken = False
    lesson.check("the error was not kept", len(cache.get(PRODUCT)) == 2)


def at_once(ask: Callable[[int], object]) -> list:
    """What all callers get, each in a thread, who ask for one product at the same moment."""
    ready = threading.Barrier(CALLERS)

    def one(_caller: int) -> object:
        ready.wait(30)
        return ask(PRODUCT)

    with ThreadPoolExecutor(CALLERS) as threads:
        return list(threads.map(one, range(CALLERS)))


def error_of(work: Callable[[int], object], argument: int) -> type[Exception] | None:
    """The kind of error that `work(argument)` raises, None if it doesn't."""
    try:
        work(argument)
    except Exception as error:
        return type(error)
    return None
