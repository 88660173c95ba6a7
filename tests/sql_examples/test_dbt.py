"""The dbt project: builds, equals the views, is documented, notices defects, leaves nothing."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions as pg
import pytest

from course.analytics import apply
from course.settings import ROOT
from course.shop.load import ensure_loaded, fingerprint
from tests.shop.conftest import new_database
from tests.support import load_lesson

PROJECT = ROOT / "sql_examples" / "dbt"
README = (PROJECT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ {4}python3 sql_examples/dbt/run\.py ?(.*?)(?: +#.*)?$", README, re.M)
TOURS, TEST, REMOVE = ["", "--keep"], "test --select rfm source:shop.orders", "remove"
ALONE = """
import socket
found = socket.getaddrinfo
def getaddrinfo(host, *others, **options):
    if host not in (None, "localhost", "127.0.0.1", "::1"):
        open({told!r}, "a").write(f"{{host}}\\n")
    return found(host, *others, **options)
socket.getaddrinfo = getaddrinfo
"""
COLUMNS_OF_TABLES = """
    SELECT table_name, column_name, udt_name
    FROM information_schema.columns WHERE table_schema = %s AND table_name NOT LIKE 'stg_%%'
    ORDER BY table_name, ordinal_position
"""
Dbt = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module", autouse=True)
def environment() -> None:
    """The environment of dbt; skips aloud when its packages can't be had."""
    made = subprocess.run(
        [sys.executable, ROOT / "learn.py", "environment", PROJECT],
        capture_output=True, check=False, text=True, timeout=280,
    )  # fmt: skip
    if made.returncode:
        pytest.skip(f"dbt can't be installed: {made.stderr}")


@pytest.fixture(scope="module")
def url(service: Callable[[str], str]) -> Iterator[str]:
    """A database with the shop and its views, in which dbt may build."""
    with new_database(service("postgres")) as found:
        with closing(psycopg2.connect(found)) as connection:
            ensure_loaded(connection)
            apply(connection)
        yield found


@pytest.fixture
def connection(url: str) -> Iterator[pg.connection]:
    with closing(psycopg2.connect(url)) as opened:
        opened.autocommit = True
        yield opened


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where dbt writes."""
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="module")
def run(url: str, output: Path) -> Dbt:
    """Runs run.py with what a student would type, on the database of these tests."""
    (output / "sitecustomize.py").write_text(ALONE.format(told=str(output / "told")))
    variables = {
        "DATABASE_URL": url,
        "DBT_TARGET_PATH": str(output / "target"),
        "PYTHONPATH": str(output),
        "PYTHONDONTWRITEBYTECODE": "",  # dbt would compile itself anew at each start, for seconds
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, PROJECT / "run.py", *arguments], env={**os.environ, **variables},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            check=False, encoding="utf-8", timeout=200,
        )  # fmt: skip

    return run


@pytest.fixture(scope="module")
def built(run: Dbt) -> subprocess.CompletedProcess[str]:
    """What the first build printed; its tables are still there."""
    result = run("--keep")
    assert result.returncode == 0, result.stdout
    return result


@pytest.fixture(scope="module")
def manifest(built: object, output: Path) -> dict[str, Any]:
    """What dbt knows of the project."""
    return dict(json.loads((output / "target" / "manifest.json").read_text(encoding="utf-8")))


def rows(connection: pg.connection, query: str, *values: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values or None)
        return cursor.fetchall()


def names(connection: pg.connection, catalog: str, column: str, schema: str) -> set[str]:
    """The names of a schema's tables (or views), staging models left out."""
    found = rows(connection, f"SELECT {column} FROM {catalog} WHERE schemaname = %s", schema)
    return {name for (name,) in found if not name.startswith("stg_")}


def test_everything_is_built_and_tested(built: subprocess.CompletedProcess[str]) -> None:
    assert "Completed successfully" in built.stdout
    assert re.search(r"WARN=0 ERROR=0 SKIP=0", built.stdout)
    assert "deprecat" not in built.stdout.lower()


def test_every_view_has_a_model_with_the_same_columns(
    built: object, connection: pg.connection
) -> None:
    views = names(connection, "pg_views", "viewname", "analytics")
    assert len(views) == 24
    assert names(connection, "pg_tables", "tablename", "dbt_analytics") == views
    ours = rows(connection, COLUMNS_OF_TABLES, "dbt_analytics")
    assert ours == rows(connection, COLUMNS_OF_TABLES, "analytics")


def test_every_model_equals_its_view(built: object, connection: pg.connection) -> None:
    for view in sorted(names(connection, "pg_views", "viewname", "analytics")):
        both = (f"dbt_analytics.{view}", f"analytics.{view}")
        for one, other in (both, both[::-1]):
            surplus = rows(connection, f"SELECT * FROM {one} EXCEPT ALL SELECT * FROM {other}")
            assert surplus == [], f"{one} has what {other} has not"
        assert rows(connection, f"SELECT * FROM {both[0]} LIMIT 1") != []


