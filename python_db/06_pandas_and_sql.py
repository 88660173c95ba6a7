"""pandas and SQL: which of the two should do the work.

You will see how a query becomes a frame and what is silently changed on the way, how to read more
rows than fit into memory, how to load a frame fast, what it costs to move rows instead of asking
the server, and the same question answered by PostgreSQL, pandas and DuckDB.

Run      python python_db/06_pandas_and_sql.py        (--step pauses at each step, --rows N loads N)
Needs    PostgreSQL
Minutes  40
Next     notebooks/07_data_analysis.ipynb
"""

import argparse
import io
import tempfile
import warnings
from collections.abc import Callable
from contextlib import closing
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa
from pyarrow import csv
from sqlalchemy.dialects.postgresql import JSONB

from course import connect
from course.lesson import Lesson, run, whole_number
from course.measure import peak_memory, seconds
from course.workspace import own_schema

SCHEMA = "db_06"
TABLES = """
    CREATE TABLE samples (price numeric(18, 2), number bigint, paid boolean, moment timestamptz,
                          day date, note text, data jsonb);
    INSERT INTO samples VALUES
        (9999999999999999.99, 9007199254740993, true, '2025-10-26 01:30+02', '2025-10-26', '',
         '{"a": null}'),
        (NULL, NULL, NULL, NULL, NULL, NULL, NULL);
    CREATE TABLE loaded (LIKE public.web_events);
    CREATE VIEW sales AS
        SELECT category, status, (ordered_at AT TIME ZONE 'UTC')::date AS day, quantity, unit_price
        FROM order_items JOIN orders USING (order_id) JOIN products USING (product_id);
"""
SAMPLES = "SELECT * FROM samples ORDER BY number NULLS LAST"
PRICE, BIG = Decimal("9999999999999999.99"), 2**53 + 1
MOMENT, DAY = pd.Timestamp("2025-10-25 23:30", tz="UTC"), date(2025, 10, 26)
MONEY_TYPE, DATE_TYPE = pd.ArrowDtype(pa.decimal128(18, 2)), pd.ArrowDtype(pa.date32())
ROWS, FEWER_ROWS = 20_000, 5_000
READ_ROWS, CHUNK = 50_000, 2_000
MANY_ROWS = f"SELECT i AS number, 'row ' || i AS name FROM generate_series(1, {READ_ROWS}) AS i"
REVENUE = """
    SELECT category, sum(quantity * unit_price) AS euros
    FROM {source}
    WHERE status = 'completed'
    GROUP BY category
    ORDER BY category
"""
Answer = dict[str, Decimal]


def open_engine() -> sa.Engine:
    """SQLAlchemy's door to PostgreSQL. It names the driver: psycopg2 is no longer the default."""
    url = sa.make_url(connect.url("postgres")).set(drivername="postgresql+psycopg2")
    return sa.create_engine(url, connect_args={"options": f"-c search_path={SCHEMA},public"})


def read(engine: sa.Engine, query: str, **options: Any) -> pd.DataFrame:
    """The answer to `query` as a frame; `options` go to `pandas.read_sql`."""
    with engine.connect() as connection:
        return pd.read_sql(sa.text(query), connection, **options)


def ask(engine: sa.Engine, query: str) -> Any:
    """The one value that `query` answers with."""
    with engine.connect() as connection:
        return connection.execute(sa.text(query)).scalar_one()


def first_frame(lesson: Lesson, engine: sa.Engine) -> None:
    """A query becomes a frame.

    `read_sql` takes a query, a connection and parameters. The connection is SQLAlchemy's: pandas
    takes a bare psycopg2 connection too, but warns that it doesn't test that pair. The engine is
    no more here than a pool that knows the way. Text arrives in pandas 3's own `str` columns.
    """
    query = "SELECT name, city, registration_date FROM customers WHERE city = :city ORDER BY 1"
    frame = read(engine, query, params={"city": "Lviv"})
    lesson.table(frame.head(3).to_dict("records"), title="Customers in Lviv, the first three")
    lesson.check("the parameter chose the rows", set(frame["city"]) == {"Lviv"}, f"{len(frame)}")
    lesson.check("text has the dtype str, not object", frame["name"].dtype == "str")
    with warnings.catch_warnings(record=True) as caught, closing(connect.postgres()) as bare:
        warnings.simplefilter("always")
        pd.read_sql("SELECT 1", bare)
    said = any("SQLAlchemy" in str(warning.message) for warning in caught)
    lesson.check("pandas warns about a bare psycopg2 connection", said)


