"""Python and PostgreSQL: from one connection to a pool.

You will see what a connection is, how values travel safely into SQL (and how an attack gets in
where they don't), what a transaction protects, three ways to load rows and how far apart they are,
and what to do when things go wrong: broken rules, deadlocks, a lost connection, a slow query.

Run      python python_db/05_db_connection.py        (--step pauses at each step, --rows N loads N)
Needs    PostgreSQL
Minutes  35
Next     06_pandas_and_sql.py
"""

import argparse
import csv
import io
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from decimal import Decimal
from functools import partial

import psycopg2
from psycopg2 import errors, extras, pool, sql
from psycopg2.extensions import TRANSACTION_STATUS_IDLE, TRANSACTION_STATUS_INTRANS

from course import charts, connect
from course.lesson import Lesson, run, whole_number
from course.measure import peak_memory, seconds
from course.workspace import own_schema

Connection = psycopg2.extensions.connection
Cursor = psycopg2.extensions.cursor
Rows = list[tuple[int, str, Decimal]]

SCHEMA = "db_05"
TABLES = """
    CREATE TABLE accounts (name text PRIMARY KEY,
                           balance numeric(10, 2) CONSTRAINT no_debts CHECK (balance >= 0));
    CREATE TABLE payments (payer text REFERENCES accounts, amount numeric(10, 2) NOT NULL);
    CREATE TABLE readings (number integer PRIMARY KEY, sensor text, value numeric(8, 2));
    INSERT INTO accounts VALUES ('Anna', 100), ('Ivan', 100), ('Mallory', 0);
"""
ROWS, FEWER_ROWS = 20_000, 5_000
READ_ROWS = 100_000


def open_connection(**settings: str) -> Connection:
    """A connection that looks for tables in the lesson's own schema first."""
    settings["search_path"] = f"{SCHEMA},public"
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return psycopg2.connect(connect.url("postgres"), options=options)


def balances(connection: Connection) -> dict[str, Decimal]:
    """What each account holds, in euros."""
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT name, balance FROM accounts ORDER BY name")
        return dict(cursor.fetchall())


def first_connection(lesson: Lesson, connection: Connection) -> None:
    """Connect and ask something.

    A connection is a conversation with one server process of its own. Opening it takes
    milliseconds, so open one and keep it. A cursor carries one statement and its result. The first
    statement opens a transaction, which stays open until you commit or roll back.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM customers")
        print(f"customers: {cursor.fetchone()[0]:,}")
    status = connection.get_transaction_status()
    lesson.check("even a SELECT opens a transaction", status == TRANSACTION_STATUS_INTRANS)
    connection.commit()
    status = connection.get_transaction_status()
    lesson.check("commit ends it; the connection stays open", status == TRANSACTION_STATUS_IDLE)


def parameters(lesson: Lesson, connection: Connection) -> None:
    """Values travel as parameters.

    Write %s where a value goes and hand the values over beside the text. Quotes, dates, None and
    lists are taken care of. A table or column name is no value: `psycopg2.sql` puts those in.
    """
    values = ("O'Brien", None, date(2025, 10, 26), Decimal("19.99"), [1, 2, 3])
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT %s, %s, %s, %s, %s", values)
        print(f"sent: {cursor.query.decode()}")
        lesson.check("every value comes back as it was sent", cursor.fetchone() == values)
        cursor.execute("SELECT count(*) FROM customers WHERE customer_id = ANY(%s)", ([1, 2, 3],))
        lesson.check("a list goes with = ANY(%s), not with IN", cursor.fetchone() == (3,))
        cursor.execute(sql.SQL("SELECT min(name) FROM {}").format(sql.Identifier("accounts")))
        lesson.check("names go in through sql.Identifier", cursor.fetchone() == ("Anna",))


def find_unsafely(cursor: Cursor, name: str) -> list[tuple]:
    """The accounts called `name`. Don't write this: the name becomes part of the SQL."""
    cursor.execute(f"SELECT * FROM accounts WHERE name = '{name}'")
    return cursor.fetchall()


