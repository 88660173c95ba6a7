"""The batch pipeline: every row goes to one place, and nothing that breaks changes that."""

import contextlib
import csv
import io
import json
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from batch_etl import (
    ApiSource,
    CsvFile,
    InvalidRowError,
    JsonLinesFile,
    RunError,
    SourceError,
    TooManyBadRowsError,
    alerts,
    api,
    enrich,
    generate,
    opened,
    report,
    run_etl,
    shop_api,
    validate,
)
from batch_etl.classroom import bytes_of, fingerprint
from batch_etl.schema import NAMES
from batch_etl.target import Account, Target
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.advanced_edition.test_05_schema import GOOD

DAY, NEXT = "2025-10-26", "2025-10-27"
Write = Callable[..., Path]


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    with opened(tmp_path / "orders.db") as there:
        yield there


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(content: bytes | str, name: str = "orders.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def line(number: int, **others: str) -> str:
    row = dict(zip(NAMES, GOOD, strict=True)) | {"order_id": str(number)} | others
    return ",".join(row[name] for name in NAMES)


def csv_of(*lines: str | bytes, header: str = ",".join(NAMES)) -> bytes:
    return b"".join((a.encode() if isinstance(a, str) else a) + b"\n" for a in (header, *lines))


def orders(target: Target) -> list[tuple]:
    return target.connection.execute("SELECT * FROM orders ORDER BY order_id").fetchall()


def quarantined(target: Target) -> list[tuple[int, bytes, str]]:
    return target.connection.execute(
        "SELECT line, raw, reason FROM quarantine ORDER BY source, line"
    ).fetchall()


DIRT = st.lists(
    st.one_of(
        st.builds(line, st.integers(1, 9), revision=st.sampled_from("123")).map(str.encode),
        st.builds(line, st.integers(1, 9), price=st.sampled_from(["free", "1,5", '"1,5"', '"']))
        .map(str.encode),
        st.binary(max_size=30),
    ),
    max_size=30,
)  # fmt: skip


@settings(max_examples=40)
@example(lines=[b"\x00", b'1,1,2025-10-20,anna@example.com,UA,P001,2,"'], piece=1, commit=1)
@given(lines=DIRT, piece=st.integers(1, 300), commit=st.integers(1, 12))
def test_the_account_balances_for_any_bytes(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], piece: int, commit: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    file = folder / "orders.csv"
    file.write_bytes(csv_of(*lines))
    contents = set()
    for size, rows in ((piece, commit), (64 * 1024, 5_000)):
        with opened(folder / f"{size}_{rows}.db") as there:
            account = run_etl(there, DAY, [CsvFile(file, piece=size)], rows).total
            assert account.balances
            assert account.loaded == len(orders(there))
            raws = quarantined(there)
            assert account.quarantined == len(raws)
            assert all(raw in file.read_bytes() for _, raw, _ in raws)
            contents.add((there.fingerprint(), account.rows_in))
    assert len(contents) == 1, "the size of the pieces changed the content"


@settings(max_examples=30)
@given(order=st.permutations(range(6)))
def test_the_order_of_arrival_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, order: Sequence[int]
) -> None:
    rows = [line(1, revision=r, quantity=q) for r, q in ("12", "22", "23", "31", "11", "31")]
    file = tmp_path_factory.mktemp("order") / "orders.csv"
    file.write_bytes(csv_of(*(rows[place] for place in order)))
    with opened(file.with_suffix(".db")) as there:
        account = run_etl(there, DAY, [CsvFile(file)]).total
        assert (account.loaded, account.deduplicated) == (1, 5)
        ((_, revision, *_, quantity, _, _, _, _, _),) = orders(there)
        assert (revision, quantity) == (3, 1)