def copy_on_write(lesson: Lesson, engine: sa.Engine) -> None:
    """Copy-on-write: a part of a frame is a frame of its own.

    Since pandas 3 every selection behaves as a copy (made when you write, so it costs nothing
    before). Changing the part never changes the whole, and a chained assignment changes nothing at
    all. To change the frame itself, say it in one step with `.loc`.
    """
    orders = read(engine, "SELECT order_id, status FROM orders ORDER BY 1 LIMIT 100")
    before = orders.copy()
    some = orders[orders["order_id"] < 10]
    some["status"] = "looked at"
    lesson.check("a change to the part leaves the whole alone", orders.equals(before))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        orders["status"][0] = "chained"
    named = [warning.category.__name__ for warning in caught] == ["ChainedAssignmentError"]
    lesson.check("a chained assignment is lost, with a warning", orders.equals(before) and named)
    orders.loc[0, "status"] = "in one step"
    lesson.check(".loc changes the frame", orders["status"][0] == "in one step")


def types_read(lesson: Lesson, engine: sa.Engine) -> None:
    """What comes back, and what is silently changed.

    By default numeric becomes a float, and so does an integer column with a NULL in it: large
    numbers change without a word. `dtype_backend="pyarrow"` keeps integers and truth values beside
    NULL, but makes text of dates and JSON. No single option gets everything right.
    """
    plain, arrow = read(engine, SAMPLES), read(engine, SAMPLES, dtype_backend="pyarrow")
    rows = zip(plain, plain.dtypes, arrow.dtypes, strict=True)
    lesson.table(rows, ["column", "by default", "with pyarrow"])
    amount, number = int(plain["price"][0]), int(plain["number"][0])
    lesson.check("numeric becomes another amount", amount != PRICE, f"{PRICE} -> {amount}")
    lesson.check("a bigint above a NULL, another number", number != BIG, f"{BIG} -> {number}")
    late = read(engine, SAMPLES, dtype={"number": "Int64"})
    lesson.check("dtype={...: 'Int64'} comes too late to repair it", late["number"][0] == number)
    lesson.check("the pyarrow backend keeps it", arrow["number"][0] == BIG)
    paid = plain["paid"].dtype == object and arrow["paid"].dtype == "bool[pyarrow]"
    lesson.check("true beside NULL is an object; with pyarrow it is a bool", paid)
    lesson.check("timestamptz is the same instant, in UTC", plain["moment"][0] == MOMENT)
    lesson.check("an empty text is no NULL", list(plain["note"].isna()) == [False, True])
    json = plain["data"][0] == {"a": None} and arrow["data"][0] == "{'a': None}"
    lesson.check("JSON is a dict; with pyarrow, a text in Python's spelling", json)


def exact_read(lesson: Lesson, engine: sa.Engine) -> None:
    """The recipe that keeps everything.

    Take the pyarrow backend, switch `coerce_float` off, name the types of money and dates, and let
    SQL write JSON as text. Money stays decimal, exact to the cent.
    """
    query = SAMPLES.replace("*", "price, number, paid, moment, day, note, data::text AS data")
    types = {"price": MONEY_TYPE, "day": DATE_TYPE}
    frame = read(engine, query, coerce_float=False, dtype_backend="pyarrow", dtype=types)
    lesson.table(zip(frame, frame.dtypes, strict=True), ["column", "dtype"])
    held = [PRICE, BIG, True, MOMENT, DAY, "", '{"a": null}']
    lesson.check("every value is the one that PostgreSQL holds", frame.loc[0].to_list() == held)
    lesson.check("every NULL is a missing value", frame.loc[1].isna().all())


