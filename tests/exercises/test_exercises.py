"""The author's checker: stubs fail, solutions pass, hints help, nothing is missing or left over."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from course import manifest
from course.exercises import catalogue
from course.exercises.catalogue import HOME, KINDS, Exercise
from course.exercises.judge import judge, load_module, parts
from course.exercises.verdict import NOT_DONE, PASSED
from course.settings import ROOT, SERVICES

ALL = catalogue.load()
LESSONS = [entry.id for entry in manifest.load()]
CAN_WRITE = {
    "users by country", "users per segment", "MongoDB top products", "LRU cache", "producer",
    "consumer with retries", "segmenting function", "churn risk function",
}  # fmt: skip
WANTED = {
    "db/leaking_pool": "repair", "async/ticket_race": "repair", "sql/cohort_retention": "build",
    "ml/point_in_time_leak": "repair", "edition/middleware": "build",
    "etl/idempotent_load": "build", "edition/welford_merge": "build",
}  # fmt: skip
STARTS = {"postgres", "postgres_pool", "redis", "mongo", "rabbitmq"}  # functions of connect
each = pytest.mark.parametrize("exercise", ALL, ids=lambda exercise: exercise.id)


@each
def test_the_stub_is_not_done_yet(exercise: Exercise, service: Callable[[str], str]) -> None:
    for name in exercise.services:
        service(name)
    verdict = judge(exercise, exercise.stub)
    assert verdict.state == NOT_DONE, verdict
    if exercise.kind == "build":
        assert "TODO" in verdict.problem[0] or exercise.language == "sql", verdict
    else:
        # It runs, and what is wrong with it is said in a sentence, not by an accident.
        assert verdict.part and verdict.problem and not verdict.where, verdict
        assert not re.search(r"Error:|Exception", verdict.problem[0]), verdict


@each
def test_the_solution_passes(exercise: Exercise, service: Callable[[str], str]) -> None:
    for name in exercise.services:
        service(name)
    verdict = judge(exercise, exercise.solution)
    assert verdict.state == PASSED, verdict
    assert len(verdict.held) >= 2 and not verdict.printed, verdict


@each
def test_hints_begin_gently_and_say_something(exercise: Exercise) -> None:
    steps = exercise.hints()
    assert len(steps) >= 3, "gentle, more, almost the answer"
    assert exercise.hint.read_text(encoding="utf-8").startswith("## "), "text before the first hint"
    for step in steps:
        heading, _, body = step.partition("\n")
        assert 3 <= len(heading) <= 60 and len(body.split()) >= 10, step
        assert max(map(len, step.splitlines())) <= 100, step
    assert "\n    " not in steps[0], "the first hint shows no code"


@each
def test_the_stub_tells_the_task(exercise: Exercise) -> None:
    text = exercise.stub.read_text(encoding="utf-8")
    task = manifest.opening(exercise.stub)
    assert task.partition("\n")[0].rstrip(".") == exercise.title, "first line and manifest differ"
    assert len(task.split()) >= 30, "who reads only this must know what to do"
    assert "TODO" in text or exercise.kind == "speed"
    assert max(map(len, text.splitlines())) <= 100
    if exercise.language == "py":
        offered = names(exercise.stub) & names(exercise.solution)
        used = set(re.findall(r"\btheir\.(\w+)", exercise.check.read_text(encoding="utf-8")))
        assert used <= offered, f"the check asks for {used - offered}"


def names(file: Path) -> set[str]:
    """What a file defines at its top."""
    found: set[str] = set()
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


@each
def test_the_check_says_what_it_checks(exercise: Exercise) -> None:
    checks = parts(load_module(exercise.check, "check"))
    titles = [(part.__doc__ or "").partition("\n")[0] for part in checks]
    assert len(checks) >= 2 and len(set(titles)) == len(titles)
    assert all(8 <= len(title) <= 76 for title in titles), titles


@each
def test_the_manifest_is_right(exercise: Exercise) -> None:
    assert exercise.lesson in LESSONS
    assert exercise.lesson.partition("/")[0] == exercise.module
    assert exercise.kind in KINDS and 5 <= exercise.minutes <= 45
    assert set(exercise.services) <= set(SERVICES)
    check = exercise.check.read_text(encoding="utf-8")
    used = {word for word in STARTS if f"connect.{word}(" in check}
    used |= set(re.findall(r'connect\.url\("(\w+)"\)', check))
    used |= {"postgres"} if exercise.language == "sql" or "own_schema(" in check else set()
    assert {word.removesuffix("_pool") for word in used} == set(exercise.services)
    for file in (exercise.stub, exercise.solution, exercise.check, exercise.hint):
        assert file.is_file(), file


def test_nothing_is_left_over() -> None:
    known = {
        file for e in ALL for file in (e.stub, e.solution, e.check, e.hint)
    } | {HOME / "README.md", catalogue.FILE}  # fmt: skip
    there = {f for f in HOME.rglob("*") if f.is_file() and "__pycache__" not in f.parts}
    assert there == known


def test_every_lesson_has_exercises_and_every_module_four() -> None:
    lessons, modules = (Counter(getattr(e, by) for e in ALL) for by in ("lesson", "module"))
    assert set(lessons) == set(LESSONS)
    assert min(modules.values()) >= 4, modules
    assert len(ALL) >= 40
    assert len({e.id for e in ALL}) == len({e.name for e in ALL}) == len(ALL)


def test_they_stand_in_the_order_of_the_lessons() -> None:
    assert [e.lesson for e in ALL] == sorted((e.lesson for e in ALL), key=LESSONS.index)


def test_what_was_promised_is_there() -> None:
    assert {e.can_write for e in ALL} - {""} == CAN_WRITE
    kinds = {e.id: e.kind for e in ALL}
    assert {name: kinds.get(name) for name in WANTED} == WANTED
    assert all(Counter(kinds.values())[kind] >= 8 for kind in KINDS)


@pytest.mark.parametrize(
    "words",
    [
        ("ruff", "check"),
        ("ruff", "format", "--check"),
        ("mypy", "--explicit-package-bases", "--ignore-missing-imports"),
    ],
    ids=" ".join,
)
def test_solutions_are_clean(words: tuple[str, ...]) -> None:
    folder = "exercises/solutions" if words[0] == "mypy" else "exercises"
    command = [sys.executable, "-m", *words, folder]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