def test_csv_quotes_line_breaks_bom_and_columns_in_another_order(
    target: Target, write: Write
) -> None:
    names = list(reversed(NAMES))
    out = io.StringIO()
    writer = csv.writer(out)
    for number in (1, 2):
        row = dict(zip(NAMES, GOOD, strict=True)) | {"order_id": str(number), "email": " A@b.de\n"}
        writer.writerow([row[name] for name in names])
    file = write(b"\xef\xbb\xbf" + (",".join(names) + "\r\n\r\n" + out.getvalue()).encode())
    account = run_etl(target, DAY, [CsvFile(file)]).total
    assert (account.rows_in, account.loaded) == (2, 2), quarantined(target)
    assert {row[3] for row in orders(target)} == {"a@b.de"}


def test_a_broken_quote_costs_one_row(target: Target, write: Write) -> None:
    lines = [line(number) for number in range(1, 200)]
    lines[20] = line(21, email='"anna')
    lines[90] = line(91, price='"9"9')
    lines[150] = line(151, country='"UA"')
    account = run_etl(target, DAY, [CsvFile(write(csv_of(*lines)), piece=700)], 10).total
    assert (account.rows_in, account.loaded, account.quarantined) == (199, 197, 2)
    assert [(at, raw) for at, raw, _ in quarantined(target)] == [
        (22, lines[20].encode() + b"\n"), (92, lines[90].encode() + b"\n")]  # fmt: skip


def test_bytes_that_are_no_text_are_kept(target: Target, write: Write) -> None:
    bad = line(2).encode().replace(b"anna", b"\xff\x00\xfe")
    file = write(csv_of(line(1), bad, b"x" * 2_000_000, line(3)))
    run_etl(target, DAY, [CsvFile(file)])
    assert [row[0] for row in orders(target)] == [1, 3]
    kept = quarantined(target)
    assert kept[0][1] == bad + b"\n"
    assert b"".join(raw for _, raw, _ in kept[1:]) == b"x" * 2_000_000 + b"\n"


@pytest.mark.parametrize("content", ["", "a,b\n", ";".join(NAMES) + "\n", "\n"])
def test_another_header_is_refused_whole(target: Target, write: Write, content: str) -> None:
    with pytest.raises(SourceError, match="header"):
        run_etl(target, DAY, [CsvFile(write(content))])
    with pytest.raises(SourceError, match="can't be read"):
        run_etl(target, DAY, [CsvFile(Path("no_such_file.csv"))])


def test_json_lines_say_what_is_wrong(target: Target, write: Write) -> None:
    good = dict(zip(NAMES, GOOD, strict=True))
    changes = ({"quantity": True}, {"extra": 1}, {"email": ["x"]}, {"price": None})
    records = [good | {"quantity": 2, "price": 999.50}, {"order_id": 1}]
    records += [good | change for change in changes]
    lines = [*map(json.dumps, records), "[1]", "{", "[" * 100_000, "NaN", "", '"\\ud800"']
    account = run_etl(target, DAY, [JsonLinesFile(write("\n".join(lines), "a.jsonl"))]).total
    assert (account.rows_in, account.loaded) == (11, 1)
    reasons = " ".join(reason for *_, reason in quarantined(target))
    for part in ("unknown: 'extra'", "missing: revision", "no JSON", "quantity: True", "email: ["):
        assert part in reasons
    assert orders(target)[0][7] == 99_950


def test_the_api_is_asked_again_and_obeyed(target: Target, tmp_path: Path) -> None:
    file = generate.make(tmp_path, 20_000, 6).api
    waits: list[float] = []
    faults = {1: ["garbage", "429"], 2: ["drop", "half"], 4: ["503"]}
    with shop_api.serving(file, faults, waits=7) as server:
        source = ApiSource(server.url, wait=waits.append)
        metrics = run_etl(target, DAY, [source])
    assert metrics.total.rows_in == 400 and metrics.total.balances
    assert sum(metrics.troubles.values()) == len(waits) == 5
    assert sorted(waits)[-1] == 7, "Retry-After is obeyed"
    lines = file.read_bytes().splitlines(keepends=True)
    assert all(lines[at - 1] == raw for at, raw, _ in quarantined(target))