def types_written(lesson: Lesson, engine: sa.Engine) -> None:
    """What to_sql makes of a frame.

    It guesses the table from the frame: decimals become text, dicts are refused, and after a
    failure the empty table stays behind. Say the types, and give it a transaction. Where the table
    matters, create it in SQL with its keys and let to_sql append.
    """
    products = read(engine, "TABLE products", coerce_float=False)
    save = partial(products.to_sql, "copied", schema=SCHEMA, index=False)
    with lesson.expected_error(pd.errors.DatabaseError) as caught:
        save(engine)
    lesson.check("a dict is refused", "can't adapt type 'dict'" in str(caught.error))
    lesson.check("an empty table is left behind", ask(engine, "SELECT count(*) FROM copied") == 0)
    products[["price"]].to_sql("guessed", engine, schema=SCHEMA)
    kind = ask(engine, "SELECT pg_typeof(price)::text FROM guessed LIMIT 1")
    lesson.check("decimals become text", kind == "text")
    types = {"price": sa.Numeric(10, 2), "cost": sa.Numeric(10, 2), "attributes": JSONB}
    with engine.begin() as transaction:
        save(transaction, dtype=types, if_exists="replace")
    lost = ask(engine, "SELECT count(*) FROM (TABLE products EXCEPT TABLE copied) AS lost")
    lesson.check("with the types said, every row arrives as it was", lost == 0)


def sum_of_numbers(engine: sa.Engine, chunk: int | None, stream: bool) -> tuple[int, bool]:
    """(the sum over MANY_ROWS, whether the answer waited in a cursor of the server)."""
    cursors = sa.text("SELECT count(*) FROM pg_cursors").execution_options(stream_results=False)
    with engine.connect().execution_options(stream_results=stream) as connection:
        answer = pd.read_sql(sa.text(MANY_ROWS), connection, chunksize=chunk)
        frames = iter([answer] if chunk is None else answer)
        total = int(next(frames)["number"].sum())
        waits = connection.execute(cursors).scalar_one() > 0
        return total + sum(int(frame["number"].sum()) for frame in frames), waits


