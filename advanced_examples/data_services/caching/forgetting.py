"""Forgetting in time: TTL with jitter, invalidation by event, and loads that come late."""

import asyncio
import json
import random
from functools import partial

from redis.asyncio import Redis
from shop_profile.cache import Cache, Tier

from caching.tiers import ThreeTiers
from caching.workbench import NAME, PATIENCE, TTL, key, stores
from course.lesson import Lesson


async def jitter(lesson: Lesson) -> None:
    """TTL with jitter: keys that came together should not go together.

    A thousand keys stored by one warm-up expire in the same second, and all their readers turn to
    the database. Take a random share off each TTL. Take off, never add: a TTL is a promise of how
    old an answer may be.
    """
    chance = random.Random(3)
    async with stores() as (redis, _):
        spread = {}
        for share in (0.0, 0.2):
            async with redis.pipeline() as pipe:
                for number in range(1_000):
                    lives = 60_000 * (1 - share * chance.random())
                    pipe.set(key(number), "x", px=round(lives)).pttl(key(number))
                left = (await pipe.execute())[1::2]  # of each pair, what PTTL said
            spread[share] = (max(left) - min(left)) / 1_000
        lesson.check("without jitter all go within 3 s", spread[0.0] < 3, f"{spread[0.0]:.1f} s")
        lesson.check("with 20 % they take 9 s or more", spread[0.2] > 9, f"{spread[0.2]:.1f} s")


async def forget_what_changed(redis: Redis, tiers: ThreeTiers, heard: asyncio.Event) -> None:
    """Take what changed out of this process's memory; `heard` is set with every message."""
    async with redis.pubsub() as channel:
        await channel.subscribe(key("changed"))
        async for message in channel.listen():
            if message["type"] == "message":
                tiers.forget(message["data"])
            heard.set()  # the first message says that the subscription stands


async def events(lesson: Lesson) -> None:
    """Invalidation by event: tell every process's memory.

    Deleting a key in Redis does not reach what other processes keep in memory. So who writes also
    publishes, and all who keep copies listen. Pub/sub reaches those who listen at that moment. Who
    was away misses it, so memory needs a short TTL besides.
    """
    async with stores() as (redis, source):
        shared, heard = Cache(redis, NAME, patience=PATIENCE), asyncio.Event()
        listening, deaf = (ThreeTiers(shared, TTL, seconds=60) for _ in range(2))
        ask = partial(source.name, 5)
        old, _ = [await tiers.get("5", ask) for tiers in (listening, deaf)]
        listener = asyncio.create_task(forget_what_changed(redis, listening, heard))
        async with asyncio.timeout(30):
            await heard.wait()
            heard.clear()
            await source.rename(5, "Olha")
            await shared.invalidate("5")
            await redis.publish(key("changed"), "5")
            await heard.wait()
        now = [await tiers.get("5", ask) for tiers in (listening, deaf)]
        listener.cancel()
    lesson.check("the one who listens has the new name", now[0] == "Olha")
    lesson.check("the one who does not has the old one", now[1] == old)


async def late_load(lesson: Lesson) -> None:
    """A load that began before the change ends after it.

    A reader has asked the database. Now somebody changes the row and deletes the key. Then the
    reader stores what it has: old data, for a whole TTL. With versioned keys the version is part of
    the name, and a change counts it up, so the late one writes to a name that nobody reads. The
    version itself must not get lost or start again: let it live in the row, or be random. `Cache`
    in shop_profile/cache.py has a lease instead: it may store only if nobody invalidated meanwhile.
    """

    async def versioned() -> str:
        return key(5, f"v{await redis.get(key(5, 'version')) or 0}")

    async with stores() as (redis, source):
        loaded, name = await source.name(5), key(5)  # reader
        await source.rename(5, "Petro")  # writer
        await redis.delete(name)  # writer
        await redis.set(name, json.dumps(loaded), ex=TTL)  # reader, late
        found = json.loads(await redis.get(name))
        lesson.check("one key: the old name is back", found == loaded != "Petro")

        loaded, name = await source.name(5), await versioned()  # reader
        await source.rename(5, "Maria")  # writer
        await redis.incr(key(5, "version"))  # writer
        await redis.set(name, json.dumps(loaded), ex=TTL)  # reader, late
        lesson.check(
            "versioned keys: nothing old is found", await redis.get(await versioned()) is None
        )

        async def load_and_be_late() -> str | None:
            loaded = await source.name(6)
            await source.rename(6, "Taras")
            await cache.invalidate("6")
            return loaded

        cache = Cache(redis, NAME, patience=PATIENCE)
        await cache.get_or_load("6", TTL, load_and_be_late)
        now, tier = await cache.get_or_load("6", TTL, partial(source.name, 6))
        lesson.check("a lease: nothing old is stored", (now, tier) == ("Taras", Tier.LOADER))
