"""The advanced guide is true: quoted lines are there, walks go as told, sums are right.

When an edit elsewhere has moved a quoted line, write the new line numbers with:
python3 learn.py test tests/docs/test_advanced_readme.py --renew-transcripts
"""

import contextlib
import doctest
import io
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest
from async_etl.__main__ import main as async_etl

from course import connect, manifest
from course.settings import ROOT
from course.workspace import own_turn
from tests.smoke.transcripts import FOLDER
from tests.support import run_python

PAGE = ROOT / "ADVANCED_README.md"
TEXT = PAGE.read_text(encoding="utf-8")
CHANGES = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
QUOTED = re.compile(
    r"`(?P<code>[^`\n]+)` \| \[(?P<name>[^\]]+)\]\((?P<path>[^)#]+)#L(?P<line>\d+)\)"
)
FENCED = re.compile(r"^ *```(?P<kind>\w+)\n(?P<inside>.*?)^ *```$", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"^(\d)\. `(.+)`\n((?:\n|   .*\n)*)", re.MULTILINE)
LESSON = "python3 learn.py run "
# Scripts with an environment of their own, and the tests that run them.
TESTED = {
    "python3 sql_examples/dbt/run.py": "tests/sql_examples/test_dbt.py",
    "python3 advanced_examples/etl/flow/run.py": "tests/etl/test_01_flow.py",
}
OWN = {"walk": "readme_walk", "warehouse": "readme_warehouse"}  # a reader's own stay untouched
ASPECTS = ["async", "SQL", "architecture", "ML", "patterns", "testing", "monitoring", "real world"]
ROAD = ["Retry", "Circuit breaker", "Logging instead of print", "Prometheus metrics",
        "Distributed tracing", "Redis online features", "Data quality checks", "Airflow DAGs",
        "Unit and integration tests", "Docker", "Kubernetes"]  # fmt: skip
IDEAS = ["Kafka streaming", "Dask, Ray", "Model monitoring (MLflow)", "DVC", "GraphQL", "dbt",
         "A/B framework", "Data catalogue"]  # fmt: skip


@dataclass(frozen=True)
class Step:
    """A numbered command of a walk, and what the page says about it."""

    walk: str
    number: int
    command: str
    about: str

    @property
    def claims(self) -> list[str]:
        """The claims that it tells to look at."""
        return re.findall(r"`(✓ [^`]+)`", self.about)

    def blocks(self, kind: str) -> list[str]:
        """The fenced blocks of a kind, from the margin."""
        found = FENCED.finditer(self.about)
        return [dedent(match["inside"]) for match in found if match["kind"] == kind]


def section(title: str, level: str = "##") -> str:
    """What stands below a heading, up to the next one of its level."""
    return TEXT.partition(f"\n{level} {title}\n")[2].partition(f"\n{level} ")[0]


def table(text: str) -> list[dict[str, str]]:
    """The first table of the text, a row by its columns' names."""
    lines = [line for line in text.partition("\n|")[2].partition("\n\n")[0].splitlines() if line]
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in lines)
    return [dict(zip(map(str.strip, head), row, strict=True)) for row in rows]


def all_steps() -> list[Step]:
    """The steps of all walks, in order."""
    walks = re.split(r"^### ", section("Four applications"), flags=re.MULTILINE)[1:]
    return [
        Step(walk.partition("\n")[0], int(number), command, about)
        for walk in walks
        for number, command, about in STEP.findall(walk + "\n")
    ]


STEPS = all_steps()
RUNS = [step for step in STEPS if step.command.startswith(LESSON)]
TYPED = [step for step in STEPS if step not in RUNS and step.command not in TESTED]


def name_of(step: Step) -> str:
    return f"{step.walk[0]}.{step.number}"


# Links ------------------------------------------------------------------------------------------