def injection(lesson: Lesson, connection: Connection) -> None:
    """SQL injection, live.

    A form asks for a name. Mallory types SQL instead. Where the program glues the text together,
    the server can't tell her words from ours; as a parameter they are just a strange name.
    """
    curious = "x' OR 'a' = 'a"
    greedy = "x'; UPDATE accounts SET balance = 1000 WHERE name = 'Mallory' RETURNING *; --"
    print(f"curious  {curious}\ngreedy   {greedy}")
    with connection.cursor() as cursor:
        seen, changed = find_unsafely(cursor, curious), find_unsafely(cursor, greedy)
        lesson.check("glued together, the curious one shows all accounts", len(seen) == 3)
        lesson.check("and the greedy one makes her rich", changed == [("Mallory", 1_000)])
        connection.rollback()
        for words in (curious, greedy):
            cursor.execute("SELECT * FROM accounts WHERE name = %s", (words,))
            lesson.check("as a parameter it is nobody's name", cursor.fetchall() == [], words[:16])
    lesson.check("and change nothing", balances(connection)["Mallory"] == 0)


def move(cursor: Cursor, source: str, target: str, amount: int, pause: Callable = int) -> None:
    """Move `amount` euros; CheckViolation when `source` hasn't got them. `pause` comes between."""
    change = "UPDATE accounts SET balance = balance + %s WHERE name = %s"
    cursor.execute(change, (amount, target))
    pause()
    cursor.execute(change, (-amount, source))


def transactions(lesson: Lesson, connection: Connection) -> None:
    """All or nothing: `with connection`.

    Moving money is two updates. When the second fails, the first must not stay. The block commits
    at its end, or rolls back when an exception leaves it. It does not close the connection: that
    takes `contextlib.closing` or `connection.close()`.
    """
    before = balances(connection)
    with lesson.expected_error(errors.CheckViolation), connection, connection.cursor() as cursor:
        move(cursor, "Anna", "Ivan", 5_000)
    lesson.check("Ivan doesn't keep what Anna hasn't got", balances(connection) == before)
    with connection, connection.cursor() as cursor:
        move(cursor, "Anna", "Ivan", 50)
    after = {**before, "Anna": before["Anna"] - 50, "Ivan": before["Ivan"] + 50}
    lesson.check("a move that works is kept", balances(connection) == after)
    lesson.check("after the block the connection is still open", not connection.closed)


def savepoints(lesson: Lesson, connection: Connection) -> None:
    """Savepoints: give up one row, not the whole load.

    After an error PostgreSQL refuses everything until the transaction ends, or until you go back
    to a savepoint. Each costs a round trip: with many rows, check them before you send them.
    """
    refused = []
    with connection, connection.cursor() as cursor:
        for payment in (("Anna", 10), ("Nobody", 20), ("Ivan", None), ("Ivan", 30)):
            cursor.execute("SAVEPOINT before_row")
            try:
                cursor.execute("INSERT INTO payments VALUES (%s, %s)", payment)
            except psycopg2.IntegrityError as error:
                cursor.execute("ROLLBACK TO SAVEPOINT before_row")
                refused.append((*payment, type(error).__name__))
    lesson.table(refused, ["payer", "amount", "refused with"])
    lesson.check("each bad row is named with its reason", len(refused) == 2)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT payer, amount FROM payments ORDER BY amount")
        lesson.check("the good rows are in", cursor.fetchall() == [("Anna", 10), ("Ivan", 30)])


def fetch_styles(lesson: Lesson, connection: Connection) -> None:
    """Fetching: one, some, all, or a loop.

    fetchall is right for small answers, the loop for everything else. A NamedTupleCursor gives
    the columns names (a DictCursor too), so that a new column breaks nothing.
    """
    query = "SELECT name, city FROM customers ORDER BY customer_id LIMIT 10"
    with connection, connection.cursor() as cursor:
        cursor.execute(query)
        one, some, rest = cursor.fetchone(), cursor.fetchmany(4), cursor.fetchall()
        goes_on = (len(some), len(rest), cursor.fetchone()) == (4, 5, None)
        lesson.check("each fetch goes on where the last one ended", goes_on)
        cursor.execute(query)
        lesson.check("a loop sees the same rows", list(cursor) == [one, *some, *rest])
    with connection, connection.cursor(cursor_factory=extras.NamedTupleCursor) as cursor:
        cursor.execute(query)
        lesson.check("a name finds the same value as a position", cursor.fetchone().city == one[1])


