"""The Ukrainian pages keep step with the English ones, keep to the glossary, and are spelt right.

In step means: the same headings by level, blocks of code, tables, code words, figures and links.
"""

import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from course.settings import ROOT
from tests.support import tracked_files

PAGES = [file for file in tracked_files() if file.name.endswith(".uk.md")]
GLOSSARY = Path("docs/GLOSSARY.md")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^ {4,}\S.*\n)+", re.MULTILINE)
CODE = re.compile(r"`[^`\n]+`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
FIGURE = re.compile(r"\d+(?:[.,]\d+)*")
WORD = re.compile(r"[А-Яа-яІіЇїЄєҐґ]+(?:['’-][А-Яа-яІіЇїЄєҐґ]+)*")
COMMENT = re.compile(r" *(?:#|--) .*")


def english(page: Path) -> Path:
    """The page of which `page` is the Ukrainian one."""
    return page.with_name(page.name.replace(".uk.md", ".md"))


def text_of(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def prose(text: str) -> str:
    """The text without blocks of code and code words."""
    return CODE.sub("", INDENTED.sub("", FENCE.sub("", text)))


def blocks(text: str) -> list[str]:
    """The blocks of code without their comments, which are translated."""
    fenced = FENCE.findall(text)
    rest = FENCE.sub("", text)
    found = [*fenced, *INDENTED.findall(rest)]
    lines = [[COMMENT.sub("", line).rstrip() for line in block.splitlines()] for block in found]
    return ["\n".join(line for line in block if line) for block in lines]


def headings(text: str) -> list[int]:
    """The levels of all headings."""
    return [len(signs) for signs in re.findall(r"^(#+) ", FENCE.sub("", text), re.MULTILINE)]


def tables(text: str) -> list[tuple[int, list[str]]]:
    """Of each row of each table: how many cells, and the code words in it."""
    rows = re.findall(r"^\|.*\|$", FENCE.sub("", text), re.MULTILINE)
    return [(row.count("|") - row.count("\\|"), sorted(CODE.findall(row))) for row in rows]


def targets(text: str) -> list[str]:
    """The pages that links lead to, by their English names; headings have other names."""
    found = [target.partition("#")[0] for target in LINK.findall(FENCE.sub("", text))]
    return sorted(target.replace(".uk.md", ".md") for target in found)


def glossary() -> list[tuple[str, list[str]]]:
    """(Ukrainian term, words that are avoided) of each row."""
    row = re.compile(r"^\| [^|]+ \| ([^|]+) \| ([^|]*)\| [^|]+ \|$", re.MULTILINE)
    rows = row.findall(text_of(GLOSSARY))[1:]  # without the heads of the columns
    return [(term.strip(), WORD.findall(avoided)) for term, avoided in rows if WORD.search(term)]


def test_every_term_stands_once_in_the_glossary_and_in_order() -> None:
    terms = re.findall(
        r"^\| ([^|]+?) \| [^|]+ \| [^|]*\|", text_of(Path("docs/GLOSSARY.md")), re.MULTILINE
    )
    terms = [term.lower() for term in terms if term not in ("term", "---")]
    assert terms == sorted(set(terms))
    assert len(glossary()) == len(terms) > 80


@pytest.mark.parametrize("page", PAGES, ids=str)
@pytest.mark.parametrize("part", [headings, blocks, tables], ids=lambda part: part.__name__)
def test_pages_keep_step(page: Path, part: Callable[[str], list]) -> None:
    ours, theirs = part(text_of(page)), part(text_of(english(page)))
    for number, (one, other) in enumerate(zip(ours, theirs, strict=False), 1):
        assert one == other, f"{part.__name__[:-1]} {number}"
    assert len(ours) == len(theirs)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_code_words_links_and_figures_are_the_same(page: Path) -> None:
    ours, theirs = text_of(page), text_of(english(page))
    for text in (ours, theirs):
        assert text.strip()
    assert targets(ours) == targets(theirs)
    plain = [FENCE.sub("", INDENTED.sub("", text)) for text in (ours, theirs)]
    words, expected = (Counter(CODE.findall(text)) for text in plain)
    assert words == expected, (words - expected, expected - words)
    figures, wanted = (
        Counter(FIGURE.findall(LINK.sub("", prose(text)))) for text in (ours, theirs)
    )
    assert figures == wanted, (figures - wanted, wanted - figures)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_ukrainian_page_leads_to_ukrainian_pages(page: Path) -> None:
    for target in LINK.findall(text_of(page)):
        path = page.parent / target.partition("#")[0]
        if target.startswith("#") or path == english(page):
            continue
        translated = path.with_suffix(".uk.md")
        if path.suffix == ".md" and not path.name.endswith(".uk.md"):
            assert not (ROOT / translated).exists(), f"link to {translated.name}"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_the_words_of_the_glossary_are_kept(page: Path) -> None:
    said = {word.lower() for word in WORD.findall(prose(text_of(page)))}
    for term, avoided in glossary():
        for word in avoided:
            found = {one for one in said if one.startswith(word.lower())}
            assert not found, f"say {term!r} instead"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_it_is_spelt_right(page: Path, tool: Callable[[str], str]) -> None:
    known = {word for term, _ in glossary() for word in WORD.findall(term)}
    extra = text_of(Path("tests/docs/ukrainian_words.txt")).split()
    words = sorted(set(WORD.findall(prose(text_of(page)).replace("’", "'"))))
    checked = subprocess.run(
        [tool("hunspell"), "-d", "uk_UA", "-l"], input="\n".join(words), text=True,
        encoding="utf-8", capture_output=True, check=True,
    )  # fmt: skip
    assert sorted(set(checked.stdout.split()) - known - set(extra)) == []