def test_every_model_is_held_against_its_view(manifest: dict[str, Any]) -> None:
    nodes = manifest["nodes"].values()
    marts = {n["unique_id"] for n in nodes if n["path"].startswith("marts") and n.get("columns")}
    audits = [n for n in nodes if n.get("test_metadata", {}).get("name") == "same_as_view"]
    assert {audit["attached_node"] for audit in audits} == marts
    assert len(marts) == 24


def test_every_model_and_column_is_described(manifest: dict[str, Any], output: Path) -> None:
    catalog = json.loads((output / "target" / "catalog.json").read_text(encoding="utf-8"))
    known = {**manifest["nodes"], **manifest["sources"]}
    assert len(catalog["nodes"]) == 29
    assert len(catalog["sources"]) == 5
    for key, made in {**catalog["nodes"], **catalog["sources"]}.items():
        described = known[key]["columns"]
        assert known[key]["description"]
        assert list(described) == list(made["columns"]), key
        assert all(column["description"] for column in described.values()), key


def test_descriptions_are_comments_in_the_database(
    built: object, connection: pg.connection
) -> None:
    [(table, column)] = rows(
        connection,
        "SELECT obj_description(oid), col_description(oid, 1) FROM pg_class"
        " WHERE oid = 'dbt_analytics.abc'::regclass",
    )
    assert table.startswith("Products from the best to the worst")
    assert column == "Rank by revenue, from 1."


def test_the_documentation_needs_no_network(built: object, output: Path) -> None:
    page = (output / "target" / "static_index.html").read_text(encoding="utf-8")
    assert "who_passes_80_per_cent_is_still_a" in page
    assert not re.search(r'<script[^>]*src="?https?://', page)
    assert not (output / "told").exists(), "dbt asked for the address of another machine"


@pytest.mark.parametrize("command", [c for c in COMMANDS if c not in [*TOURS, TEST, REMOVE]])
def test_the_commands_of_the_readme_work(built: object, run: Dbt, command: str) -> None:
    result = run(*command.split())
    assert result.returncode == 0, result.stdout
    assert "Nothing to do" not in result.stdout
    assert "does not match any" not in result.stdout


def test_defects_are_noticed_and_named(built: object, run: Dbt, connection: pg.connection) -> None:
    forbidden = "CHECK (status IN ('completed', 'cancelled', 'refunded'))"
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE orders DROP CONSTRAINT orders_status_check")
        cursor.execute("UPDATE orders SET status = 'shipped' WHERE order_id = 7")
        cursor.execute("UPDATE dbt_analytics.rfm SET segment = 'Best' WHERE customer_id = 7")
    try:
        result = run(*TEST.split())
    finally:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE orders SET status = 'completed' WHERE order_id = 7")
            cursor.execute(f"ALTER TABLE orders ADD CONSTRAINT orders_status_check {forbidden}")
            cursor.execute("DROP SCHEMA dbt_analytics CASCADE")
    assert result.returncode == 1
    assert "ERROR=4" in result.stdout
    for failed in (
        "source_accepted_values_shop_orders_status__completed__cancelled__refunded",
        "accepted_values_rfm_segment__Champions__Loyal",
        "same_as_view_rfm_ (models/marts/segments/segments.yml)",
        "revenue_is_the_same_everywhere (tests/revenue_is_the_same_everywhere.sql)",
    ):
        assert f"Failure in test {failed}" in result.stdout


def test_a_second_tour_builds_anew_and_leaves_nothing(run: Dbt, connection: pg.connection) -> None:
    before = fingerprint(connection)
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS dbt_analytics; CREATE TABLE dbt_analytics.x ()")
    result = run()
    assert result.returncode == 0, result.stdout
    assert rows(connection, "SELECT FROM pg_namespace WHERE nspname = 'dbt_analytics'") == []
    assert fingerprint(connection) == before


def test_remove_removes_what_was_kept(run: Dbt, connection: pg.connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA dbt_analytics; CREATE TABLE dbt_analytics.x ()")
    for _ in range(2):
        assert run(REMOVE).returncode == 0
    assert rows(connection, "SELECT FROM pg_namespace WHERE nspname = 'dbt_analytics'") == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("postgresql://ann:p%40ss@db:6543/shop?sslmode=require",
         {"PGHOST": "db", "PGPORT": "6543", "PGUSER": "ann", "PGPASSWORD": "p@ss",
          "PGDATABASE": "shop", "PGSSLMODE": "require"}),
        ("postgresql:///shop?host=/tmp",
         {"PGHOST": "/tmp", "PGPORT": "5432", "PGDATABASE": "shop"}),
    ],
)  # fmt: skip
def test_an_address_becomes_variables(address: str, expected: dict[str, str]) -> None:
    assert load_lesson("sql_examples/dbt/run.py").postgres_variables(address) == expected


def test_the_readme_has_the_commands_that_are_tested_here() -> None:
    assert len(COMMANDS) == 6
    assert {*TOURS, TEST, REMOVE} < set(COMMANDS)
    told = load_lesson("sql_examples/dbt/run.py").__doc__ or ""
    assert all(f"run.py {word}" in told for word in ("--keep", REMOVE))
