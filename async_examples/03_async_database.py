"""Async PostgreSQL: many questions at once, and no transaction left open.

You will see rows with types, two correct transactions that break a rule together (and how the
server prevents it), tasks that call each other through the database, a cancelled task that leaves
nothing behind, and where asyncio makes queries faster and where it brings nothing.

Run      python async_examples/03_async_database.py        (--step pauses at each step)
Needs    PostgreSQL
Minutes  40
Next     sql_examples/04_sql_examples.sql
"""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from decimal import Decimal
from functools import partial

import asyncpg

from course import connect
from course.lesson import Lesson, run
from course.workspace import own_schema

SCHEMA = "async_03"
TABLES = """
    CREATE TABLE readings (number integer PRIMARY KEY, sensor text, value numeric(8, 2));
    CREATE TABLE on_call (name text PRIMARY KEY, on_duty boolean NOT NULL);
    CREATE TABLE visits (page text PRIMARY KEY, count integer NOT NULL);
    INSERT INTO on_call VALUES ('Anna', true), ('Ivan', true);
    INSERT INTO visits VALUES ('home', 0);
"""
ROWS, FEWER_ROWS = 20_000, 2_000
CONNECTIONS, QUERIES, FEWER_QUERIES = 10, 200, 20
WAIT, PATIENCE = 0.02, 0.3  # seconds: how long a query keeps us waiting, and how long we would
ALMOST = 0.95  # two clocks measure, so exact limits would be too strict


async def teach_json(connection: asyncpg.Connection) -> None:
    """Let `connection` turn jsonb into Python objects and back."""
    codec = {"encoder": json.dumps, "decoder": json.loads}
    await connection.set_type_codec("jsonb", schema="pg_catalog", **codec)


def open_pool(size: int = 2) -> asyncpg.Pool:
    """A pool of `size` connections that find the lesson's own tables first."""
    options = {"init": teach_json, "server_settings": {"search_path": f"{SCHEMA},public"}}
    return asyncpg.create_pool(connect.url("postgres"), min_size=size, max_size=size, **options)


async def timed(work: Awaitable[object]) -> float:
    """Seconds that awaiting `work` takes."""
    start = time.perf_counter()
    await work
    return time.perf_counter() - start


async def typed_rows(lesson: Lesson) -> None:
    """A pool, and rows with names and types.

    Open one pool for the whole program and let `async with` close it. A Record gives its values by
    name or position. numeric comes as Decimal, timestamptz as a datetime that knows its zone. jsonb
    comes as text until a codec is set: `init` does that once for each connection.
    """
    query = "SELECT name, price, attributes, now() FROM products ORDER BY product_id LIMIT 1"
    async with open_pool() as pool:
        row = await pool.fetchrow(query)
    lesson.table([(name, type(value).__name__) for name, value in row.items()], ["column", "type"])
    lesson.check("a name and a position find the same value", row["price"] is row[1])
    lesson.check("money is exact", isinstance(row["price"], Decimal))
    lesson.check("the time knows its zone", row["now"].utcoffset() is not None)
    lesson.check("the codec made jsonb a dictionary", isinstance(row["attributes"], dict))
    async with asyncpg.create_pool(connect.url("postgres"), min_size=1) as plain:
        row = await plain.fetchrow(query)
    lesson.check("without it jsonb is text", isinstance(row["attributes"], str))


async def parameters(lesson: Lesson) -> None:
    """Parameters have types, and statements are prepared.

    The values travel beside the text, as $1, $2, and in the type that the server expects: a number
    as text is refused before it leaves. A list goes with `= any($1)`. asyncpg prepares each text
    once for each connection and uses it again.
    """
    query = "SELECT name FROM customers WHERE customer_id = any($1) ORDER BY customer_id"
    prepared = "SELECT count(*) FROM pg_prepared_statements WHERE statement = $1"
    async with open_pool() as pool, pool.acquire() as connection:
        found = [len(await connection.fetch(query, ids)) for ids in ([1], [1, 2], [1, 2, 3])]
        lesson.check("a list goes with = any($1)", found == [1, 2, 3])
        times = await connection.fetchval(prepared, query)
        lesson.check("asked three times, prepared once", times == 1)
        with lesson.expected_error(asyncpg.PostgresSyntaxError):
            await connection.fetch("SELECT name FROM customers WHERE customer_id IN $1", [1, 2])
        with lesson.expected_error(asyncpg.DataError):
            await connection.fetch("SELECT name FROM customers WHERE customer_id = $1", "1")
        statement = await connection.prepare(query)
        kind = statement.get_parameters()[0].name
        lesson.check("prepare() knows what it takes", kind == "int4[]", kind)


