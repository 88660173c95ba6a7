"""Lesson db/06: its parts against independent answers, with awkward values and broken loads."""

from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pandas as pd
import psycopg2
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from course import connect
from course.workspace import own_schema
from tests.support import load_lesson

lesson = load_lesson("python_db/06_pandas_and_sql.py")

TEXTS = st.lists(
    st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=1
)


@pytest.fixture(scope="module")
def engine(service: Callable[[str], str]) -> Iterator[sa.Engine]:
    """An engine on the lesson's schema, with the shop loaded."""
    service("postgres")
    connect.prepare(["postgres"])
    with own_schema(lesson.SCHEMA, lesson.TABLES):
        opened = lesson.open_engine()
        yield opened
        opened.dispose()


def revenue_by_hand() -> dict[str, Decimal]:
    """The revenue of each category, added up row by row in Python."""
    query = """
        SELECT category, quantity * unit_price
        FROM order_items JOIN products USING (product_id) JOIN orders USING (order_id)
        WHERE status = 'completed'
    """
    found: dict[str, Decimal] = {}
    with closing(connect.postgres()) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        for category, euros in cursor:
            found[category] = found.get(category, Decimal(0)) + euros
    return found


@pytest.mark.parametrize("way", ["in_sql", "rows_to_pandas", "tables_to_pandas"])
def test_each_way_answers_as_plain_python_does(engine: sa.Engine, way: str) -> None:
    answer, moved = getattr(lesson, way)(engine)
    assert answer == revenue_by_hand()
    assert moved >= len(answer)


def test_parquet_answers_as_plain_python_does(engine: sa.Engine, tmp_path: Path) -> None:
    file = tmp_path / "it's sales.parquet"
    types = {"unit_price": lesson.MONEY_TYPE, "day": lesson.DATE_TYPE}
    sales = lesson.read(
        engine, "TABLE sales", coerce_float=False, dtype_backend="pyarrow", dtype=types
    )
    sales.to_parquet(file, index=False)
    assert lesson.from_parquet(file) == lesson.from_duckdb(file) == revenue_by_hand()


def test_no_sales_have_no_revenue() -> None:
    sales = pd.DataFrame(columns=["category", "status", "quantity", "unit_price"])
    assert lesson.add_up(sales) == {}


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@example(texts=["", None, '"', "a,b", "\n", "\r\n", "\\N", "\\.", "NULL", " "])
@given(texts=TEXTS)
def test_every_text_survives_the_way_through_copy(
    engine: sa.Engine, texts: list[str | None]
) -> None:
    frame = pd.DataFrame({"place": range(len(texts)), "text": pd.Series(texts, dtype="str")})
    with engine.connect() as connection:
        connection.execute(sa.text("CREATE TEMP TABLE texts (place int, text text)"))
        with connection.connection.cursor() as cursor:
            cursor.copy_expert("COPY texts FROM STDIN WITH (FORMAT csv)", lesson.as_csv(frame))
        back = connection.execute(sa.text("SELECT text FROM texts ORDER BY place")).scalars().all()
        connection.rollback()
    assert back == texts


@pytest.mark.parametrize("load", ["by_copy", "by_to_sql"])
def test_one_bad_row_and_none_is_loaded(engine: sa.Engine, load: str) -> None:
    query = "SELECT * FROM web_events ORDER BY event_id LIMIT 50"
    frame = lesson.read(engine, query, dtype_backend="pyarrow")
    frame.loc[49, "event_type"] = None
    refused = (psycopg2.errors.NotNullViolation, pd.errors.DatabaseError)
    with pytest.raises(refused), engine.begin() as connection:
        getattr(lesson, load)(frame, connection)
    assert lesson.ask(engine, "SELECT count(*) FROM loaded") == 0


@pytest.mark.parametrize(("chunk", "stream"), [(None, False), (7_000, False), (7_000, True)])
def test_chunks_that_do_not_divide_the_rows(
    engine: sa.Engine, chunk: int | None, stream: bool
) -> None:
    total, waits = lesson.sum_of_numbers(engine, chunk, stream)
    assert total == sum(range(lesson.READ_ROWS + 1))
    assert waits == stream


def test_an_abandoned_stream_leaves_no_cursor(engine: sa.Engine) -> None:
    with engine.connect().execution_options(stream_results=True) as connection:
        chunks = pd.read_sql(sa.text(lesson.MANY_ROWS), connection, chunksize=10)
        assert len(next(chunks)) == 10
    assert lesson.ask(engine, "SELECT count(*) FROM pg_cursors") == 0
