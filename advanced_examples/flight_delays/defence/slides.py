"""The slides: defence/slides.md becomes one HTML page that needs no network.

    environments/slides/.venv/bin/python defence/slides.py          reports/slides.html
    environments/slides/.venv/bin/python defence/slides.py --pdf    and reports/slides.pdf

pandoc puts text, charts, style and reveal.js into the one file, and makes slides_print.html beside
it, which any browser prints; --pdf has Chromium or Chrome do it. In the page, S opens the speaker's
notes, O the overview, F fills the screen. Exit codes: 0 built, 1 not.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from figures import HERE, PROJECT, fill, load

ENVIRONMENT = "advanced_examples/flight_delays/environments/slides"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
PLACES = (  # of browsers that do not stand on PATH
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
# Chromium's sandbox refuses to work for root, as whom containers run.
AS_ROOT = ("--no-sandbox",) if getattr(os, "geteuid", lambda: 1)() == 0 else ()
SCREEN = {"width": 1280, "height": 720, "margin": 0, "center": "false", "transition": "none",
          "controls": "false", "slideNumber": "true", "hash": "true", "theme": "white"}  # fmt: skip
# reveal.js lays slides out anew for paper, too late for a browser that prints by itself.
PAPER = {"include-before": '<div class="reveal printed"><div class="slides">',
         "include-after": "</div></div>"}  # fmt: skip


class SlidesError(Exception):
    """Why there are no slides, and what to do."""


def build(page: Path, paper: Path) -> None:
    """Write the page for the screen, and the one that is printed.

    SlidesError when a package is missing or pandoc complains.
    """
    try:
        import sphinx_revealjs
        from charts import draw
    except ImportError as error:
        raise SlidesError(
            f"{error.name} is missing: the slides have an environment of their own. From the "
            f"course's folder: python3 learn.py environment {ENVIRONMENT}"
        ) from None
    reveal = Path(sphinx_revealjs.__file__).parent / "_static" / "revealjs"
    figures = load()
    with tempfile.TemporaryDirectory() as folder:
        workshop = Path(folder)
        draw(figures, workshop)
        text = fill((HERE / "slides.md").read_text(encoding="utf-8"), figures)
        (workshop / "slides.md").write_text(text, encoding="utf-8")
        looks = {**SCREEN, "revealjs-url": reveal.as_posix()}
        pandoc(workshop, page, "revealjs", looks)
        pandoc(workshop, paper, "html5", PAPER, "--section-divs")


def pandoc(
    workshop: Path, target: Path, form: str, looks: Mapping[str, object], *more: str
) -> None:
    """Make `target` from slides.md in `workshop`, all in one file; SlidesError when it can't."""
    import pypandoc

    target.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [pypandoc.get_pandoc_path(), "slides.md", "--from", "markdown", "--to", form,
         "--standalone", "--embed-resources", "--slide-level", "2", "--fail-if-warnings",
         "--css", HERE / "slides.css", "--output", target.resolve(), *more,
         *(f"--variable={name}={value}" for name, value in looks.items())],
        cwd=workshop, capture_output=True, check=False, text=True, encoding="utf-8",
    )  # fmt: skip
    if done.returncode:
        raise SlidesError(f"pandoc could not build the slides:\n{done.stderr}")


def print_to_pdf(paper: Path, target: Path) -> None:
    """Print the page for paper, one slide a sheet; SlidesError without a browser."""
    named = (shutil.which(name) for name in BROWSERS)
    browser = next((found for found in (*named, *filter(os.path.exists, PLACES)) if found), None)
    if browser is None:
        raise SlidesError(
            "No Chromium or Chrome is here to print. Any browser can: open "
            f"{paper} and print it to a file."
        )
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [browser, "--headless", "--disable-gpu", *AS_ROOT, f"--user-data-dir={profile}",
             "--no-pdf-header-footer", f"--print-to-pdf={target.resolve()}",
             paper.resolve().as_uri()],
            capture_output=True, check=False, encoding="utf-8", errors="replace",
        )  # fmt: skip
    if done.returncode or not target.exists():
        raise SlidesError(f"The browser could not print:\n{done.stderr[-2000:]}")


def main(argv: Sequence[str] | None = None) -> int:
    """Build what the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pdf", action="store_true", help="print it to a PDF as well")
    parser.add_argument("--output", type=Path, default=PROJECT / "reports" / "slides.html")
    options = parser.parse_args(argv)
    try:
        paper = options.output.with_name(f"{options.output.stem}_print.html")
        build(options.output, paper)
        print(f"Slides: {options.output}\nTo print: {paper}")
        if options.pdf:
            printed = options.output.with_suffix(".pdf")
            print_to_pdf(paper, printed)
            print(f"Printed: {printed}")
    except SlidesError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
