"""`learn.py new lesson ID TITLE`: everything that a lesson consists of, ready to be filled.

The script, its place in the manifest, in the README and in the lesson plan, a test, a transcript.
"""

import argparse
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from course import manifest
from course.console import Console
from course.errors import FAILED, OK, UsageError
from course.settings import ROOT, SERVICES, TITLES

SCRIPT = '''"""{title}.

You will see … (one paragraph: what happens, and what to look at).

Run      python {path}
Needs    {needs}
Minutes  {minutes}
Next     README.md
"""

from course.lesson import Lesson, run


def first_part(lesson: Lesson) -> None:
    """What the first step shows.

    The first line is the heading, the rest is told in class. Each claim in it is checked.
    """
    answer = 6 * 7
    lesson.check("six times seven is 42", answer == 42, str(answer))


def main(lesson: Lesson) -> None:
    """The table of contents: a line for each step."""
    lesson.step(first_part, lesson)


if __name__ == "__main__":
    run(main)
'''
TEST = '''"""Lesson {id}: its parts, bad input, and the script from another folder."""

from pathlib import Path

from course.settings import ROOT
from tests.support import load_lesson, run_python

PATH = "{path}"
lesson = load_lesson(PATH)


def test_its_first_part_explains_itself() -> None:
    assert lesson.first_part.__doc__


def test_the_script_runs_from_anywhere(tmp_path: Path) -> None:
    done = run_python(ROOT / PATH, "--fast", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
'''
ENTRY = """
[[lesson]]
id = "{id}"
path = "{path}"
module = "{module}"
title = "{title}"
minutes = {minutes}
{services}"""
ROW = "| `{id}` | [{title}]({path}) | {needs} | {minutes} |\n"
SECTION = """### `{id}` {title}

| steps | minutes | what |
|---|---|---|
| 1 | {minutes} | … |

- **Skip.** …
- **Pitfall.** …
- **Ask.** … **Answer.** …
- **When it breaks.** …

"""


@dataclass(frozen=True)
class Draft:
    """A lesson that is to be: its id is module/number."""

    id: str
    title: str
    minutes: int
    services: tuple[str, ...]

    @property
    def module(self) -> str:
        """The part of the id before the number."""
        return self.id.partition("/")[0]

    @property
    def last(self) -> manifest.Entry:
        """The last lesson of the same module, beside which this one will stand."""
        return [one for one in manifest.load() if one.id.startswith(f"{self.module}/")][-1]

    @property
    def path(self) -> str:
        """Where the script will stand, from the root."""
        name = re.sub(r"[^a-z0-9]+", "_", self.title.partition(":")[0].lower()).strip("_")
        number = self.id.partition("/")[2]
        return f"{Path(self.last.path).parent.as_posix()}/{number}_{name}.py"

    @property
    def test(self) -> str:
        """Where its test will stand, from the root."""
        return f"tests/{Path(self.path).parent.name}/test_{Path(self.path).name}"

    def fill(self, template: str) -> str:
        """`template` with this lesson's facts."""
        names = ", ".join(f'"{name}"' for name in self.services)
        return template.format(
            id=self.id, title=self.title, minutes=self.minutes, path=self.path,
            module=self.last.module, services=f"services = [{names}]\n" if names else "",
            needs=", ".join(TITLES[name] for name in self.services) or "nothing",
        )  # fmt: skip


def main(console: Console, arguments: list[str]) -> int:
    """Make a lesson's parts and say what is left to do."""
    draft = asked_for(arguments)
    for path, template in ((draft.path, SCRIPT), (draft.test, TEST)):
        if (ROOT / path).exists():
            raise UsageError(f"{path} is there already.")
        (ROOT / path).write_text(draft.fill(template), encoding="utf-8", newline="\n")
    before = re.escape(draft.last.id)
    insert("course/lessons.toml", rf'id = "{before}"\n(?:.+\n)+', draft.fill(ENTRY))
    insert("README.md", rf"\| `{before}` .+\n", draft.fill(ROW))
    insert("docs/LESSON_PLAN.md", rf"### `{before}` .+\n(?:(?!##).*\n)*", draft.fill(SECTION))
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/smoke", "--renew-transcripts",
         "-k", f"again and {draft.id}"],
        cwd=ROOT, env={**os.environ, "PYTHONUTF8": "1"}, capture_output=True, encoding="utf-8",
        check=False,
    )  # fmt: skip
    if told.returncode:
        console.say(told.stdout)
        return FAILED
    for made in (draft.path, draft.test, f"tests/transcripts/{draft.id.replace('/', '_')}.txt"):
        console.say(f"made     {made}")
    for changed in ("course/lessons.toml", "README.md", "docs/LESSON_PLAN.md"):
        console.say(f"changed  {changed}")
    console.say(f"Fill the script, and run it: python3 learn.py run {draft.id}")
    console.say("What comes after that stands in CONTRIBUTING.md.")
    return OK


def asked_for(arguments: list[str]) -> Draft:
    """The lesson that the command line describes; UsageError when it can't be."""
    parser = argparse.ArgumentParser(
        prog="learn.py new", description="Make a lesson: script, manifest entry, test, transcript."
    )
    parser.add_argument("what", choices=["lesson"])
    parser.add_argument("id", help="module/number, such as async/04")
    parser.add_argument("title", help='such as "Queues: who works on what"')
    parser.add_argument("--minutes", type=int, default=20)
    parser.add_argument("--needs", nargs="*", default=[], choices=SERVICES, metavar="SERVICE",
                        help=", ".join(SERVICES))  # fmt: skip
    told = parser.parse_args(arguments)
    title = told.title.strip().rstrip(".")
    modules = dict.fromkeys(one.id.partition("/")[0] for one in manifest.load() if "/" in one.id)
    if not re.fullmatch(r"[a-z]+/\d\d", told.id) or told.id.partition("/")[0] not in modules:
        raise UsageError(
            f"{told.id!r}: an id is module/number with two digits. The modules: "
            f"{', '.join(modules)}. A new module begins with a folder and a lesson by hand."
        )
    if any(one.id == told.id for one in manifest.load()):
        raise UsageError(f"There is a lesson {told.id} already.")
    if not re.search(r"[a-z]", title.lower()) or '"' in title:
        raise UsageError("A title needs letters, and no quotation marks.")
    return Draft(told.id, title, told.minutes, tuple(told.needs))


def insert(path: str, after: str, text: str) -> None:
    """Put `text` behind what the pattern `after` finds in a file of the project."""
    file = ROOT / path
    before = file.read_text(encoding="utf-8")
    found = re.search(after, before)
    if found is None:
        raise UsageError(f"{path} has another form than expected; write the lesson in by hand.")
    after_it = before[: found.end()] + text + before[found.end() :]
    file.write_text(after_it, encoding="utf-8", newline="\n")
