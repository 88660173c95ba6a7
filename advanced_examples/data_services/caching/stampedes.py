"""Many callers, one load: the stampede, single-flight, a lock across processes, XFetch."""

import asyncio
import json
import math
import random
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from functools import partial

from shop_profile.cache import Cache

from caching.early import refresh_now
from caching.workbench import PATIENCE, TTL, key, stores
from course.lesson import Lesson

CALLERS = 500
UNLOCK = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""


async def stampede(lesson: Lesson) -> None:
    """The stampede: 500 callers miss at the same moment.

    A popular key expires. All who want it miss and load the same, and the database gets 500 times
    the work at once. Single-flight: the first one loads, the others wait for its answer. If it
    fails, its error reaches all of them and is not stored; if it is cancelled, the load goes on.
    """
    loads: Counter[str] = Counter()
    all_missed = asyncio.Barrier(CALLERS)

    async def load(way: str) -> str:
        loads[way] += 1
        if way == "without":  # as slow as a query, so that nobody stores before all have looked
            await all_missed.wait()
        return "answer"

    async with stores() as (redis, _):

        async def look_load_store() -> str:
            found = await redis.get(key("popular"))
            if found is None:
                found = await load("without")
                await redis.set(key("popular"), found, ex=TTL)
            return found

        await asyncio.gather(*(look_load_store() for _ in range(CALLERS)))
        cache = Cache(redis, key("flight"), patience=PATIENCE)
        once = partial(cache.get_or_load, "popular", TTL, partial(load, "with"))
        answers = await asyncio.gather(*(once() for _ in range(CALLERS)))
    lesson.check("without single-flight: 500 loads", loads["without"] == CALLERS)
    lesson.check("with single-flight: exactly 1", loads["with"] == 1)
    lesson.check("all were answered", [value for value, _ in answers] == ["answer"] * CALLERS)


async def lock(lesson: Lesson) -> None:
    """A lock across processes.

    `SET lock token NX PX 30000` takes a lock that nobody holds and gives it back by itself if its
    holder dies. Delete it only if it is still yours: a Lua script compares and deletes in one step.
    redis-py's own `lock()` does the same.

    Its limits: who takes longer than PX, or is paused, works on while the next one holds the lock.
    A Redis that fails over may forget it. So it saves work, but does not protect data: for that the
    database must refuse the late one (a version column, a fencing token).
    """
    name, other_process = key("lock"), {"nx": True, "px": 30_000}
    async with stores() as (redis, _):
        first = await redis.set(name, "A", nx=True, px=30_000)
        second = await redis.set(name, "B", **other_process)
        lesson.check("A has it, B has to wait", (first, second) == (True, None))
        await redis.pexpire(name, round(lesson.delay(0.5) * 1_000))  # or we would wait 30 s
        while not await redis.set(name, "B", **other_process):  # noqa: ASYNC110 - a lock has no bell
            await asyncio.sleep(0.01)
        lesson.check("A was too slow: B works as well", await redis.get(name) == "B")
        lesson.check("A's release spares B's lock", await redis.eval(UNLOCK, 1, name, "A") == 0)
        lesson.check("B's release frees it", await redis.eval(UNLOCK, 1, name, "B") == 1)
        answered = await two_processes(key("rush"))
        loads = await redis.get(key("rush", "loads"))
    lesson.check("2 processes, 500 misses at once: exactly 1 load", loads == "1")
    lesson.check("and all were answered", answered.total() == CALLERS)


async def two_processes(prefix: str) -> Counter[str]:
    """Who answered the callers of two processes that began together (caching/rush.py)."""
    command = [sys.executable, "-m", "caching.rush", prefix, "--callers", str(CALLERS // 2)]
    start = partial(asyncio.create_subprocess_exec, *command, start_new_session=True)
    both: list[asyncio.subprocess.Process] = []
    try:
        while len(both) < 2:  # in here: Ctrl-C may come between the two
            both.append(await start(stdin=PIPE, stdout=PIPE))
        for process in both:
            await process.stdout.readline()  # it is ready
        answers = await asyncio.gather(*(process.communicate(b"go\n") for process in both))
    finally:
        for process in both:
            if process.returncode is None:
                process.kill()
                await process.wait()
    return sum((Counter(json.loads(answer)) for answer, _ in answers), Counter())


async def early(lesson: Lesson) -> None:
    """XFetch: renew before it expires.

    With t seconds left and a load that takes d, each reader renews with probability
    exp(-t / (beta * d)): hardly ever while there is time, almost surely at the end. So one of many
    readers comes early enough, the others don't wait, and nobody needs a lock. A key that is hardly
    ever read gains nothing. Source: Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache
    Stampede Prevention", 2015; the code is caching/early.py.
    """
    chance, rows = random.Random(8).random, []
    for left in (0.5, 1, 2, 4, 8):
        drawn = sum(refresh_now(left, 1.0, chance=chance) for _ in range(20_000)) / 20_000
        rows.append((f"{left:g}", f"{math.exp(-left):.3f}", f"{drawn:.3f}"))
    lesson.table(rows, ["t / d", "exp(-t/d)", "of 20,000 draws"])
    off = max(abs(float(formula) - float(drawn)) for _, formula, drawn in rows)
    lesson.check("the draws follow the formula", off < 0.01)
    late, renewed = herd(early=False), herd(early=True)
    lesson.table([("plain TTL", *late), ("XFetch", *renewed)], ["", "loads", "callers who waited"])
    lesson.check("with a plain TTL all who come during the load wait", late[1] > 100)
    lesson.check("with XFetch nobody waits, and there are fewer loads",
                 renewed[1] == 0 and renewed[0] < late[0])  # fmt: skip


def herd(early: bool, ttl: float = 60.0, load_seconds: float = 0.5) -> tuple[int, int]:
    """100 callers a second for ten minutes, on a clock of our own: (loads, callers who waited).

    Whoever finds nothing, or is told to renew, loads; what it loaded is there `load_seconds` later.
    """
    chance, expires, loads, waited = random.Random(8).random, ttl, 0, 0
    done: list[float] = []  # when the loads that are under way end
    for now in (number / 100 for number in range(60_000)):
        if done and done[0] <= now:
            expires = done.pop(0) + ttl
        if now >= expires:
            waited += 1
        if now >= expires or (early and refresh_now(expires - now, load_seconds, chance=chance)):
            loads += 1
            done.append(now + load_seconds)
    return loads, waited
