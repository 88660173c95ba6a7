"""What `find` answers: where a service is, and how it came to be there."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from course.settings import TITLES

WORDS = {"given": "given", "compose": "found", "embedded": "embedded"}


@dataclass(frozen=True)
class Endpoint:
    """One service that answers.

    `source` is 'given' (its URL was set), 'compose' (it answers at the compose stack's address) or
    'embedded' (started by the course); `detail` names the server, e.g. 'PostgreSQL 18.4'.
    """

    service: str
    url: str
    source: str
    detail: str

    @property
    def address(self) -> str:
        """Host and port, without user and password."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    def __str__(self) -> str:
        """One piece of the line at the top of a lesson; never shows the password."""
        title = TITLES[self.service]
        name = self.detail if self.detail.startswith(title) else f"{title} ({self.detail})"
        return f"{name} {WORDS[self.source]} at {self.address}"