def server_side_cursor(lesson: Lesson, connection: Connection) -> None:
    """A server-side cursor reads more rows than fit into memory.

    An ordinary cursor brings the whole answer at once. A cursor with a name leaves it with the
    server and fetches `itersize` rows per round trip. It lives within one transaction, and a long
    transaction keeps the server from cleaning up: read, and be gone.
    """

    def count_rows(name: str | None, fetch: Callable[[Cursor], Iterable]) -> int:
        with connection, connection.cursor(name) as cursor:
            cursor.itersize = 2_000
            cursor.execute("SELECT i, 'row ' || i FROM generate_series(1, %s) AS i", (READ_ROWS,))
            return sum(1 for _ in fetch(cursor))

    rows, whole = peak_memory(partial(count_rows, None, Cursor.fetchall))
    same_rows, portion = peak_memory(partial(count_rows, "portions", iter))
    table = [("ordinary", rows, READ_ROWS, whole), ("named", same_rows, 2_000, portion)]
    headings = ["cursor", "rows", "per trip", "peak MB"]
    lesson.table(table, headings, "Memory of Python", measured=True)
    lesson.check("both read every row", rows == same_rows == READ_ROWS)
    lesson.check("in portions takes less than a third of the memory", portion * 3 < whole)


def executemany(cursor: Cursor, rows: Rows) -> None:
    """One INSERT, and one round trip, per row."""
    cursor.executemany("INSERT INTO readings VALUES (%s, %s, %s)", rows)


def execute_values(cursor: Cursor, rows: Rows) -> None:
    """One INSERT for a thousand rows."""
    extras.execute_values(cursor, "INSERT INTO readings VALUES %s", rows, page_size=1_000)


