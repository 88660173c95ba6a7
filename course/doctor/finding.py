"""What a check of the doctor answers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `ok` is True, False, or None for a note that stops nobody.

    `says` is the state in one sentence, `fix` the exact thing to do about it; '' if nothing is.
    """

    name: str
    ok: bool | None
    says: str
    fix: str = ""
