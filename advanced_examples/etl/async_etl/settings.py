"""What can be set about a pipeline; every value has a default that works on a laptop."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from async_etl.rules import CONDITIONS


@dataclass(frozen=True)
class Settings:
    """Times are in seconds. An empty address means: the course's own."""

    source_url: str = ""
    database_url: str = ""
    schema: str = "async_etl"
    hours: int = 1  # of weather, back from the source's now
    days: int = 3  # of quotes
    page_rows: int = 500
    at_once: int = 4  # requests to one source
    timeout: float = 5.0  # of one attempt
    attempts: int = 6
    first_wait: float = 0.2  # the backoff doubles it
    longest_wait: float = 5.0
    patience: float = 60.0  # for one request with all its attempts
    failures: int = 5  # in a row, then the breaker opens
    open_for: float = 1.0
    batch_size: int = 20_000
    queue_size: int = 2  # pages or batches that may wait between two stages
    store_patience: float = 15.0  # for a database that is away
    conditions: frozenset[str] = CONDITIONS  # words for the weather that we know
    knobs: Mapping[str, str | float] = field(default_factory=dict)  # faults of the demo API