def test_an_api_that_stays_down_keeps_what_came_and_goes_on(target: Target, tmp_path: Path) -> None:
    file = generate.make(tmp_path, 20_000, 6).api
    with shop_api.serving(file, {3: ["garbage"] * api.ATTEMPTS}) as server:
        source = ApiSource(server.url, wait=lambda _: None)
        with pytest.raises(SourceError, match="page 3"):
            run_etl(target, DAY, [source], 1)
        assert target.accounts(target.run_number(DAY))["partner-api"].rows_in == 200
        before = server.requests
        assert run_etl(target, DAY, [source], 1).total.rows_in == 400
        assert server.requests - before == 2, "pages that are loaded are not asked for again"
        with pytest.raises(SourceError, match="404"):
            list(ApiSource(f"{server.url}/nowhere").blocks(None))


@pytest.mark.parametrize(
    ("header", "seconds"), [(None, 0), ("3", 3), ("-1", 0), ("soon", 0),
                            ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("nan", 0)])  # fmt: skip
def test_retry_after_in_all_its_forms(header: str | None, seconds: float) -> None:
    assert api.retry_after(header) == seconds


def test_the_same_run_twice_changes_no_byte(tmp_path: Path, write: Write) -> None:
    file, path = write(csv_of(line(1), line(1), "x")), tmp_path / "a.db"
    for _ in range(2):
        with opened(path) as there:
            run_etl(there, DAY, [CsvFile(file)])
        before = bytes_of(path)
    with opened(path) as there:
        assert run_etl(there, DAY, [CsvFile(file)]).rows_now == 0
    assert bytes_of(path) == before


def test_a_file_that_grew_goes_on_and_one_that_changed_is_refused(
    target: Target, write: Write
) -> None:
    run_etl(target, DAY, [CsvFile(write(csv_of(line(1))))])
    assert run_etl(target, DAY, [CsvFile(write(csv_of(line(1), line(2))))]).total.loaded == 2
    for content in (csv_of(line(3), line(2)), csv_of(line(1))):
        with pytest.raises(SourceError, match="was changed"):
            run_etl(target, DAY, [CsvFile(write(content))])