async def transactions(lesson: Lesson) -> None:
    """All or nothing: `async with connection.transaction()`.

    psycopg2 opens a transaction by itself, asyncpg does not: outside of a block each statement is
    kept at once. The block commits at its end and rolls back when an exception leaves it. A block
    inside a block is a savepoint.
    """
    add = "INSERT INTO readings VALUES ($1, 'attic', 19.5)"
    async with open_pool() as pool, pool.acquire() as connection:
        await connection.execute(add, 1)
        lesson.check("no block, no transaction", not connection.is_in_transaction())
        async with connection.transaction():
            await connection.execute(add, 2)
            with lesson.expected_error(asyncpg.UniqueViolationError):
                async with connection.transaction():
                    await connection.execute(add, 3)
                    await connection.execute(add, 1)
        kept = [row["number"] for row in await connection.fetch("TABLE readings ORDER BY number")]
        lesson.check("the failed block left nothing", kept == [1, 2], f"kept: {kept}")


async def go_home(
    pool: asyncpg.Pool, isolation: str, both_looked: asyncio.Barrier, name: str, attempt: int = 1
) -> bool:
    """Take `name` off duty if another stays; False if nobody would."""
    async with pool.acquire() as connection, connection.transaction(isolation=isolation):
        on_duty = await connection.fetchval("SELECT count(*) FROM on_call WHERE on_duty")
        if attempt == 1:
            await asyncio.wait_for(both_looked.wait(), 30)
        if on_duty > 1:
            await connection.execute("UPDATE on_call SET on_duty = false WHERE name = $1", name)
        return on_duty > 1


async def both_go_home(lesson: Lesson) -> None:
    """Two correct transactions break a rule together.

    One of Anna and Ivan must stay on duty. Both look, see two on duty, and go home. Neither
    changed what the other changed, so even REPEATABLE READ lets both commit: a write skew. Only
    SERIALIZABLE behaves as if one had come after the other, and refuses one of them.
    """
    rows = []
    async with open_pool() as pool:
        for isolation in ("read_committed", "repeatable_read", "serializable"):
            await pool.execute("UPDATE on_call SET on_duty = true")
            leave = partial(go_home, pool, isolation, asyncio.Barrier(2))
            results = await asyncio.gather(leave("Anna"), leave("Ivan"), return_exceptions=True)
            refused = [type(r).__name__ for r in results if isinstance(r, Exception)]
            left = await pool.fetchval("SELECT count(*) FROM on_call WHERE on_duty")
            rows.append((isolation, left, ", ".join(refused)))
    lesson.table(rows, ["isolation", "on duty", "refused with"])
    lesson.check("under REPEATABLE READ both go home", rows[1][1:] == (0, ""))
    lesson.check("under SERIALIZABLE one can't", rows[2][1:] == (1, "SerializationError"))


async def with_retry(work: Callable[[int], Awaitable], attempts: int = 10) -> tuple[bool, int]:
    """(the result of `work(attempt)`, the attempt at which it was not refused)."""
    for attempt in range(1, attempts):
        try:
            return await work(attempt), attempt
        except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError):
            await asyncio.sleep(random.uniform(0, 0.05) * attempt)
    return await work(attempts), attempts


async def retry(lesson: Lesson) -> None:
    """A refused transaction begins again.

    SERIALIZABLE without a retry is half a solution. Repeat the whole transaction, reads included:
    another time it sees what the other did and decides anew. Wait a random moment before.
    """
    async with open_pool() as pool:
        await pool.execute("UPDATE on_call SET on_duty = true")
        leave = partial(go_home, pool, "serializable", asyncio.Barrier(2))
        outcomes = await asyncio.gather(*(with_retry(partial(leave, n)) for n in ("Anna", "Ivan")))
    lesson.check("at first one was refused", max(attempt for _, attempt in outcomes) > 1)
    lesson.check("in the end one goes, one stays", sum(went for went, _ in outcomes) == 1)


