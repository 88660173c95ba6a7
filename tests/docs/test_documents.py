"""The documents are true: links lead somewhere, commands exist, lessons are as in the manifest."""

import re
import shlex
from pathlib import Path

import pytest

from course import manifest
from course.cli import VERBS
from course.settings import ROOT, TITLES
from tests.support import run_python, tracked_files

DOCUMENTS = [file for file in tracked_files() if file.suffix == ".md"]
LINK = re.compile(r"\[[^\]]+\]\(([^)#\s]+)(#[^)]*)?\)")
COMMAND = re.compile(r"(?:python3? )?learn\.py ([^`\n|#]+)")
RUN_FILE = re.compile(r"^ *(?:    |`)python3? ((?!learn\.py|-)\S+\.py)", re.MULTILINE)
PLACEHOLDER = re.compile(r"…|\[|[A-Z]{3,}")


def text_of(document: Path) -> str:
    return (ROOT / document).read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    for target, _ in LINK.findall(text_of(document)):
        if "://" not in target:
            assert (ROOT / document.parent / target).exists(), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_commands_of_the_front_door_exist(document: Path) -> None:
    for words in COMMAND.findall(text_of(document)):
        verb, *rest = shlex.split(words.split("`")[0].strip(" .,;)"), posix=False)
        assert verb in {*VERBS, "--help", "environment"}, words
        if verb == "run" and rest and not PLACEHOLDER.search(rest[0]) and rest[0][0] != "-":
            assert len(manifest.matching(rest[0])) == 1, words


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_scripts_named_in_commands_exist(document: Path) -> None:
    above = (ROOT / folder for folder in document.parents)
    home = next(folder for folder in above if (folder / "pyproject.toml").exists())
    for name in RUN_FILE.findall(text_of(document)):
        assert (home / name).is_file(), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_documents_name_no_place_of_one_machine(document: Path) -> None:
    assert not re.search(r"(?<![\w.])/(home|root|Users|work|tmp)/", text_of(document))


def test_the_readme_lists_the_lessons_of_the_manifest() -> None:
    rows = [
        f"| `{e.id}` | [{e.title}]({e.path}) | "
        f"{', '.join(TITLES[s] for s in e.services) or 'nothing'} | {e.minutes} |"
        for e in manifest.load()
    ]
    page = text_of(Path("README.md")).splitlines()
    assert [line for line in page if re.match(r"\| `\w+(/\d\d)?` \| \[", line)] == rows


def test_verbs_are_all_in_the_readme_and_have_help() -> None:
    page = text_of(Path("README.md"))
    for verb in VERBS:
        assert re.search(rf"`(python3 learn\.py )?{verb}\b", page), verb


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "psql"])
def test_each_verb_has_help(verb: str) -> None:
    ended = run_python("-m", "course", verb, "--help")
    assert ended.returncode == 0, ended.stderr
    assert f"learn.py {verb}" in ended.stdout
