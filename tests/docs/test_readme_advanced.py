"""The guide to the advanced edition is true: patterns run, breaks are noticed, figures named.

The seconds in its table of benchmarks are those of one run. Names, bounds and claims are compared.
"""

import ast
import importlib
import inspect
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import config_advanced
import pytest

from course import manifest
from course.settings import ROOT
from tests.support import copy_of_the_course, run_python

FOLDER = ROOT / "advanced_edition"
TEXT = (FOLDER / "README_advanced.md").read_text(encoding="utf-8")
LESSONS = {int(e.id[-1]): e for e in manifest.load() if e.id.startswith("edition/")}
PACKAGES = ["streaming_analytics", "ledger", "recommender", "web_framework", "batch_etl"]
QUOTED = re.compile(r"`(?P<code>[^`\n]+)`\s+in\s+\[(?P<name>[^\]]+)\]\((?P<path>[^)]+\.py)\)")
PYTHON = re.compile(r"```python\n(?P<code>.*?)(?P<says>(?:^# .*\n)+)```", re.DOTALL | re.MULTILINE)
QUESTION = re.compile(r"^(\d)\. (.+\?.*) <details><summary>answer</summary>(.+)</details>$", re.M)
UNITS = {"million": 10**6, "billion": 10**9, "trillions": 10**12}
BREAK_MINUTES = 20
PROMISED = [
    "Netflix", "Uber", "Amazon", "Banks", "Kleppmann", "Nygard", "Release It!", "Xu", "Flask",
    "Django", "Redis", "Kafka", "Elasticsearch", "microservices", "event-driven", "Lambda", "CQRS",
    "Option A", "Option B", "Option C", "chunk_size", "cProfile", "py-spy", "batching",
    "low hit rate", "high memory", "DuckDB", "Dask", "Waitress",
]  # fmt: skip
# Numbers in sentences that are no figures, or that a test below compares.
OTHERS = (
    r"^(#+|\d\.) ", r"\d\. [A-Z]", r"\d+ minutes", r"4 to 6 hours", r"[Ll]essons? \d( and \d)?",
    r"lessons 1, 2 and 5", r"\(\d\)", r"3 and 4\)", r"Module 6", r"p = 0\.03", r"status 500",
    r"\b40[1345]\b", r"\b429\b", r"\b50[03]\b",
)  # fmt: skip


def section(title: str, level: str = "##") -> str:
    """What stands below a heading, up to the next one of its level or a higher one."""
    below = TEXT.partition(f"\n{level} {title}\n")[2]
    assert below, title
    return re.split(rf"^#{{2,{len(level)}}} ", below, flags=re.MULTILINE)[0]