def lines_with(code: str, path: str) -> list[int]:
    """The numbers of the lines of a file in which `code` stands."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    return [number for number, line in enumerate(lines, 1) if code in line]


@pytest.mark.parametrize("page", [PAGE, PAGE.with_suffix(".uk.md")], ids=lambda page: page.name)
def test_a_linked_line_says_what_is_quoted(page: Path, request: pytest.FixtureRequest) -> None:
    def renewed(match: re.Match[str]) -> str:
        found = lines_with(match["code"], match["path"])
        assert len(found) == 1, f"{match['code']!r} stands in the lines {found} of {match['path']}"
        return match[0].replace(f"#L{match['line']})", f"#L{found[0]})")

    text = page.read_text(encoding="utf-8")
    wanted = QUOTED.sub(renewed, text)
    if request.config.getoption("renew_transcripts"):
        page.write_text(wanted, encoding="utf-8", newline="\n")
    else:
        assert wanted.splitlines() == text.splitlines()


def test_every_link_to_a_line_quotes_it_and_names_its_file() -> None:
    quoted = list(QUOTED.finditer(TEXT))
    assert len(quoted) == len(re.findall(r"#L\d+", TEXT)) > 40
    for match in quoted:
        assert match["name"] == Path(match["path"]).name


def test_links_to_headings_lead_to_headings() -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)#((?!L\d)[^)]+)\)", TEXT):
        text = (ROOT / (target or PAGE.name)).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        slugs = [re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings]
        assert anchor in slugs


def test_every_item_of_the_lists_is_answered() -> None:
    assert [row["item"] for row in table(section("The road to production"))] == ROAD
    assert [row["idea"] for row in table(section("Ideas"))] == IDEAS
    for row in [*table(section("The road to production")), *table(section("Ideas"))]:
        assert row["answer"] and "#L" in row["where"]


# Walks ------------------------------------------------------------------------------------------


def test_there_are_four_walks_numbered_without_a_gap() -> None:
    walks: dict[str, list[int]] = {}
    for step in STEPS:
        walks.setdefault(step.walk, []).append(step.number)
    assert [walk[0] for walk in walks] == list("1234")
    for numbers in walks.values():
        assert numbers == list(range(1, len(numbers) + 1))
    assert len(STEPS) == len(re.findall(r"^\d\. ", section("Four applications"), re.MULTILINE))


@pytest.mark.parametrize("step", RUNS, ids=name_of)
def test_a_lesson_of_a_walk_says_what_is_quoted(step: Step) -> None:
    """tests/smoke runs the lesson, and holds its transcript against the run."""
    id_, *flags = step.command.removeprefix(LESSON).split()
    (entry,) = (entry for entry in manifest.load() if entry.id == id_)
    assert not entry.heavy
    transcript = FOLDER / f"{id_.replace('/', '_')}.txt"
    assert transcript.exists(), f"no transcript: {transcript.name}; see tests/smoke/test_lessons.py"
    said = transcript.read_text(encoding="utf-8").splitlines()
    for claim in step.claims:
        assert any(line == claim or line.startswith(f"{claim}  (") for line in said), claim
    if flags:
        tests = (ROOT / "tests/data_services/test_06_recommendations_api.py").read_text("utf-8")
        assert flags == ["--serve"] and '"--serve"' in tests
    else:
        assert step.claims


@pytest.mark.parametrize("command", TESTED)
def test_a_script_of_a_walk_has_a_test_that_runs_it(command: str) -> None:
    assert command in [step.command for step in STEPS]
    script = Path(command.split()[-1])
    assert (ROOT / script).is_file()
    assert f'"{script.name}"' in (ROOT / TESTED[command]).read_text(encoding="utf-8")


def typed(step: Step) -> str:
    """What the command prints; for a session of Python what came otherwise than told."""
    command, about = step.command, step.about
    for name, own in OWN.items():
        command, about = (re.sub(rf"\b{name}\b", own, text) for text in (command, about))
    program, *words = shlex.split(command)
    if command == "python":
        return "".join(session(block) for block in Step("", 0, "", about).blocks("pycon"))
    if words[:2] == ["-m", "async_etl"]:
        with contextlib.redirect_stdout(io.StringIO()) as said:
            assert async_etl(words[2:]) == 0, said.getvalue()
        return said.getvalue()
    assert (program, words[:2]) == ("python3", ["learn.py", "psql"]), command
    ended = run_python("-m", "course", *words[1:])
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def session(block: str) -> str:
    """Type a session; what came otherwise than it says."""
    differences: list[str] = []
    test = doctest.DocTestParser().get_doctest(block, {}, "session", PAGE.name, None)
    assert test.examples
    doctest.DocTestRunner(verbose=False).run(test, out=differences.append)
    return "".join(differences)


def left_behind() -> list[str]:
    """Schemas and keys of the walks."""
    with closing(connect.postgres()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s)",
                       (list(OWN.values()),))  # fmt: skip
        schemas = [name for (name,) in cursor.fetchall()]
    with closing(connect.redis(decode_responses=True)) as redis:
        return schemas + list(redis.scan_iter(f"{OWN['walk']}:*"))


def remove() -> None:
    """What a run left that was killed."""
    with closing(connect.postgres()) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA IF EXISTS {', '.join(OWN.values())} CASCADE")
    with closing(connect.redis()) as redis:
        for key in redis.scan_iter(f"{OWN['walk']}:*"):
            redis.unlink(key)


@pytest.fixture(scope="module")
def said(service: Callable[[str], str]) -> Iterator[dict[Step, str]]:
    """What each command of the walks prints, typed one after the other as a reader does."""
    for name in ("postgres", "redis"):
        service(name)
    with own_turn(OWN["walk"]):
        remove()
        try:
            yield {step: typed(step) for step in TYPED}
        finally:
            remove()


@pytest.mark.parametrize("step", TYPED, ids=name_of)
def test_a_typed_command_prints_what_is_quoted(step: Step, said: dict[Step, str]) -> None:
    if step.command == "python":
        assert said[step] == ""
    printed = iter([" ".join(line.split()) for line in said[step].splitlines()])
    for block in step.blocks("text"):
        for line in block.splitlines():
            assert " ".join(line.split()) in printed, f"{line!r} is not in:\n{said[step]}"


def test_the_walks_leave_nothing(said: dict[Step, str]) -> None:
    assert said and left_behind() == []


def test_the_compose_profile_exists() -> None:
    (profile,) = re.findall(r"docker compose --profile (\w+) up -d --wait", TEXT)
    assert f"profiles: [{profile}]" in (ROOT / "docker-compose.yml").read_text(encoding="utf-8")


# Figures ----------------------------------------------------------------------------------------


def minutes_of(ids: str) -> int:
    """The minutes of the lessons named in a cell, by the manifest."""
    minutes = {entry.id: entry.minutes for entry in manifest.load()}
    return sum(minutes[id_] for id_ in re.findall(r"`(\S+)`", ids))


def test_the_modules_are_those_of_the_manifest() -> None:
    entries = {entry.id: entry for entry in manifest.load()}
    rows = table(section("The modules"))
    for row in rows:
        entry = entries[row["lesson"].strip("`")]
        assert int(row["minutes"]) == entry.minutes
        assert f"]({entry.path})" in row["what it teaches"]
    advanced = [e.id for e in entries.values() if e.path.startswith("advanced_examples/")]
    heavy = {e.id for e in entries.values() if e.heavy}
    assert {row["lesson"].strip("`") for row in rows} == {*advanced, "sql/05"} - heavy


def test_hours_and_minutes_are_compared_openly() -> None:
    rows = table(section("Levels and hours"))
    for row in rows:
        minutes = int(row["minutes"])
        assert minutes == minutes_of(row["lessons"]), row
        hours = [60 * int(number) for number in re.findall(r"\d", row["hours"])]
        if hours:
            whole_level = row["level"] in ("1 Basics", "2 Advanced")
            assert (minutes > hours[1]) if whole_level else (hours[0] <= minutes <= hours[1]), row
    assert [row["hours"] for row in rows if row["level"] in ("1 Basics", "2 Advanced")] == [
        "3 to 4", "2 to 3"]  # fmt: skip


def test_no_figure_stands_unchecked() -> None:
    """Figures stand in quotes and blocks, which are compared, or in the two tables of minutes."""
    for title in ("The modules", "Levels and hours"):
        for row in table(section(title)):
            assert row["minutes"].isdecimal()
    prose = re.sub(r"`[^`\n]+`|\[\w+\.\w+\]\([^)]*\)|\]\([^)]*\)", "", FENCED.sub("", TEXT))
    prose = re.sub(r"\| \d+ \|$", "", prose, flags=re.MULTILINE)
    assert re.findall(r"\d[\d,.]*\d", prose) == []


def test_the_page_is_short_and_has_its_pictures() -> None:
    assert 250 <= TEXT.count("\n") <= 400
    pictures = [m["inside"] for m in FENCED.finditer(TEXT) if m["kind"] == "mermaid"]
    assert len(pictures) >= 5
    assert all(picture.startswith("flowchart LR\n") for picture in pictures)


# Changelog --------------------------------------------------------------------------------------


def test_the_changelog_tells_of_each_version() -> None:
    versions = re.split(r"^## ", CHANGES, flags=re.MULTILINE)[1:]
    edition, advanced, basic = versions
    assert edition.startswith("2.1.0\n") and basic.startswith("1.0.0\n")
    assert advanced.startswith("2.0.0 (2025-10-26)\n")
    assert [row["aspect"] for row in table(advanced)] == ASPECTS
    told = {id_: version for version in versions for id_ in re.findall(r"`(\w+/\d\d)`", version)}
    of_room = {"advanced_examples": advanced, "advanced_edition": edition}
    for entry in manifest.load():
        if not entry.heavy:
            where = of_room.get(entry.path.split("/")[0], basic)
            where = advanced if entry.id in ("sql/05", "notebooks/08") else where
            assert told[entry.id] == where, entry.id
