"""Lesson edition/01: exact sums, any parts in any order, reading like csv.reader, bad rows."""

import csv
import math
import os
import pickle
import signal
import subprocess
import sys
from collections import Counter
from datetime import date
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streaming_analytics import (
    Columns,
    DDSketch,
    Exact,
    Fixed,
    Floating,
    HeavyHitters,
    HyperLogLog,
    StreamingAnalytics,
    Welford,
    split,
    stream_csv,
)
from streaming_analytics.analytics import MOST_GROUPS, Quarantine
from streaming_analytics.engines import Missing, count_in_processes, count_section, count_with_dask
from streaming_analytics.reader import Batch
from streaming_analytics.sales import bad_rows, exact_answers, write_sales
from streaming_analytics.windows import Panes

from course.errors import UsageError
from course.settings import ROOT
from tests.stack.private import eventually
from tests.support import environment_python, run_python

PATH = "advanced_edition/01_big_data_analytics.py"
PEER = ROOT / "tests" / "benchmarks" / "dask_peer"
HEADER = ",".join(Columns().header) + "\n"
TODAY = date(2025, 10, 26)
cents = st.integers(-(10**12), 10**12)
cell = st.text("ab ,\"\n'é", max_size=6)
amount = st.one_of(
    st.decimals(-(10**9), 10**9, places=2).map(str),
    st.sampled_from(
        [
            "",
            "x",
            "1.234",
            "nan",
            "1_0.00",
            "7",
            "7.5",
            "-",
            ".",
            "1.2.3",
            "1,2.00",
            "1.0 ",
            "\t-1.0",
        ]
    ),
)
day = st.dates(date(2023, 1, 1), date(2025, 12, 1)).map(date.isoformat)
row = st.tuples(
    st.just("1"), day, cell, st.sampled_from("CDEF"), st.sampled_from("PQRS"),
    st.sampled_from(["books", "games", "toys"]), st.just("1"), amount,
).map(list)  # fmt: skip


@pytest.fixture(scope="module")
def sales(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sales") / "sales.csv"
    write_sales(path, 30_000, seed=6)
    return path


def counted(rows: list[list[str]], sketches: bool = True, at_once: int = 0) -> StreamingAnalytics:
    analytics = StreamingAnalytics(sketches=sketches)
    if not at_once:
        for one in rows:
            analytics.process_row(one)
    else:
        for start in range(0, len(rows), at_once):
            analytics.process_rows(rows[start : start + at_once])
    return analytics


@given(
    rows=st.lists(row, max_size=40), cuts=st.lists(st.integers(0, 40), max_size=5), r=st.randoms()
)
@settings(max_examples=60)
def test_any_parts_in_any_order_give_the_same(rows: list, cuts: list[int], r: Random) -> None:
    whole = counted(rows).get_summary()
    shuffled = r.sample(rows, len(rows))
    edges = [0, *sorted(cuts), len(rows)]
    parts = [counted(shuffled[a:b], at_once=7) for a, b in pairwise(edges)]
    r.shuffle(parts)
    merged = StreamingAnalytics(sketches=True)
    for part in parts:
        merged.merge(pickle.loads(pickle.dumps(part)))
    assert merged.get_summary() == whole


@given(st.lists(cents, min_size=2), st.sampled_from([0, 10**12, -(10**15)]))
def test_whole_numbers_are_exact_whatever_the_offset(values: list[int], offset: int) -> None:
    moments = Exact()
    moments.add_all([value + offset for value in values])
    mean = Fraction(sum(values), len(values))
    assert moments.mean == mean + offset
    assert moments.variance == sum((v - mean) ** 2 for v in values) / (len(values) - 1)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50), st.sampled_from([0.0, 1e9]),
    st.integers(1, 49),
)  # fmt: skip
def test_welford_agrees_with_exact_fractions(values: list[float], offset: float, cut: int) -> None:
    values = [value + offset for value in values]
    one, left, right = Welford(), Welford(), Welford()
    for value in values:
        one.add(value)
    for part, moments in ((values[:cut], left), (values[cut:], right)):
        if part:
            moments.add_all(part)
    left.merge(right)
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    variance = float(sum((v - mean) ** 2 for v in exact) / (len(exact) - 1))
    for moments in (one, left):
        assert math.isclose(moments.mean, mean, rel_tol=1e-12, abs_tol=1e-9)
        size = max(map(abs, values))
        # The error that a backward stable way may make: Chan, Golub and LeVeque 1983.
        slack = 1e-14 * size * (math.sqrt(variance) + 1e-14 * size) * len(values)
        assert math.isclose(moments.variance, variance, rel_tol=1e-11, abs_tol=slack)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12.50", 1250),
        ("12.5", 1250),
        ("-0.05", -5),
        ("7", 700),
        (".5", 50),
        ("+1.00", 100),
        (" 1.0 ", 100),
    ],
)
def test_decimals_are_read_exactly(text: str, value: int) -> None:
    assert Fixed().parse(text) == value
    assert Fixed().parse_all([f"{value / 100:.2f}"] * 2) == [value] * 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "-",
        "x",
        "1.234",
        "1e5",
        "nan",
        "1_0.00",
        "1.2.3",
        "1,2.00",
        "9" * 4_400 + ".00",
        "1.-5",
        "1 0.00",
        "1.-50",
        "--1.00",
    ],
)
def test_what_is_no_decimal_is_refused_both_ways(text: str) -> None:
    with pytest.raises(ValueError, match=r"no number|decimals"):
        Fixed().parse(text)
    with pytest.raises(ValueError, match=r"not all|invalid literal|4300 digits"):
        Fixed().parse_all(["1.00", text])