def copy(cursor: Cursor, rows: Rows) -> None:
    """One stream of CSV for all rows."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    buffer.seek(0)
    cursor.copy_expert("COPY readings FROM STDIN WITH (FORMAT csv)", buffer)


def loading(lesson: Lesson, connection: Connection) -> None:
    """Three ways to load many rows.

    executemany sends one statement after another and waits for each answer. execute_values puts a
    thousand rows into one statement. COPY streams all of them; one bad row and none is loaded.
    """
    count = lesson.options.rows or (FEWER_ROWS if lesson.fast else ROWS)
    rows = [(i, f"sensor {i % 10}", Decimal(i * 37 % 10_000) / 100) for i in range(count)]
    speeds, left = {}, set()
    for load in (executemany, execute_values, copy):
        with connection, connection.cursor() as cursor:
            cursor.execute("TRUNCATE readings")
            speeds[load.__name__] = count / seconds(partial(load, cursor, rows))
            cursor.execute("SELECT count(*), sum(value) FROM readings")
            left.add(cursor.fetchone())
    table = [(way, count / speed, f"{speed:,.0f}") for way, speed in speeds.items()]
    lesson.table(table, ["way", "seconds", "rows/s"], f"Loading {count:,} rows", measured=True)
    lesson.check("all leave the same rows", left == {(count, sum(value for *_, value in rows))})
    ratio = speeds["copy"] / speeds["executemany"]
    lesson.check("COPY is at least 3x as fast as executemany", ratio >= 3, f"{ratio:.1f}x")
    title = f"COPY loads {ratio:.0f} times as fast as executemany"
    lesson.chart(charts.bars(speeds, title, "rows per second"), "loading")


def broken_rules(lesson: Lesson, connection: Connection) -> None:
    """Each broken rule has an exception of its own.

    Catch the class that you can answer, never `Exception`. `error.diag` names the rule, so that
    the message for your user need not be cut out of the server's text.
    """
    attempts = {
        errors.UniqueViolation: "INSERT INTO accounts VALUES ('Anna', 1)",
        errors.CheckViolation: "INSERT INTO accounts VALUES ('Olha', -1)",
        errors.NotNullViolation: "INSERT INTO payments VALUES ('Anna', NULL)",
        errors.ForeignKeyViolation: "INSERT INTO payments VALUES ('Nobody', 1)",
    }
    for kind, statement in attempts.items():
        with lesson.expected_error(kind) as caught, connection, connection.cursor() as cursor:
            cursor.execute(statement)
        rule = caught.error.diag.constraint_name or caught.error.diag.column_name
        lesson.check(f"{kind.__name__} names what was broken", rule, rule)


def with_retry(work: Callable[[int], None], attempts: int = 3) -> int:
    """Call `work(attempt)` until no deadlock stops it; the number of attempts that it took."""
    for attempt in range(1, attempts):
        try:
            work(attempt)
            return attempt
        except (errors.DeadlockDetected, errors.SerializationFailure):
            time.sleep(0.05 * attempt)
    work(attempts)
    return attempts


def deadlock(lesson: Lesson) -> None:
    """Two transactions wait for each other.

    One changes Ivan's row and wants Anna's, the other has Anna's and wants Ivan's. After a second
    the server sees the circle and ends one of them, which simply tries again from the beginning.
    Better still, touch rows in the same order everywhere, for example by name.
    """
    both_hold_one = threading.Barrier(2)

    def pay(source: str, target: str, attempt: int) -> None:
        pause = partial(both_hold_one.wait, timeout=30) if attempt == 1 else int
        with closing(open_connection()) as connection, connection, connection.cursor() as cursor:
            move(cursor, source, target, 10, pause)

    with closing(open_connection()) as connection, ThreadPoolExecutor(2) as threads:
        before = balances(connection)
        pairs = (("Anna", "Ivan"), ("Ivan", "Anna"))
        jobs = [threads.submit(with_retry, partial(pay, *pair)) for pair in pairs]
        attempts = sorted(job.result() for job in jobs)
        lesson.check("one gets through at once, the other at its second try", attempts == [1, 2])
        lesson.check("10 euros went there and 10 came back", balances(connection) == before)


def pooling(lesson: Lesson) -> None:
    """A pool lends connections.

    Opening a connection costs far more than a small question. A pool keeps some open and never has
    more than its limit. psycopg2's pool does not wait when all are out: it raises. A script needs
    one connection and no pool; a server with many threads needs one.
    """
    lender = pool.ThreadedConnectionPool(1, 2, connect.url("postgres"))

    def ask(take: Callable[[], Connection], give_back: Callable[[Connection], None]) -> None:
        connection = take()
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        give_back(connection)

    try:
        new = seconds(partial(ask, open_connection, Connection.close), times=20)
        lent = seconds(partial(ask, lender.getconn, lender.putconn), times=20)
        lesson.check("a pool answers at least 3x as fast", lent * 3 < new, f"{new / lent:.1f}x")
        first, _second = lender.getconn(), lender.getconn()
        with lesson.expected_error(pool.PoolError):
            lender.getconn()
        lender.putconn(first)
        lesson.check("what was given back is lent again", lender.getconn() is first)
    finally:
        lender.closeall()


def lost_connection(lesson: Lesson) -> None:
    """The connection is gone.

    A restart, a firewall or an administrator ends it, and you notice at the next statement. Open a
    new one and begin the transaction again. If the loss came during commit, nobody knows whether
    it was done: repeat only what may happen twice, such as an upsert.
    """
    with closing(open_connection()) as doomed, closing(open_connection()) as other:
        with other, other.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (doomed.info.backend_pid,))
        with lesson.expected_error(psycopg2.OperationalError), doomed.cursor() as cursor:
            cursor.execute("SELECT 1")
        lesson.check("the connection knows that it is closed", doomed.closed)
        with lesson.expected_error(psycopg2.InterfaceError):
            doomed.cursor()
    with closing(open_connection()) as fresh:
        lesson.check("a new one finds everything in place", len(balances(fresh)) == 3)


def slow_query(lesson: Lesson) -> None:
    """A limit for slow queries.

    Without `statement_timeout` a query may run, and hold its locks, for ever. Set it on every
    connection that answers a waiting user.
    """
    with closing(open_connection(statement_timeout="100ms")) as connection:
        with lesson.expected_error(errors.QueryCanceled), connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(60)")
        lesson.check("after the rollback it answers again", balances(connection))


def where_next(_lesson: Lesson) -> None:
    """psycopg 3 is what you would start with today.

    psycopg2 gets no new features. In psycopg 3 the same ideas go further: executemany sends many
    rows per round trip, COPY takes rows one by one, an empty pool waits, and there is asyncio.
    At a thousand times the rows: COPY into a staging table, read in portions, keep transactions
    short, and put a pooler such as PgBouncer before a server that many programs use.
    """


def add_options(parser: argparse.ArgumentParser) -> None:
    """The lesson's own knob."""
    parser.add_argument("--rows", type=whole_number, metavar="N", help="rows to load in each way")


ON_ONE = (first_connection, parameters, injection, transactions, savepoints, fetch_styles,
          server_side_cursor, loading, broken_rules)  # fmt: skip
ON_SEVERAL = (deadlock, pooling, lost_connection, slow_query, where_next)


def main(lesson: Lesson) -> None:
    """Every part as a step, in the lesson's own schema."""
    with own_schema(SCHEMA, TABLES):
        with closing(open_connection()) as connection:
            for part in ON_ONE:
                lesson.step(part, lesson, connection)
        for part in ON_SEVERAL:
            lesson.step(part, lesson)


if __name__ == "__main__":
    run(main, options=add_options)
