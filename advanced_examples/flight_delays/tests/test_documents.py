"""The documents are true: what they name exists, and what they tell you to type is understood.

That the commands work is tested where each of them is: the pipeline, the store, the service.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from src.paths import PROJECT
from src.service.contract import Flight

COURSE = PROJECT.parent.parent
PAGES = {page.relative_to(PROJECT).as_posix(): page.read_text(encoding="utf-8")
         for page in (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")))}  # fmt: skip
# Made by the pipeline, or by whoever follows the page.
MADE = ("data/", "models/", "reports/", "metrics/", "plots/", "mlruns/", "mlruns.db", "output/")
EXAMPLES = ("features/airport_features.py",)  # which FEATURE_STORE.md tells you to write
ROOMS = ("src", "features", "feature_repo", "docs", "tests", "environments", "monitoring", "k8s",
         "defence", "flow")  # fmt: skip
PATH = re.compile(rf"\b(?:{'|'.join(ROOMS)})/[\w./-]*|\b\w+\.(?:py|yaml|yml|toml)\b")


def blocks(text: str, language: str) -> Iterator[str]:
    """The blocks of code in a language."""
    yield from re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def spoken(text: str) -> list[str]:
    """Inline code that today's readers are told to type: not what older guides said."""
    told = re.sub(r"^\|[^|]*\|", "|", text, flags=re.MULTILINE)  # first column of a table: a name
    told = re.sub(r"The commands `[^`]*` and\s+`[^`]*`, which you may find elsewhere", "", told)
    return re.findall(r"`([^`\n]+)`", told)


def commands(text: str) -> Iterator[list[str]]:
    """Every command line of a page as words, without comments and variables."""
    lines = [line for block in blocks(text, "bash")
             for line in block.replace("\\\n", " ").splitlines()]  # fmt: skip
    for line in [*lines, *spoken(text)]:
        try:
            words = shlex.split(line, comments=True)
        except ValueError:  # a quotation that goes over lines: the body of a request
            continue
        if words and words[0] == "eval":  # eval "$(command)"
            words = shlex.split(words[1].removeprefix("$(").removesuffix(")"))
        if words:
            yield words


ALL = sorted({(page, *words) for page, text in PAGES.items() for words in commands(text)})


def program(words: tuple[str, ...]) -> str:
    """The program of a command, whichever environment's it is."""
    return Path(words[0]).name


def test_the_pages_name_commands() -> None:
    found = {program(words) for _, *words in ALL}
    assert {"python", "python3", "dvc", "feast", "mlflow", "pytest"} <= found


@pytest.mark.parametrize(
    "command", [c for c in ALL if program(c[1:]) in ("python", "python3")], ids=" ".join
)
def test_scripts_and_their_options_exist(command: tuple[str, ...]) -> None:
    words = list(command[2:])
    if not words:
        return
    if words[0] == "-m":
        module = PROJECT / words[1].replace(".", "/")
        files = sorted(module.glob("*.py")) if module.is_dir() else [module.with_suffix(".py")]
        words = words[2:]
    elif Path(words[0]).name == "learn.py":
        files = [COURSE / "learn.py", COURSE / "course" / "cli.py"]
        assert any(f"def {words[1]}(" in file.read_text("utf-8") for file in files), words[1]
        words = words[2:]
        files.append(COURSE / "course" / "runner.py")
    else:
        files, words = [PROJECT / words[0]], words[1:]
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    for word in words:
        if word.startswith("--"):
            assert f'"{word}"' in source, f"{word} is no option of {files[0].name}"
    if words and re.fullmatch(r"[a-z]+", words[0]) and files[0].name == "registry.py":
        assert f'"{words[0]}"' in source


@pytest.mark.parametrize("command", [c for c in ALL if c[1] == "dvc" and len(c) > 2], ids=" ".join)
def test_dvc_understands_its_commands(command: tuple[str, ...]) -> None:
    from dvc.cli.parser import get_main_parser

    get_main_parser().parse_args(command[2:])


@pytest.mark.parametrize(
    "command", [c for c in ALL if c[1] == "mlflow" and len(c) > 2], ids=" ".join
)
def test_mlflow_understands_its_commands(command: tuple[str, ...]) -> None:
    from mlflow.cli import cli

    verb, options = command[2], list(command[3:])
    cli.get_command(click.Context(cli), verb).make_context(verb, options)


@pytest.mark.parametrize("page", ["README.md", "docs/API.md"])
def test_flights_to_ask_about_are_flights(page: str) -> None:
    bodies = re.findall(r"\{\s*\"route\".*?\}", PAGES[page], re.DOTALL)
    assert bodies
    for body in bodies:
        Flight.model_validate_json(body)


@pytest.fixture(scope="module")
def known() -> set[str]:
    """The names of all files of the project."""
    rooms = [PROJECT / room for room in ROOMS if room != "environments"]
    return {path.name for room in rooms for path in room.rglob("*.*")} | {
        path.name for path in [*PROJECT.iterdir(), COURSE / "learn.py"]
    }


@pytest.mark.parametrize("page", PAGES)
def test_files_that_a_page_names_exist(page: str, known: set[str]) -> None:
    text = PAGES[page]
    named = set()
    for words in [*(" ".join(words) for name, *words in ALL if name == page), *spoken(text)]:
        named |= {found.rstrip(".") for found in PATH.findall(words)}
    gone = [
        name for name in sorted(named)
        if not name.startswith(MADE) and name not in EXAMPLES
        and ".venv" not in name and "{" not in name
        and not ((PROJECT / name).exists() or (COURSE / name).exists()
                 or ("/" not in name and name in known))
    ]  # fmt: skip
    assert gone == []


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#\s]+)", PAGES[page]):
        assert (PROJECT / page).parent.joinpath(target).exists(), target