def big_results(lesson: Lesson, engine: sa.Engine) -> None:
    """More rows than memory: chunks from a server-side cursor.

    `chunksize` alone cuts into pieces what the driver has already fetched as a whole (into memory
    of its own, which the table leaves out). With `stream_results` the answer waits in a cursor of
    the server. Keep of each chunk only what you need: chunks that you collect are the whole again.
    """
    ways = {"whole": (None, False), "chunksize": (CHUNK, False), "streamed too": (CHUNK, True)}
    found = {n: peak_memory(partial(sum_of_numbers, engine, *way)) for n, way in ways.items()}
    rows = [(name, ways[name][0] or READ_ROWS, peak) for name, (_, peak) in found.items()]
    lesson.table(rows, ["way", "rows a frame", "peak MB of Python"], "Memory", measured=True)
    sums = {total for (total, _), _ in found.values()}
    lesson.check("each way sees every row", sums == {READ_ROWS * (READ_ROWS + 1) // 2})
    waits = [waited for (_, waited), _ in found.values()]
    lesson.check("only with stream_results rows wait at the server", waits == [False, False, True])
    flat = found["streamed too"][1] * 3 < found["whole"][1]
    lesson.check("in chunks takes less than a third of the memory", flat)


def by_to_sql(frame: pd.DataFrame, connection: sa.Connection) -> None:
    """INSERT statements with many rows each, written by SQLAlchemy."""
    frame.to_sql("loaded", connection, schema=SCHEMA, if_exists="append", index=False)


def as_csv(frame: pd.DataFrame) -> io.BytesIO:
    """The frame as COPY reads it. pandas' own `to_csv` is slower and writes "" and NULL alike."""
    buffer = io.BytesIO()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    csv.write_csv(table, buffer, csv.WriteOptions(include_header=False))
    buffer.seek(0)
    return buffer


def by_copy(frame: pd.DataFrame, connection: sa.Connection) -> None:
    """One stream of CSV through psycopg2's own cursor."""
    with connection.connection.cursor() as cursor:
        cursor.copy_expert("COPY loaded FROM STDIN WITH (FORMAT csv)", as_csv(frame))


def loading(lesson: Lesson, engine: sa.Engine) -> None:
    """Loading a frame: to_sql against COPY.

    `to_sql` writes INSERT statements, each value a parameter. COPY takes the frame as one stream of
    CSV, which pyarrow writes fast. For a few hundred rows take whichever reads better.
    """
    count = lesson.options.rows or (FEWER_ROWS if lesson.fast else ROWS)
    query = f"SELECT * FROM web_events ORDER BY event_id LIMIT {count}"
    frame = read(engine, query, dtype_backend="pyarrow")
    speeds, lost = {}, []
    for load in (by_to_sql, by_copy):
        with engine.begin() as connection:
            connection.execute(sa.text("TRUNCATE loaded"))
            speeds[load.__name__] = len(frame) / seconds(partial(load, frame, connection))
        lost.append(ask(engine, f"SELECT count(*) FROM (({query}) EXCEPT TABLE loaded) AS lost"))
    table = [(way, len(frame) / speed, f"{speed:,.0f}") for way, speed in speeds.items()]
    lesson.table(table, ["way", "seconds", "rows/s"], f"Loading {len(frame):,} rows", measured=True)
    lesson.check("both bring every row, with its NULLs", lost == [0, 0])
    ratio = speeds["by_copy"] / speeds["by_to_sql"]
    lesson.check("COPY is at least 3x as fast", ratio >= 3, f"{ratio:.1f}x")
    texts = pd.DataFrame({"text": ["", None], "number": [1, 2]})
    alike = texts.to_csv(index=False, header=False) == ",1\n,2\n"
    told = as_csv(texts).read() == b'"",1\n,2\n'
    lesson.check("to_csv writes an empty text and NULL alike, pyarrow does not", alike and told)


def in_sql(engine: sa.Engine) -> tuple[Answer, int]:
    """The server adds up."""
    frame = read(engine, REVENUE.format(source="sales"), coerce_float=False)
    return dict(frame.itertuples(index=False)), len(frame)


def add_up(sales: pd.DataFrame) -> Answer:
    """The revenue of each category, added up by pandas."""
    completed = sales[sales["status"] == "completed"]
    euros = completed["quantity"] * completed["unit_price"]
    return euros.groupby(completed["category"]).sum().to_dict()


def rows_to_pandas(engine: sa.Engine) -> tuple[Answer, int]:
    """The server joins and filters, pandas adds up."""
    sales = read(engine, "SELECT * FROM sales WHERE status = 'completed'", coerce_float=False)
    return add_up(sales), len(sales)


def tables_to_pandas(engine: sa.Engine) -> tuple[Answer, int]:
    """Three tables travel; pandas joins, filters and adds up."""
    names = ("order_items", "orders", "products")
    items, orders, products = (read(engine, f"TABLE {n}", coerce_float=False) for n in names)
    sales = items.merge(orders, on="order_id").merge(products, on="product_id")
    return add_up(sales), len(items) + len(orders) + len(products)


def push_down(lesson: Lesson, engine: sa.Engine) -> None:
    """Ask the server, or move the rows?

    The same question three times: revenue by category. A join, a filter or a sum in SQL runs where
    the rows are, and only the answer travels. pandas is for what comes after: reshaping, plotting,
    models.
    """
    answers, table, peaks = [], [], []
    for ask_it in (in_sql, rows_to_pandas, tables_to_pandas):
        took = seconds(partial(ask_it, engine))
        (answer, moved), peak = peak_memory(partial(ask_it, engine))
        answers.append(answer)
        table.append((ask_it.__name__, f"{moved:,}", peak, took))
        peaks.append(peak)
    columns = ["way", "rows moved", "peak MB of Python", "seconds"]
    lesson.table(table, columns, "Revenue by category", measured=True)
    lesson.check("the same revenue each time, to the cent", answers[0] == answers[1] == answers[2])
    lesson.check("SQL needs less than a third of the memory", peaks[0] * 3 < peaks[1])


def from_parquet(file: Path) -> Answer:
    """pandas reads the file and adds up."""
    return add_up(pd.read_parquet(file, dtype_backend="pyarrow"))


def from_duckdb(file: Path) -> Answer:
    """DuckDB answers the same SQL over the file, reading only the columns that it needs."""
    with duckdb.connect() as database:
        query = REVENUE.format(source="read_parquet(?)")
        return dict(database.execute(query, [str(file)]).fetchall())


def next_step(lesson: Lesson, engine: sa.Engine) -> None:
    """The next step: Parquet and DuckDB.

    A Parquet file keeps columns, compressed, with their types: decimals stay decimals. DuckDB is a
    database inside your process that reads it with the SQL you know. Export once and a whole class
    can ask without troubling the server; the file is as old as its export. Mind `.df()`: it turns
    decimals into floats, where `fetchall` and `.arrow()` keep them.
    """
    types = {"unit_price": MONEY_TYPE, "day": DATE_TYPE}
    sales = read(engine, "TABLE sales", coerce_float=False, dtype_backend="pyarrow", dtype=types)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sales.parquet"
        sales.to_parquet(file, index=False)
        again = pd.read_parquet(file, dtype_backend="pyarrow")
        size, text = file.stat().st_size, len(as_csv(sales).getvalue())
        ways: dict[str, Callable[[], Answer]] = {
            "PostgreSQL": lambda: in_sql(engine)[0],
            "pandas over Parquet": partial(from_parquet, file),
            "DuckDB over Parquet": partial(from_duckdb, file),
        }
        answers = [way() for way in ways.values()]
        table = [(name, seconds(way)) for name, way in ways.items()]
        with duckdb.connect() as database:
            price = database.read_parquet(str(file)).limit(1).df()["unit_price"]
    lesson.table(table, ["way", "seconds"], "Revenue by category", measured=True)
    lesson.check("the same answer three times", answers[0] == answers[1] == answers[2])
    same = again["unit_price"].dtype == MONEY_TYPE and again["day"].dtype == DATE_TYPE
    lesson.check("Parquet keeps the types of money and dates", same)
    lesson.check("and takes less than a third of CSV's bytes", size * 3 < text)
    lesson.check("DuckDB's .df() turns decimals into floats", price.dtype == "float64")


def where_next(_lesson: Lesson, _engine: sa.Engine) -> None:
    """When not to use pandas, and what changes at 1000 times the size.

    Not for moving rows between tables (INSERT ... SELECT), not for a sum that SQL can do, not for
    one row per web request, and not for money in floats. A frame wants several times its size in
    memory while you work: at 1000 times the shop, 50 million lines, pandas needs tens of gigabytes.
    Then aggregate in SQL first, read in streams, keep history in Parquet split by day, and let
    DuckDB or polars, which work in portions, do what pandas did. When moving rows is the
    bottleneck, try an Arrow driver (ADBC): faster, but it hands numeric over as text.
    """


def add_options(parser: argparse.ArgumentParser) -> None:
    """The lesson's own knob."""
    parser.add_argument("--rows", type=whole_number, metavar="N", help="rows to load in each way")


PARTS = (first_frame, copy_on_write, types_read, exact_read, types_written, big_results, loading,
         push_down, next_step, where_next)  # fmt: skip


def main(lesson: Lesson) -> None:
    """Every part as a step, in the lesson's own schema."""
    with own_schema(SCHEMA, TABLES):
        engine = open_engine()
        try:
            for part in PARTS:
                lesson.step(part, lesson, engine)
        finally:
            engine.dispose()


if __name__ == "__main__":
    run(main, options=add_options)
