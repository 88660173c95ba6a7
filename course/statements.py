"""Cutting SQL text into statements, where psql cuts, with what the comments above each one say."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from course.errors import CourseError

# The parts of PostgreSQL's grammar that can hold a semicolon which ends nothing. Block comments
# nest, so a regular expression finds only where they open.
TOKEN = re.compile(
    r"""
      (?P<space>\s+|--[^\n]*)
    | (?P<comment>/\*)
    | [eE]'(?:[^'\\]|\\.|'')*'
    | '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | \$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$
    | (?P<open>'|"|\$(?:[^\W\d]\w*)?\$)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<end>;(?:[ \t]*--[^\n]*)?)
    | .
    """,
    re.VERBOSE | re.DOTALL,
)
COMMENT_MARK = re.compile(r"/\*|\*/")
ROUTINE = re.compile(r"CREATE (OR REPLACE )?(FUNCTION|PROCEDURE)\b")
CHAPTER = re.compile(r"^-- =+\n-- (?P<title>.*)\n(?P<text>(?:--.*\n)*?)-- =+$", re.MULTILINE)


@dataclass(frozen=True)
class Statement:
    """One statement: its text, the line it begins on, and what the comments above it say."""

    text: str
    line: int
    heading: str = ""
    explanation: str = ""
    chapter: str = ""
    introduction: str = ""


def split(sql: str) -> Iterator[Statement]:
    """The statements of `sql`, cut where psql cuts; CourseError where a quote is never closed."""
    start, first, words, parentheses, blocks = 0, -1, [], 0, 0
    for kind, text, position in _tokens(sql):
        if kind in ("space", "comment"):
            continue
        if first < 0:
            first = position
        parentheses += (text == "(") - (text == ")")
        if kind == "word":
            words.append(text.upper())
            blocks = _open_blocks(words, blocks)
        elif kind == "end" and parentheses <= 0 and not blocks:
            if position > first:
                yield _statement(sql, start, first, position + len(text))
            start, first, words, parentheses = position + len(text), -1, [], 0
    if first >= 0:
        yield _statement(sql, start, first, len(sql))


def _tokens(sql: str) -> Iterator[tuple[str, str, int]]:
    """(kind, text, position) of every token of `sql`."""
    position = 0
    while match := TOKEN.match(sql, position):
        kind, end = match.lastgroup or "", match.end()
        if kind == "comment":
            end = _comment_end(sql, position)
        if kind == "open" or end < 0:
            line = sql.count("\n", 0, position) + 1
            raise CourseError(f"line {line}: what opens with {match[0]} is never closed")
        yield kind, sql[position:end], position
        position = end


def _comment_end(sql: str, start: int) -> int:
    """Where the block comment that opens at `start` ends; -1 if it never does."""
    depth = 0
    for mark in COMMENT_MARK.finditer(sql, start):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end()
    return -1


def _open_blocks(words: list[str], blocks: int) -> int:
    """How many BEGIN … END blocks are open: they occur in the body of a routine in standard SQL."""
    if words[-1] not in ("BEGIN", "CASE", "END") or not ROUTINE.match(" ".join(words[:4])):
        return blocks
    if words[-1] == "END":
        return max(blocks - 1, 0)
    return blocks + (words[-1] == "BEGIN" or blocks > 0)


def _statement(sql: str, start: int, first: int, end: int) -> Statement:
    """The statement sql[first:end] with the comments that stand in sql[start:first]."""
    above = sql[start:first]
    chapter = CHAPTER.search(above)
    lines: list[str] = []
    for line in reversed(above.splitlines()):
        if not line.startswith("--") or line.startswith("-- =="):
            break
        lines.insert(0, line.removeprefix("--").removeprefix(" "))
    return Statement(
        text=sql[first:end].strip(),
        line=sql.count("\n", 0, first) + 1,
        heading=lines[0] if lines else "",
        explanation="\n".join(lines[1:]).strip(),
        chapter=chapter["title"] if chapter else "",
        introduction=re.sub(r"^-- ?", "", chapter["text"], flags=re.M) if chapter else "",
    )