def table(title: str) -> list[dict[str, str]]:
    """The table below a heading, a row by its columns' names."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    head, _, *rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in lines)
    return [dict(zip(head, row, strict=True)) for row in rows]


def told_of(number: int) -> str:
    """The section of a lesson."""
    (title,) = re.findall(rf"^### ({number}\. .+)$", TEXT, re.MULTILINE)
    return section(title, "###")


def numbers(text: str) -> list[float]:
    return [float(one.replace(",", "")) for one in re.findall(r"\d[\d,]*(?:\.\d+)?", text)]


# Quotes and links -------------------------------------------------------------------------------


def test_quoted_lines_stand_once_in_the_linked_file() -> None:
    quoted = list(QUOTED.finditer(TEXT))
    assert len(quoted) > 20
    for match in quoted:
        source = (FOLDER / match["path"]).read_text(encoding="utf-8")
        assert source.count(match["code"]) == 1, match[0]


def test_a_link_to_a_file_is_called_as_the_file() -> None:
    for name, path in re.findall(r"\[(\w+(?:/\w+)*\.py)\]\(([^)]+)\)", TEXT):
        assert path.endswith(name)
    assert "#L" not in TEXT


def test_links_to_headings_lead_to_headings() -> None:
    headings = re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)
    slugs = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    targets = re.findall(r"\]\(#([^)]+)\)", TEXT)
    assert targets and set(targets) <= set(slugs)


@pytest.mark.parametrize("number", LESSONS)
def test_a_preview_quotes_claims_of_its_lesson(number: int) -> None:
    lesson, told = LESSONS[number], told_of(number)
    files = [lesson.file, *(FOLDER / PACKAGES[number - 1]).glob("*.py")]
    source = "\n".join(file.read_text(encoding="utf-8") for file in files)
    claims = re.findall(r"`✓ ([^`]+)`", told)
    assert len(claims) >= 2
    for claim in claims:
        assert source.count(f'"{claim}"') == 1, claim
    start = f"[{lesson.file.name}]({lesson.file.name}), {lesson.minutes} minutes"
    assert told.strip().startswith(start)
    assert f"[{PACKAGES[number - 1]}]({PACKAGES[number - 1]})" in told


def test_the_five_lessons_are_those_of_the_manifest() -> None:
    assert list(LESSONS) == [1, 2, 3, 4, 5]
    assert len(re.findall(r"^### \d\. ", TEXT, re.MULTILINE)) == 5


# Running ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", LESSONS)
def test_a_pattern_prints_what_its_comment_says(number: int, tmp_path: Path) -> None:
    (pattern,) = PYTHON.finditer(told_of(number))
    assert pattern["code"].count("\n") <= 12
    ended = run_python("-c", pattern["code"], cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == re.sub(r"^# ", "", pattern["says"], flags=re.MULTILINE)


@pytest.fixture(scope="module")
def course_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_of_the_course(tmp_path_factory.mktemp("breaks"))


def changed(change: str, code: str) -> str:
    """What a planned break makes of the quoted code."""
    if change.startswith("write `pass` for"):
        return "pass"
    if change.startswith("make "):
        return re.sub(r"\d+", "0", code)
    assert change.startswith("take out")
    return ""


@pytest.mark.parametrize("row", table("Five planned breaks"), ids=lambda row: row["lesson"])
def test_a_planned_break_is_noticed(row: dict[str, str], course_copy: Path) -> None:
    change = row["the change"]
    (quote,) = QUOTED.finditer(change.replace("write `pass` for ", ""))
    file = course_copy / FOLDER.name / quote["path"]
    whole = file.read_text(encoding="utf-8")
    test = f"{row['run'].strip('`')}::{row['who notices'].strip('`')}"
    path = f"{course_copy / FOLDER.name}:{course_copy}"
    command = ("-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test)
    file.write_text(whole.replace(quote["code"], changed(change, quote["code"])), encoding="utf-8")
    try:
        broken = run_python(*command, cwd=course_copy, PYTHONPATH=path)
    finally:
        file.write_text(whole, encoding="utf-8")
    assert broken.returncode == 1 and "1 failed" in broken.stdout, broken.stdout + broken.stderr


def test_commands_have_the_options_that_are_typed() -> None:
    lines = re.findall(r"^    (python.+)$", section("How to run"), re.MULTILINE)
    typed = [*lines, *re.findall(r"`(python -m cProfile [^`]+)`", TEXT)]
    assert len(typed) == 5
    for words in map(shlex.split, typed):
        flags = [word for word in words if word.startswith("--")]
        (target,) = (word for word in words if "edition/" in word)
        (entry,) = manifest.matching(target)
        text = run_python(entry.path, "--help").stdout if flags else ""
        assert all(flag in text for flag in flags), words
        if "--tier" in flags:
            assert words[-1] in config_advanced.TIERS


def test_the_tiers_are_those_of_the_configuration() -> None:
    rows = {row["tier"]: (row["items"], row["fsync of the ledger"]) for row in table("How to run")
            if row["tier"] in config_advanced.TIERS}  # fmt: skip
    tiers = config_advanced.TIERS
    assert rows == {name: (f"{tier.rows:,}", tier.fsync) for name, tier in tiers.items()}
    assert f"`{config_advanced.VARIABLE}`" in TEXT


def test_the_lessons_say_themselves_how_to_get_an_option() -> None:
    lines = [line for line in section("How to run").splitlines() if line.count("|") == 5]
    options = [[cell.strip() for cell in line[1:-1].split("|")] for line in lines]
    options = [row for row in options if re.fullmatch(r"\d(, \d)?", row[1])]
    assert [row[0] for row in options] == ["Redis", "DuckDB", "Dask", "Waitress"]
    for _, used_in, _, command in options:
        for number in map(int, used_in.split(", ")):
            files = [LESSONS[number].file, *(FOLDER / PACKAGES[number - 1]).glob("*.py")]
            assert any(command.strip("`") in file.read_text("utf-8") for file in files), command


# Figures ----------------------------------------------------------------------------------------


def test_the_hours_follow_from_the_minutes() -> None:
    understand, break_it = table("Levels and hours")
    assert int(understand["minutes"]) == sum(lesson.minutes for lesson in LESSONS.values())
    assert int(break_it["minutes"]) == BREAK_MINUTES * len(table("Five planned breaks"))
    hours = [numbers(row["hours"]) for row in (understand, break_it)]
    for (least, most), row in zip(hours, (understand, break_it), strict=True):
        assert 60 * least <= int(row["minutes"]) <= 60 * most
    assert int(understand["minutes"]) + int(break_it["minutes"]) <= 6 * 60
    assert hours[0][0] == 4 and "Module 6 takes 4 to 6 hours." in TEXT


def test_the_sizes_of_others_are_examples_and_add_up() -> None:
    rows = table("The size of the problem")
    assert "examples of a size, not results of this course" in section("The size of the problem")
    for row in rows:
        (unit,) = (factor for name, factor in UNITS.items() if name in row["about how much"])
        amount = (numbers(row["about how much"]) or [1])[0] * unit
        assert numbers(row["times our million"]) == [amount / config_advanced.load().rows]
        assert "](https://" in row["where they say it"]


def bench_rows(number: int) -> Iterator[tuple[str, str]]:
    """(name, bound) of each `measured(name, ratio, target, better, …)` in a lesson's benchmarks."""
    module = importlib.import_module(f"tests.benchmarks.test_edition_{number:02}")
    tests = [(name, one) for name, one in vars(module).items() if name.startswith("test_")]
    for _, test in tests:
        tree = ast.parse(dedent(inspect.getsource(test)))
        for values in parameters_of(test):
            names = {**vars(module), **values}
            for node in ast.walk(tree):
                if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "name":
                    names["name"] = ast.literal_eval(node.value)
            for node in ast.walk(tree):
                if isinstance(node, ast.Call) and ast.unparse(node.func) == "measured":
                    name, target, better = (
                        eval(ast.unparse(node.args[place]), names) for place in (0, 2, 3)
                    )
                    yield name, f"at {'most' if better == 'lower' else 'least'} {target:g}"