@given(st.lists(amount, min_size=1))
def test_fast_reading_never_differs_from_careful_reading(texts: list[str]) -> None:
    try:
        values = Fixed().parse_all(texts)
    except ValueError:
        return
    assert values == [Fixed().parse(text) for text in texts]


def test_floats_that_are_not_finite_are_refused() -> None:
    for text in ("nan", "inf", "x", ""):
        with pytest.raises(ValueError, match="no"):
            Floating().parse(text)
    with pytest.raises(ValueError, match="finite"):
        Floating().parse_all(["1", "nan"])


@given(
    rows=st.lists(st.lists(cell, min_size=2, max_size=4), max_size=30),
    end=st.sampled_from(["\n", "\r\n"]), parts=st.integers(1, 6), chunk=st.integers(1, 80),
)  # fmt: skip
@settings(max_examples=80)
def test_sections_together_read_as_csv_reader_does(
    tmp_path_factory: pytest.TempPathFactory, rows: list, end: str, parts: int, chunk: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "property.csv"
    rows = [[text.replace("\n", end) for text in one] for one in rows]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator=end).writerows([["a", "b"], *rows])
    with path.open(encoding="utf-8", newline="\n") as file:
        reader = csv.reader(file)
        next(reader)
        expected, line = [], reader.line_num + 1
        for one in reader:
            expected.append((line, one))
            line = reader.line_num + 1
    found = [
        (line, one)
        for section in split(path, parts)
        for batch in stream_csv(path, section, chunk).batches()
        for line, one in zip(batch.lines, batch, strict=True)
    ]
    assert found == expected


def test_the_file_is_counted_the_same_by_every_way(sales: Path) -> None:
    rows = stream_csv(sales)
    one_by_one = StreamingAnalytics(source=rows, sketches=True)
    for one in rows:
        one_by_one.process_row(one)
    summary = one_by_one.get_summary()
    assert summary == count_section(sales, None, True).get_summary()
    parallel = count_in_processes(sales, 2, sketches=True)
    assert summary == parallel.get_summary()
    assert one_by_one.quarantine.rows == parallel.quarantine.rows
    assert (summary["rows"], summary["quarantined"]) == (
        30_000 - bad_rows(30_000),
        bad_rows(30_000),
    )
    amounts, customers, products = exact_answers(sales)
    assert summary["rows"] == len(amounts)
    assert abs(summary["customers"] - len(customers)) < 0.03 * len(customers)
    assert products.most_common(1)[0][0] == summary["products"][0][0]


def test_bad_rows_keep_line_and_reason(tmp_path: Path) -> None:
    path, good = tmp_path / "bad.csv", "1,2025-01-01T00:00,{},C,P,books,1,{}\n"
    path.write_bytes(
        (HEADER + good.format('"two\nlines"', "1.00") + good.format("x", "1.234") + "\n"
         + good.format("x", "1.00")[2:] + good.format("x", "2.00").replace("2025-01", "2031-01")
         + good.format('"' + "x" * 140_000, "3.00")).encode()
        + b"1,2025-01-01T00:00,x,C,P,books,1,\xff\n"
    )  # fmt: skip
    rows = stream_csv(path)
    analytics = StreamingAnalytics(source=rows, sketches=True)
    for batch in rows.batches():
        analytics.process_rows(batch)
    found = [(bad.line, bad.reason.partition(":")[0]) for bad in analytics.quarantine.rows]
    assert found[:3] == [
        (4, "more than 2 decimals"), (6, "a row of 7 columns instead of 8"),
        (7, "a date in the future"),
    ]  # fmt: skip
    assert found[3] == (8, "unreadable")
    assert analytics.rows == 1