def test_a_failed_transaction_leaves_the_file_byte_for_byte(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "a.db"
    with opened(path) as there:
        run_etl(there, DAY, [CsvFile(write(csv_of(line(1))))])
    before = bytes_of(path)
    many = [enrich(validate([str(n), *GOOD[1:]])) for n in range(1, 50_000)]  # more than the cache
    with contextlib.suppress(sqlite3.Error), opened(path) as there, there.transaction():
        assert there.load(1, many).loaded == 49_998
        there.quarantine(1, "a", [(1, b"", "")] * 2)  # type: ignore[list-item]
    assert bytes_of(path) == before


def test_undo_brings_back_what_a_run_replaced(target: Target, write: Write) -> None:
    run_etl(target, DAY, [CsvFile(write(csv_of(line(1), line(2))))])
    before = target.fingerprint()
    changes = csv_of(line(1, revision="2"), line(1, revision="3"), line(3), "x", line(3))
    account = run_etl(target, NEXT, [CsvFile(write(changes))]).total
    assert account == Account(5, 1, 1, 3, 2)
    with pytest.raises(RunError, match="undo it first"):
        target.undo(DAY)
    with pytest.raises(RunError, match="no run"):
        target.undo("never")
    target.undo(NEXT)
    assert target.fingerprint() == before
    with pytest.raises(TooManyBadRowsError, match="taken back"):
        run_etl(target, NEXT, [CsvFile(write(csv_of(line(5), "x", "y", "z")))], 1, stop_above=0.5)
    assert target.fingerprint() == before


def test_two_processes_cannot_load_one_run(target: Target, write: Write, tmp_path: Path) -> None:
    source = CsvFile(write(csv_of(*(line(n) for n in range(1, 40)))), piece=64)

    class Disturbed(CsvFile):
        def blocks(self, position: object) -> Iterator:
            blocks = source.blocks(None)
            yield next(blocks)
            with opened(target.path) as other:
                run_etl(other, DAY, [source])
            yield from blocks

    with pytest.raises(RunError, match="Another process"):
        run_etl(target, DAY, [Disturbed(source.path)], 1)
    account = target.accounts(target.run_number(DAY))["orders.csv"]
    assert account.balances and account.loaded == len(orders(target)) == 39


def test_alert_rules_fire_at_their_limits(target: Target, write: Write) -> None:
    def fired(*account: int, age: int | None = 0, usual: float | None = None,
              silent: tuple[str, ...] = ()) -> list[str]:  # fmt: skip
        facts = alerts.Facts(Account(*account), age, usual, silent)
        return [alert.rule for alert in alerts.evaluate(facts)]

    assert fired(100, 98, 2) == fired(100, 90, 0, 10) == fired(0, age=2) == []
    assert fired(100, 97, 3) == ["quarantine rate"]
    assert fired(100, 89, 11) == ["quarantine rate", "quarantine flood"]
    assert fired(100, 89, 0, 11) == ["duplicate rate"]
    assert fired(100, 99, 0) == ["balance"]
    assert fired(100, 100, usual=201) == fired(100, 100, usual=49) == ["volume"]
    assert fired(100, 100, age=3) == fired(100, 100, age=None) == ["freshness"]
    assert fired(100, 100, silent=("a",)) == ["silent source"]

    run_etl(target, DAY, [CsvFile(write(csv_of(*(line(n) for n in range(1, 9)))))])
    metrics = run_etl(target, NEXT, [CsvFile(write(csv_of(line(9)), "b.csv"))])
    facts = alerts.gather(target, metrics)
    assert (facts.usual_rows, facts.age_days) == (8, 6)
    made = report.as_dict(target, metrics, alerts.evaluate(facts))
    assert json.loads(report.as_json(made)) == made
    text = report.as_text(made)
    assert "1 rows in\n  = 1 loaded + 0 quarantined + 0 deduplicated" in text and "CRITICAL" in text


def test_the_warehouse_holds_what_the_target_holds(target: Target, write: Write) -> None:
    duckdb = pytest.importorskip("duckdb")
    from batch_etl.warehouse import REVENUE, publish

    with duckdb.connect() as house:
        run_etl(target, DAY, [CsvFile(write(csv_of(line(1), line(2))))])
        assert [publish(target, DAY, house) for _ in range(2)] == [2, 2]
        run_etl(
            target, NEXT, [CsvFile(write(csv_of(line(1, revision="2", quantity="5"), line(3))))]
        )
        assert publish(target, NEXT, house) == 2
        ours = target.connection.execute(REVENUE).fetchall()
        assert house.execute(REVENUE).fetchall() == ours
        with pytest.raises(RunError, match="no run"):
            publish(target, "never", house)


def test_generated_sources_are_the_same_each_time(tmp_path: Path) -> None:
    first, second = (generate.make(tmp_path / name, 2_000, 6) for name in "ab")
    for ours, theirs in zip(vars(first).values(), vars(second).values(), strict=True):
        assert bytes_of(ours) == bytes_of(theirs)
    assert not list(tmp_path.rglob("*.part"))
    rows = [row for seed in range(3) for row in generate.orders(1, 500, random.Random(seed))]
    twins: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        with contextlib.suppress(InvalidRowError):
            clean = validate(row)
            twins.setdefault((row[0], row[1]), set()).add(repr(clean))
    assert all(len(contents) == 1 for contents in twins.values()), "twins have one content"


def test_fingerprint_sees_every_table(tmp_path: Path, write: Write) -> None:
    path = tmp_path / "a.db"
    seen = {fingerprint(path)}
    for content in (csv_of(line(1)), csv_of(line(1), "x"), csv_of(line(1), "x", line(1))):
        with opened(path) as there:
            run_etl(there, DAY, [CsvFile(write(content))])
        seen.add(fingerprint(path))
    assert len(seen) == 4
