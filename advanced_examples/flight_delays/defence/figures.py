"""The figures of the defence, from figures.toml: one place for slides, charts and DEFENCE.md.

    python defence/figures.py                  the table that docs/DEFENCE.md shows
    python defence/figures.py --compare HOME   which figures the run in HOME shows otherwise

Exit code 1 when a figure differs. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent
PLACE = re.compile(r"\[\[(\w+)\]\]")
NUMBER = re.compile(r"-?[\d,]*\.?\d+")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure as people read it, what it is, and where it comes from (one of the last three)."""

    shown: str
    says: str
    file: str = ""
    key: str = ""
    measured: str = ""
    stands_in: str = ""

    @property
    def value(self) -> float:
        """The number in it; of 7.5 % it is 7.5."""
        found = NUMBER.search(self.shown)
        assert found
        return float(found[0].replace(",", ""))

    @property
    def source(self) -> str:
        """Where it comes from, for the table."""
        if self.file:
            return f"`{self.file}`: {self.key}"
        return f"`{self.stands_in}`" if self.stands_in else self.measured

    def of(self, number: float) -> str:
        """`number` in the form of this figure: as many places, its unit, percent of one."""
        found = NUMBER.search(self.shown)
        assert found
        places = len(found[0].partition(".")[2])
        scaled = number * 100 if "%" in self.shown else number
        return self.shown.replace(found[0], f"{scaled:,.{places}f}")


def load(file: Path = HERE / "figures.toml") -> dict[str, Figure]:
    """All figures by name."""
    return {name: Figure(**one) for name, one in tomllib.loads(file.read_text("utf-8")).items()}


def fill(text: str, figures: Mapping[str, Figure]) -> str:
    """`text` with each [[name]] replaced by that figure; KeyError for a name that is none."""
    return PLACE.sub(lambda found: figures[found[1]].shown, text)


def table(figures: Mapping[str, Figure]) -> str:
    """All figures as a table in Markdown."""
    rows = [f"| {one.says} | {one.shown} | {one.source} |" for one in figures.values()]
    return "\n".join(["| what | figure | from |", "|---|--:|---|", *rows])


def differences(figures: Mapping[str, Figure], home: Path) -> list[str]:
    """What the files under `home` would show otherwise, one line each.

    FileNotFoundError when the pipeline has not run there.
    """
    found = []
    for name, figure in figures.items():
        if figure.file:
            number = json.loads((home / figure.file).read_text("utf-8"))
            for part in figure.key.split("."):
                number = number[part]
            if figure.of(number) != figure.shown:
                found.append(f"{name}: {figure.shown} here, {figure.of(number)} there")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table, or compare; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--compare", type=Path, metavar="HOME")
    options = parser.parse_args(argv)
    figures = load()
    if not options.compare:
        print(table(figures))
        return 0
    try:
        found = differences(figures, options.compare)
    except FileNotFoundError as error:
        print(f"The pipeline has not run in {options.compare}: {error}", file=sys.stderr)
        return 1
    print("\n".join(found) or "All figures are as that run shows them.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