async def loading(lesson: Lesson) -> None:
    """Three ways to load many rows.

    psycopg2's executemany waits for each row. asyncpg's does not, and keeps all rows or none.
    `copy_records_to_table` streams rows from any iterable as binary COPY: fastest by far, and with
    one bad row it loads none.
    """
    count = FEWER_ROWS if lesson.fast else ROWS
    rows = [(i, f"sensor {i % 10}", Decimal(i * 37 % 10_000) / 100) for i in range(count)]
    insert, speeds, left = "INSERT INTO readings VALUES ($1, $2, $3)", {}, set()

    async def row_by_row() -> None:
        for row in rows:
            await connection.execute(insert, *row)

    async with open_pool() as pool, pool.acquire() as connection:
        copy = partial(connection.copy_records_to_table, "readings", records=rows)
        many = partial(connection.executemany, insert, rows)
        for way, load in (("row by row", row_by_row), ("executemany", many), ("COPY", copy)):
            await connection.execute("TRUNCATE readings")
            async with connection.transaction():
                speeds[way] = count / await timed(load())
            left.add(tuple(await connection.fetchrow("SELECT count(*), sum(value) FROM readings")))
        await connection.execute("DELETE FROM readings WHERE number > 0")
        with lesson.expected_error(asyncpg.UniqueViolationError):
            await copy()
        rows_left = await connection.fetchval("SELECT count(*) FROM readings")
    lesson.check("with one bad row COPY loaded none", rows_left == 1)
    table = [(way, count / speed, f"{speed:,.0f}") for way, speed in speeds.items()]
    lesson.table(table, ["way", "seconds", "rows/s"], f"Loading {count:,} rows", measured=True)
    lesson.check("all leave the same rows", left == {(count, sum(value for *_, value in rows))})
    ratio = speeds["COPY"] / speeds["row by row"]
    lesson.check("COPY is at least 3x as fast as row by row", ratio >= 3, f"{ratio:.1f}x")


