"""Async basics: do other work while you wait.

You will see the same ten downloads run one after another, then together, then limited,
cancelled and failing.

Run      python async_examples/01_async_basics.py        (--step pauses at each step)
Needs    nothing
Minutes  25
Next     02_async_http_client.py
"""

import asyncio
import time
import warnings
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from course.lesson import Lesson, run

SECONDS = (0.5, 0.4, 0.5, 0.45, 0.5, 0.4, 0.45, 0.5, 0.4, 0.5)
MIRRORS = {"Kyiv": 0.2, "Lviv": 20, "Odesa": 30}
TICK = 0.1
# Shorter waits would drown in the pauses that a busy machine makes of its own accord.
SHORTEST = 0.12


async def download(name: str, seconds: float) -> str:
    """Pretend to download: wait, which is what a program mostly does when it downloads."""
    await asyncio.sleep(seconds)
    return f"{name}.csv"


async def forget_to_await() -> tuple[str, str]:
    """Calling a coroutine function does nothing.

    `async def` makes a coroutine function. Calling it gives a coroutine object: the recipe, not the
    meal. Python warns when one is thrown away that nobody awaited. That warning always means a
    forgotten `await`.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        recipe = download("soup", 0.02)
        kind = type(recipe).__name__
        del recipe
    warning = str(caught[0].message).splitlines()[0]
    print(f"  a {kind} object; later: {warning}")
    return kind, warning


async def await_and_task() -> list[str]:
    """`await` runs it now, `create_task` from your next await on.

    `create_task` puts the coroutine on the loop's list and returns at once. Keep the task in a
    variable: the loop holds it only weakly, so one that nobody keeps may vanish half-way.
    """
    log = [await download("soup", 0.02)]

    async def work() -> None:
        log.append("the task starts")

    task = asyncio.create_task(work())
    log.append("the task is made")
    await task
    print(f"  {', '.join(log)}")
    return log


async def one_after_another(seconds: Sequence[float]) -> tuple[list[str], float]:
    """One await after another: the waits add up.

    Each `await` hands control to the event loop until the download is there. Nobody else has
    anything to do, so the loop just waits.
    """
    start = time.perf_counter()
    files = [await download(f"file{number}", wait) for number, wait in enumerate(seconds)]
    return files, time.perf_counter() - start


async def all_together(seconds: Sequence[float]) -> tuple[list[str], float]:
    """Together, the longest wait decides.

    `gather` starts all ten and waits for all of them. No download got faster: they wait at the same
    time, on one thread. The results come in the order of the call, not in the order of arrival.
    """
    start = time.perf_counter()
    downloads = [download(f"file{number}", wait) for number, wait in enumerate(seconds)]
    return await asyncio.gather(*downloads), time.perf_counter() - start


async def draw_timeline() -> str:
    """The loop as a timeline: one column for each worker, one thread for all.

    Every line is printed by the only code that runs at that moment. A worker gives way only at an
    `await`, never in between, so the list that they share needs no lock. Between two lines the loop
    sleeps until the next wait is over.
    """
    clock = asyncio.get_running_loop().time
    begin, turns = clock(), []

    def stamp(worker: str, what: str) -> None:
        turns.append(worker)
        print(f"  {clock() - begin:.1f} s  {'':{'ABC'.index(worker) * 16}}{worker} {what}")

    async def work(worker: str, first: int, second: int) -> None:
        stamp(worker, "starts")
        await asyncio.sleep(first * TICK)
        stamp(worker, "goes on")
        await asyncio.sleep(second * TICK)
        stamp(worker, "ends")

    await asyncio.gather(work("A", 1, 3), work("B", 2, 3), work("C", 3, 3))
    return "".join(turns)


async def fetch_or_fail(number: int, wait: float, log: list[str]) -> None:
    """A download that notes how it ended; numbers 2 and 5 fail at once."""
    if number == 2:
        raise ConnectionError("file2: the server hung up")
    if number == 5:
        raise ValueError("file5: this is not CSV")
    try:
        await asyncio.sleep(wait)
        log.append("finished")
    except asyncio.CancelledError:
        log.append("cancelled")
        raise


async def fail_in_gather(seconds: Sequence[float]) -> tuple[list[str], list[str]]:
    """When one fails, gather tells you and lets the others run on.

    You get the first error only. The other downloads go on behind your back, until they end or the
    program does. `return_exceptions=True` gives the errors among the results instead.
    """
    log: list[str] = []
    tasks = [asyncio.create_task(fetch_or_fail(n, wait, log)) for n, wait in enumerate(seconds)]
    try:
        await asyncio.gather(*tasks)
    except ConnectionError as error:
        print(f"  gather raised: {error}; {len(log)} had finished")
    results = await asyncio.gather(*tasks, return_exceptions=True)
    return log, [type(result).__name__ for result in results if isinstance(result, Exception)]


async def fail_in_task_group(seconds: Sequence[float]) -> tuple[list[str], list[str]]:
    """When one fails, a TaskGroup cancels the others.

    No task outlives its `async with` block. As several can fail, the errors come as one
    ExceptionGroup, and each `except*` picks out one kind. Use a TaskGroup where all parts are
    needed, and gather with return_exceptions where each part counts for itself.
    """
    log: list[str] = []
    errors: list[str] = []
    try:
        async with asyncio.TaskGroup() as group:
            for number, wait in enumerate(seconds):
                group.create_task(fetch_or_fail(number, wait, log))
    except* ConnectionError as network:
        errors += [f"{error} (try again)" for error in network.exceptions]
    except* ValueError as content:
        errors += [f"{error} (no use trying again)" for error in content.exceptions]
    print("\n".join(f"  {line}" for line in errors))
    return log, errors


@asynccontextmanager
async def part_file(name: str, log: list[str]) -> AsyncIterator[None]:
    """A file that is being written: an async context manager cleans up, whatever happens."""
    log.append(f"{name} opened")
    try:
        yield
    finally:
        await asyncio.sleep(0)
        log.append(f"{name} removed")


async def give_up(limit: float, seconds: float) -> tuple[list[str], float]:
    """A timeout is a cancellation from outside.

    `asyncio.timeout` cancels what runs in its block: the innermost `await` raises CancelledError,
    `finally` and `async with` clean up on the way out, and outside it becomes TimeoutError. If you
    catch CancelledError yourself, clean up and raise it again.
    """
    log: list[str] = []
    start = time.perf_counter()
    try:
        async with asyncio.timeout(limit), part_file("big.part", log):
            await download("big", seconds)
    except TimeoutError:
        log.append("gave up")
    print(f"  {', '.join(log)}")
    return log, time.perf_counter() - start


async def fastest_mirror(mirrors: dict[str, float]) -> tuple[set[str], list[str]]:
    """Ask three mirrors, keep the first answer, cancel the rest.

    `cancel` only asks: the task gets CancelledError at its `await` and still cleans up. So await a
    task after cancelling it.
    """
    log: list[str] = []

    async def fetch(mirror: str, wait: float) -> str:
        async with part_file(mirror, log):
            return await download(mirror, wait)

    tasks = [asyncio.create_task(fetch(*mirror)) for mirror in mirrors.items()]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()  # of no effect on the one that is done
    await asyncio.gather(*pending, return_exceptions=True)
    print(f"  {', '.join(log[len(mirrors) :])}")
    return {task.result() for task in done}, log


async def limited(seconds: Sequence[float], limit: int) -> int:
    """A semaphore lets only so many in.

    Ten requests at once may be fine; ten thousand are an attack. All ten tasks exist, but no more
    than three are inside `async with` at any moment.
    """
    places = asyncio.Semaphore(limit)
    inside = peak = 0

    async def polite(number: int, wait: float) -> None:
        nonlocal inside, peak
        async with places:
            inside += 1
            peak = max(peak, inside)
            await download(f"file{number}", wait)
            inside -= 1

    await asyncio.gather(*(polite(*item) for item in enumerate(seconds)))
    return peak


async def produce_and_consume(seconds: Sequence[float]) -> tuple[list[int], int]:
    """A queue joins producers and consumers that work at their own pace.

    Two producers name files, three consumers download them. The queue holds at most four: a
    producer that is ahead waits at `put` (backpressure), so memory stays flat however many files
    there are. At the end each consumer gets a None and goes home.
    """
    queue: asyncio.Queue[int | None] = asyncio.Queue(maxsize=4)
    lengths, fetched = [], []

    async def produce(numbers: range) -> None:
        for number in numbers:
            await queue.put(number)
            lengths.append(queue.qsize())

    async def consume() -> None:
        while (number := await queue.get()) is not None:
            await download(f"file{number}", seconds[number])
            fetched.append(number)

    async with asyncio.TaskGroup() as consumers:
        for _ in range(3):
            consumers.create_task(consume())
        await asyncio.gather(*(produce(range(first, len(seconds), 2)) for first in (0, 1)))
        for _ in range(3):
            await queue.put(None)
    return fetched, max(lengths)


async def block_the_loop(seconds: float) -> tuple[int, int]:
    """Blocking code stops everybody; to_thread puts it aside.

    A heartbeat should go on all the time. A blocking call in a coroutine (time.sleep, requests, a
    database driver) stops the only thread, and the heart with it. `asyncio.to_thread` makes the
    same call in another thread. `asyncio.run(main(), debug=True)` reports such calls.
    """
    beats = 0

    async def heartbeat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(seconds / 20)
            beats += 1

    heart = asyncio.create_task(heartbeat())
    await asyncio.sleep(0)
    time.sleep(seconds)  # noqa: ASYNC251 - the mistake that this step shows
    while_blocked = beats
    await asyncio.to_thread(time.sleep, seconds)
    heart.cancel()
    return while_blocked, beats - while_blocked


async def numbered_pages(log: list[str]) -> AsyncIterator[int]:
    """Pages that arrive one by one: an async generator may await between two yields."""
    try:
        for number in range(1, 1_000_000):
            await asyncio.sleep(0)
            yield number
    finally:
        log.append("source closed")


async def read_pages() -> list[str]:
    """An async generator brings items when they are asked for.

    `async for` awaits each page, so a source of a million pages needs the memory of one. If you
    stop early, close the generator: `aclosing` does it at once.
    """
    log: list[str] = []
    async with aclosing(numbered_pages(log)) as pages:
        async for number in pages:
            log.append(f"page {number}")
            if number == 3:
                break
    print(f"  {', '.join(log)}")
    return log


async def compute_together(size: int) -> str:
    """What asyncio is not for: computing.

    This work waits for nothing, so no other task gets a turn: gather runs the three one after
    another, and the loop stands still. Computing wants processes (ProcessPoolExecutor) or a library
    that computes outside Python (numpy, DuckDB). Leave asyncio out as well where a script waits for
    one thing at a time: plain code is easier to read and to debug.

    At a thousand times the size, don't make ten thousand tasks and hold them back with a semaphore.
    A queue and a fixed number of workers need the same memory for any number of downloads.
    """
    turns = []

    async def add_up(worker: str) -> int:
        turns.append(worker)
        total = sum(number * number for number in range(size))
        turns.append(worker)
        return total

    await asyncio.gather(*(add_up(worker) for worker in "ABC"))
    return "".join(turns)


def main(lesson: Lesson) -> None:
    """The ten downloads in every way, and what must hold of each."""
    seconds = [max(lesson.delay(wait), SHORTEST) for wait in SECONDS]
    kind, warning = lesson.step(forget_to_await)
    lesson.check("the call made a coroutine object", kind == "coroutine")
    lesson.check("Python warned", "never awaited" in warning)
    log = lesson.step(await_and_task)
    lesson.check("await gave the result", log[0] == "soup.csv")
    lesson.check("the task waited for an await", log[1:] == ["the task is made", "the task starts"])
    ordered, slow = lesson.step(one_after_another, seconds)
    lesson.check("the waits added up", slow * 2 > sum(seconds), f"{slow:.2f} s")
    files, fast = lesson.step(all_together, seconds)
    lesson.check("together was at least 3x faster", fast * 3 < slow, f"{slow / fast:.1f}x")
    lesson.check("the results are the same, in the same order", files == ordered)
    turns = lesson.step(draw_timeline)
    lesson.check("the workers took turns at their awaits", turns == "ABC" * 3, turns)
    failing(lesson, seconds)
    limiting(lesson, seconds)
    blocked, aside = lesson.step(block_the_loop, 4 * TICK)
    lesson.check("the blocking call stopped the heart", blocked == 0, f"{blocked} beats")
    lesson.check("with to_thread it beat on", aside >= 3)
    log = lesson.step(read_pages)
    lesson.check("it closed the source after page 3", log[2:] == ["page 3", "source closed"])
    turns = lesson.step(compute_together, 20_000 if lesson.fast else 500_000)
    lesson.check("gather computed one after another", turns == "AABBCC", turns)


def failing(lesson: Lesson, seconds: list[float]) -> None:
    """Errors, timeouts and cancellation."""
    log, errors = lesson.step(fail_in_gather, seconds)
    lesson.check("after the error the other eight ran to their end", log == ["finished"] * 8)
    lesson.check("return_exceptions gave both errors", len(errors) == 2, ", ".join(errors))
    log, errors = lesson.step(fail_in_task_group, seconds)
    lesson.check("the TaskGroup cancelled the other eight", log == ["cancelled"] * 8)
    lesson.check("each error came to its except*", len(errors) == 2)
    limit, needed = lesson.delay(0.3), lesson.delay(0.3) * 100
    log, took = lesson.step(give_up, limit, needed)
    lesson.check("the timeout ended the wait", took * 3 < needed, f"{took:.2f} s of {needed:.0f} s")
    lesson.check("it cleaned up first", log == ["big.part opened", "big.part removed", "gave up"])
    winners, log = lesson.step(fastest_mirror, {m: lesson.delay(s) for m, s in MIRRORS.items()})
    lesson.check("the fastest mirror won", winners == {"Kyiv.csv"})
    removed = {line for line in log if line.endswith("removed")}
    lesson.check("the cancelled cleaned up too", len(removed) == len(MIRRORS))


def limiting(lesson: Lesson, seconds: list[float]) -> None:
    """Only so much at once."""
    peak = lesson.step(limited, seconds, 3)
    lesson.check("never more than three at once", peak == 3, f"{peak} at most")
    fetched, longest = lesson.step(produce_and_consume, seconds)
    lesson.check("every file was fetched once", sorted(fetched) == list(range(len(seconds))))
    lesson.check("the queue kept to its limit", longest <= 4, f"{longest} at most")


if __name__ == "__main__":
    run(main)
