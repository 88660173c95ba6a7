"""Open the Feast store: its registry under the home folder, its online values in Redis.

    python src/store.py          the lines to export before you use the `feast` command

Redis is at REDIS_URL (`python3 learn.py url redis` prints the course's), else at its usual port
here. Opening takes seconds, since Feast imports much: one process opens one store and keeps it.
FLIGHTS_KEY_PREFIX sets a second use of the same Redis apart: its packed keys, and Feast's rows.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import gc
import os
import re
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from src import packed, paths

if TYPE_CHECKING:
    from feast import FeatureStore

PROJECT_NAME = "flight_delay"
REPOSITORY = paths.PROJECT / "feature_repo"
DEFAULT_REDIS = "redis://127.0.0.1:6379/0"
DEFAULT_RABBITMQ = "amqp://admin:admin123@127.0.0.1:5672/"


class StoreError(Exception):
    """The feature store can't be used; the text says what to do."""


def redis_url() -> str:
    """The Redis of the online features: REDIS_URL, or the default port on this machine.

    Raises:
        StoreError: REDIS_URL is no Redis URL.
    """
    url = os.environ.get("REDIS_URL") or DEFAULT_REDIS
    feast_redis(url)
    return url


def rabbitmq_url() -> str:
    """The broker of the streamed features: RABBITMQ_URL, or the default port on this machine."""
    return os.environ.get("RABBITMQ_URL") or DEFAULT_RABBITMQ


def key_prefix() -> str:
    """What the packed keys begin with: FLIGHTS_KEY_PREFIX, as for the service, or `flight`."""
    return os.environ.get("FLIGHTS_KEY_PREFIX") or packed.PREFIX


def project_name() -> str:
    """Feast's project. Its rows in Redis bear this name, so another prefix has another project."""
    prefix = key_prefix()
    own = "" if prefix == packed.PREFIX else "_" + re.sub(r"\W", "_", prefix)
    return PROJECT_NAME + own


def feast_redis(url: str) -> str:
    """A Redis URL as Feast's `host:port,db=0,password=...`.

    Raises:
        StoreError: it is no Redis URL.
    """
    parts = urlsplit(url)
    try:
        port = parts.port or 6379
    except ValueError:
        port = 0
    if parts.scheme not in {"redis", "rediss"} or not parts.hostname or not port:
        raise StoreError(f"REDIS_URL must look like {DEFAULT_REDIS}, not {url!r}.")
    options = [f"{parts.hostname}:{port}", f"db={parts.path.strip('/') or 0}"]
    if parts.scheme == "rediss":
        options.append("ssl=true")
    if parts.username:
        options.append(f"username={unquote(parts.username)}")
    if parts.password:
        # In quotes: Feast reads values as JSON, and a password of digits must stay text.
        options.append(f'password="{unquote(parts.password)}"')
    return ",".join(options)


def registry() -> Path:
    """Feast's registry, a file."""
    return paths.home() / "data" / "feast" / "registry.db"


def settings(project: str | None = None) -> dict[str, str]:
    """What feature_store.yaml takes from the environment."""
    return {
        "FLIGHTS_PROJECT": project or project_name(),
        "FLIGHTS_REGISTRY": str(registry()),
        "FLIGHTS_FEAST_REDIS": feast_redis(redis_url()),
        "FEAST_USAGE": "False",
    }


def open_store(project: str | None = None) -> FeatureStore:
    """The store, with everything in feature_repo/definitions.py applied.

    Raises:
        StoreError: the views haven't been built, or the settings are wrong.
    """
    from src.feature_eng import VIEWS, view_file

    absent = [view.name for view in VIEWS if not view_file(view).exists()]
    if absent:
        raise StoreError(
            f"The views {', '.join(absent)} have not been built. Run `python src/feature_eng.py`."
        )
    os.environ.update(settings(project))  # load_repo_config fills in feature_store.yaml from it
    from feast import FeatureStore, RepoConfig
    from feast.repo_config import load_repo_config

    from feature_repo import definitions

    # After the imports: Feast sets its own filters on the way.
    warnings.filterwarnings("ignore", message="On demand feature view is an experimental")
    warnings.filterwarnings("ignore", message="fetch_arrow_table", module="ibis")
    registry().parent.mkdir(parents=True, exist_ok=True)
    config: RepoConfig = load_repo_config(REPOSITORY, REPOSITORY / "feature_store.yaml")
    store = FeatureStore(config=config)
    store.apply(definitions.repository())
    atexit.unregister(let_go_of_duckdb)
    atexit.register(let_go_of_duckdb)
    return store


def let_go_of_duckdb() -> None:
    """Close the DuckDB connection that ibis, under Feast, would hold beyond the interpreter's end.

    DuckDB would print pages about that.
    """
    import ibis

    backend = ibis.get_backend()
    backend.disconnect()
    with contextlib.suppress(AttributeError):
        del backend.con
    gc.collect()


def main(argv: list[str] | None = None) -> int:
    """Print the environment of the `feast` command."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args(argv)
    try:
        for name, value in settings().items():
            print(f"export {name}='{value}'")
    except StoreError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
