"""What came of a check: plain data, which one process can hand to another."""

from dataclasses import asdict, dataclass, field
from typing import Any

PASSED, FAILED, NOT_DONE = "passed", "failed", "not done yet"
STOPPED, UNAVAILABLE = "stopped", "unavailable"


@dataclass
class Verdict:
    """The result of one check of one file.

    `held` are the parts that held; `part` is the one that didn't, `problem` what is wrong with it,
    `help` a sentence, `where` the student's own lines that led there, `printed` what they printed.
    """

    state: str
    held: list[str] = field(default_factory=list)
    part: str = ""
    problem: list[str] = field(default_factory=list)
    help: str = ""
    where: list[str] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        """The verdict as JSON can carry it."""
        return asdict(self)