async def upsert(pool: asyncpg.Pool, rows: list[tuple]) -> None:
    """Add or replace `rows`: COPY into a staging table, then one INSERT … ON CONFLICT."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("CREATE TEMP TABLE staged (LIKE readings) ON COMMIT DROP")
        await connection.copy_records_to_table("staged", records=rows)
        await connection.execute("""
            INSERT INTO readings SELECT * FROM staged
            ON CONFLICT (number) DO UPDATE SET sensor = excluded.sensor, value = excluded.value
        """)


async def staging(lesson: Lesson) -> None:
    """Upsert many rows through a staging table.

    COPY can't replace rows, so it fills a table that lives for one transaction, and one statement
    takes the rows over. Portions with different keys may go side by side. The same batch twice
    leaves the same rows, so a rerun is safe. Two rows with one key are refused: deduplicate first.
    """
    old = [(number, "old", 0) for number in range(1_000)]
    new = [(number, "new", 1) for number in range(500, 1_500)]
    count = "SELECT sensor, count(*) FROM readings GROUP BY sensor ORDER BY sensor"
    async with open_pool() as pool:
        states = []
        for rows in (old, new, new):
            await asyncio.gather(upsert(pool, rows[:500]), upsert(pool, rows[500:]))
            states.append([tuple(row) for row in await pool.fetch(count)])
        lesson.check("500 rows replaced, 500 added", states[1] == [("new", 1_000), ("old", 500)])
        lesson.check("the same batch again changes nothing", states[2] == states[1])
        with lesson.expected_error(asyncpg.CardinalityViolationError):
            await upsert(pool, [new[0], new[0]])


async def cursors(lesson: Lesson) -> None:
    """A cursor brings a long answer piece by piece.

    `fetch` brings the whole answer at once. A cursor fetches `prefetch` rows per round trip, and
    you may stop when you have enough. It lives within a transaction.
    """
    query = "SELECT generate_series(1, 1000000000) AS number"
    async with open_pool() as pool, pool.acquire() as connection:
        with lesson.expected_error(asyncpg.NoActiveSQLTransactionError):
            async for _ in connection.cursor(query):
                break
        async with connection.transaction():
            async for row in connection.cursor(query, prefetch=1_000):
                if row["number"] == 2_500:
                    break
    lesson.check("2,500 rows of a billion were enough", row["number"] == 2_500)


async def listen_and_notify(lesson: Lesson) -> None:
    """LISTEN and NOTIFY: one task calls another.

    A commit sends the notification to every connection that listens at that moment. It is a tap on
    the shoulder, not a queue: who comes later misses it, so the facts belong in a table.
    """
    orders: asyncio.Queue[str] = asyncio.Queue()
    channel, notify = "async_03_orders", "SELECT pg_notify('async_03_orders', $1)"

    def heard(_connection: object, _server: int, _channel: str, order: str) -> None:
        orders.put_nowait(order)

    async def pack() -> list[str]:
        return [await orders.get(), await orders.get()]

    async def sell() -> None:
        with lesson.expected_error(asyncpg.DivisionByZeroError):
            async with pool.acquire() as connection, connection.transaction():
                await connection.execute(notify, "order 2, rolled back")
                await connection.execute("SELECT 1 / 0")
        await pool.execute(notify, "order 3")
        await pool.execute(notify, "order 4")

    async with open_pool() as pool, pool.acquire() as listener, asyncio.timeout(60):
        await pool.execute(notify, "order 1, too early")
        await listener.add_listener(channel, heard)
        packed, _ = await asyncio.gather(pack(), sell())
        await listener.remove_listener(channel, heard)
    lesson.check("what was committed came, in order", packed == ["order 3", "order 4"])


async def cancelling(lesson: Lesson) -> None:
    """A cancelled task leaves no open transaction.

    When a task is cancelled, here by its timeout, asyncpg stops the query on the server too, and
    `transaction()` rolls back. After a BEGIN by hand nobody does that: the transaction keeps its
    locks for as long as the connection lives. pg_stat_activity shows such sessions.
    """
    change = "UPDATE visits SET count = -1"
    session = "SELECT state FROM pg_stat_activity WHERE pid = $1"
    async with open_pool() as pool, pool.acquire() as watcher, pool.acquire() as connection:
        server = connection.get_server_pid()
        with lesson.expected_error(TimeoutError):
            async with asyncio.timeout(PATIENCE), connection.transaction():
                await connection.execute(change)
                await connection.execute("SELECT pg_sleep(30)")
        state = await watcher.fetchval(session, server)
        lesson.check("with a block the session is free again", state == "idle", state)
        await connection.execute("BEGIN")
        await connection.execute(change)
        with lesson.expected_error(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(30), PATIENCE)  # for a service that is down
        state = await watcher.fetchval(session, server)
        lesson.check("with BEGIN by hand it is not", state == "idle in transaction", state)
        await connection.execute("ROLLBACK")
        count = await watcher.fetchval("SELECT count FROM visits")
    lesson.check("nothing of either was kept", count == 0)


def ask_in_turn() -> None:
    """200 slow questions with psycopg2, one after another."""
    with closing(connect.postgres()) as connection, connection.cursor() as cursor:
        for _ in range(QUERIES):
            cursor.execute("SELECT pg_sleep(%s)", (WAIT,))


async def compare(lesson: Lesson) -> None:
    """200 queries: psycopg2 in turn against asyncpg together.

    Each query keeps the program waiting for 20 ms. psycopg2 waits 200 times. With asyncpg 200 tasks
    share 10 connections: `pool.fetchval` borrows one, and who finds none waits. So the pool is the
    limit, without a semaphore. A connection itself does one thing at a time.
    """
    query = "SELECT pg_backend_pid() FROM pg_sleep($1)"
    slow = await timed(asyncio.to_thread(ask_in_turn))
    async with open_pool(CONNECTIONS) as pool:
        servers = asyncio.gather(*(pool.fetchval(query, WAIT) for _ in range(QUERIES)))
        fast = await timed(servers)
        async with pool.acquire() as connection:
            both = (connection.fetchval("SELECT 1") for _ in range(2))
            _, error = await asyncio.gather(*both, return_exceptions=True)
    evidence = f"{slow:.1f} s → {fast:.1f} s, {slow / fast:.1f}x"
    lesson.check("together is at least 3x as fast", fast * 3 < slow, evidence)
    lesson.check("200 tasks used 10 connections", len(set(servers.result())) == CONNECTIONS)
    lesson.check("ten at a time, and no faster", fast > ALMOST * QUERIES * WAIT / CONNECTIONS)
    lesson.check("one connection takes one at a time", isinstance(error, asyncpg.InterfaceError))


async def nothing_gained(lesson: Lesson) -> None:
    """When async brings nothing.

    On one connection queries go one at a time. Computing in Python keeps the only thread busy. And
    where the database is the bottleneck, tasks wait in a longer line: here all change one row, and
    each holds its lock for 20 ms. Plain code would be as fast, and easier to read.

    At a thousand times the size, keep transactions short, load in several COPY streams, and put
    PgBouncer between many programs and one server: each connection is a process there.
    """

    async def ask() -> None:
        await pool.execute("SELECT pg_sleep($1)", WAIT)

    async def compute() -> None:
        until = time.perf_counter() + WAIT
        while time.perf_counter() < until:
            pass

    async def change_one_row() -> None:
        async with pool.acquire() as connection, connection.transaction():
            await connection.execute("UPDATE visits SET count = count + 1 WHERE page = 'home'")
            await connection.execute("SELECT pg_sleep($1)", WAIT)

    all_waits = FEWER_QUERIES * WAIT
    for work, size in ((ask, 1), (compute, CONNECTIONS), (change_one_row, CONNECTIONS)):
        async with open_pool(size) as pool:
            took = await timed(asyncio.gather(*(work() for _ in range(FEWER_QUERIES))))
        claim = f"{work.__name__}, {FEWER_QUERIES} tasks, pool of {size}: the times add up"
        lesson.check(claim, took > ALMOST * all_waits, f"{took:.2f} s")


PARTS = (typed_rows, parameters, transactions, both_go_home, retry, loading, staging, cursors,
         listen_and_notify, cancelling, compare, nothing_gained)  # fmt: skip


def main(lesson: Lesson) -> None:
    """Every part as a step, in the lesson's own schema."""
    with own_schema(SCHEMA, TABLES):
        for part in PARTS:
            lesson.step(part, lesson)


if __name__ == "__main__":
    run(main)