def test_quarantine_is_bounded_and_keeps_the_first() -> None:
    quarantine, other = Quarantine(), Quarantine()
    for line in range(5_000, 0, -1):
        (quarantine if line % 2 else other).add(line, "no number: 'x'", ["x"])
    assert len(pickle.dumps(quarantine)) < 30_000
    quarantine.merge(other)
    assert [bad.line for bad in quarantine.rows] == list(range(1, Quarantine.KEPT + 1))
    assert quarantine.reasons == {"no number": 5_000}


def test_clear_errors_for_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no file"):
        stream_csv(tmp_path / "none.csv")
    empty, other = tmp_path / "empty.csv", tmp_path / "other.csv"
    empty.touch()
    other.write_text("\ufeffa,b\n1,2\n")
    with pytest.raises(UsageError, match="no first row"):
        stream_csv(empty)
    with pytest.raises(UsageError, match="It has: a, b"):
        StreamingAnalytics(source=stream_csv(other))
    rows = stream_csv(other)
    analytics = StreamingAnalytics(Columns(group="a", value="b"), source=rows)
    for one in rows:
        analytics.process_row(one)
    assert analytics.get_summary()["groups"]["1"]["mean"] == 2
    with pytest.raises(ValueError, match="same columns"):
        analytics.merge(StreamingAnalytics())
    many = [["", "", "", "", "", str(n), "", "1.00"] for n in range(MOST_GROUPS + 1)]
    with pytest.raises(UsageError, match="groups"):
        counted(many, sketches=False, at_once=len(many))


@given(st.lists(st.one_of(cents, st.floats(-1e15, 1e15)), min_size=1), st.floats(0, 1))
def test_quantiles_keep_their_relative_error(values: list[float], q: float) -> None:
    sketch = DDSketch()
    sketch.add_all(values)
    true = sorted(values)[int(q * (len(values) - 1))]
    assert abs(sketch.quantile(q) - true) <= 0.01 * abs(true) * (1 + 1e-9) + 1e-18


@pytest.mark.parametrize("count", [0, 1, 10, 1_000, 20_000, 200_000])
def test_different_words_within_four_standard_errors(count: int) -> None:
    sketch = HyperLogLog()
    sketch.add_all(f"customer {n}" for n in range(count))
    assert abs(sketch.estimate() - count) <= 4 * sketch.error * count + 0.5


def test_heavy_hitters_miss_none(rng: Random) -> None:
    words = [f"P{int(rng.random() ** 4 * 20_000)}" for _ in range(60_000)]
    true = Counter(words)
    sketch = HeavyHitters()
    for start in range(0, len(words), 700):
        sketch.add_all(words[start : start + 700])
    heavy = dict(sketch.heavy())
    assert {word for word, count in true.items() if count >= 600} <= heavy.keys()
    assert all(0 <= count - true[word] <= 60 for word, count in heavy.items())
    assert len(sketch.candidates) <= 5 * sketch.CANDIDATES


def test_panes_forget_the_same_days_in_any_order(rng: Random) -> None:
    days = [date.fromordinal(TODAY.toordinal() - rng.randrange(60)) for _ in range(80)]
    found = set()
    for _ in range(5):
        panes = Panes(Fixed(), TODAY, keep=7)
        for one in rng.sample(days, len(days)):
            panes.add_all({one: [100]})
        found.add((panes.late, tuple(sorted(panes.days))))
    assert len(found) == 1


def test_a_batch_knows_the_lines_of_its_rows() -> None:
    batch = Batch([["a"], ["a"]], [5, 9])
    assert (batch.line_of(batch[1]), batch.line_of(["a"])) == (9, 0)


def test_missing_dask_is_said_aloud() -> None:
    if any((Path(folder) / "distributed").is_dir() for folder in sys.path):
        pytest.skip("Dask is installed here")
    with pytest.raises(Missing, match="pip install"):
        count_with_dask(Path("x.csv"))
    done = run_python(PATH, "--fast", "--engine", "dask", "--rows", "2000")
    assert done.returncode == 0, done.stderr
    assert "Skipped. Dask is not installed" in done.stdout


@pytest.mark.long
def test_dask_gives_the_same(sales: Path) -> None:
    made = run_python("learn.py", "environment", str(PEER), timeout=600)
    assert made.returncode == 0, made.stderr
    subprocess.run(
        [environment_python(PEER / ".venv"), PEER / "worker.py", sales], check=True, timeout=240
    )


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent as a signal")
def test_ctrl_c_ends_with_130_and_leaves_no_child(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / PATH), "--rows", "60000"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout
    for line in process.stdout:
        if line.startswith("5  "):
            break
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    eventually(lambda: not runs(process.pid))


def runs(group: int) -> bool:
    """Whether a process of this group is there."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_empty_and_plain_text_files(tmp_path: Path) -> None:
    path = tmp_path / "header.csv"
    path.write_text(HEADER.strip())
    assert count_section(path, None, True).get_summary()["rows"] == 0
    assert list(stream_csv(path)) == []