def parameters_of(test: Callable[..., None]) -> list[dict[str, object]]:
    """The values with which pytest calls a test, by name."""
    for mark in getattr(test, "pytestmark", []):
        if mark.name == "parametrize":
            return [dict(zip(mark.args[0], values, strict=True)) for values in mark.args[1]]
    return [{}]


def test_the_table_has_the_rows_and_bounds_of_the_bench() -> None:
    told = [(row["row of the bench"], row["wanted"]) for row in table("Measured beside claimed")]
    assert told == [row for number in LESSONS for row in bench_rows(number)]


def test_a_figure_that_misses_its_bound_says_so() -> None:
    for row in table("Measured beside claimed"):
        (bound,), found = numbers(row["wanted"]), numbers(row["two cores"])[0]
        holds = found <= bound if "most" in row["wanted"] else found >= bound
        assert ("missed" in row["two cores"]) is not holds, row


def test_no_figure_in_a_sentence_stands_unchecked() -> None:
    text = re.sub(r"^```.*?^```$|^\|.*$|^    .*$", "", TEXT, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`\n]+`|\]\([^)]*\)|\[\w+\.py\]", "", text)
    for pattern in OTHERS:
        text = re.sub(pattern, "", text, flags=re.MULTILINE)
    assert re.findall(r".*\d.*", text) == []


# What was promised ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", LESSONS)
def test_a_lesson_has_three_questions_with_answers(number: int) -> None:
    assert [place for place, _, _ in QUESTION.findall(told_of(number))] == ["1", "2", "3"]


def test_five_questions_join_the_lessons() -> None:
    assert [place for place, _, _ in QUESTION.findall(section("Five questions"))] == list("12345")


def test_all_that_was_promised_is_there() -> None:
    assert [name for name in PROMISED if name not in TEXT] == []
    project = section("The integration project: one system out of five")
    for option in re.split(r"^\*\*Option ", project, flags=re.MULTILINE)[1:]:
        assert option.count("\n- ") >= 3, option


def test_the_page_is_short_and_plain() -> None:
    assert TEXT.count("\n") <= 330
    assert "\N{EM DASH}" not in TEXT and "@@" not in TEXT
