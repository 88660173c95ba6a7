"""Runs dbt on the course's database: sets up what is missing, then does what it is asked to do.

    python3 sql_examples/dbt/run.py            build and test all models, write their documentation,
                                               and remove the schema dbt_analytics again
    python3 sql_examples/dbt/run.py --keep     the same, but the schema stays
    python3 sql_examples/dbt/run.py ARGUMENTS  dbt with these arguments; what it builds stays
    python3 sql_examples/dbt/run.py remove     remove the schema

Any Python will do: dbt has an environment of its own, which learn.py makes on first use.
"""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

PROJECT = Path(__file__).resolve().parent
ROOT = PROJECT.parents[1]
DBT = PROJECT / ".venv" / ("Scripts/dbt.exe" if os.name == "nt" else "bin/dbt")
OUTPUT = Path(os.environ.get("DBT_TARGET_PATH") or ROOT / "output" / "dbt").resolve()
SCHEMA = "dbt_analytics"
GONE = f"The schema {SCHEMA} is gone."
TOUR = (["build"], ["docs", "generate", "--static", "--no-compile"])  # build has compiled


def main(arguments: list[str]) -> int:
    """Do what the arguments say; the exit code is that of the first dbt command that failed."""
    if arguments in (["-h"], ["--help"]):
        print((__doc__ or "").strip())
        return 0
    learn("up", "postgres")
    if arguments == ["remove"]:
        remove()
        print(GONE)
        return 0
    learn("environment", str(PROJECT))
    variables = dbt_variables(learn("url", "postgres", shown=False).split()[-1])
    if arguments not in ([], ["--keep"]):
        return dbt(arguments, variables)
    try:
        return tour(variables)
    finally:
        if not arguments:
            remove()
            print(GONE)


def tour(variables: dict[str, str]) -> int:
    """From an empty schema to tested tables and a page that documents them."""
    remove()
    for arguments in TOUR:
        code = dbt(arguments, variables)
        if code:
            return code
    print(f"\nThe documentation, for a browser: {OUTPUT / 'static_index.html'}", flush=True)
    return 0


def dbt(arguments: list[str], variables: dict[str, str]) -> int:
    """Run dbt in the project's folder."""
    print(f"\n> dbt {' '.join(arguments)}", flush=True)
    return subprocess.call([str(DBT), *arguments], cwd=PROJECT, env=variables)


def dbt_variables(address: str) -> dict[str, str]:
    """The environment for dbt: where the database is, where to write, and nothing to report."""
    return {
        **os.environ,
        **postgres_variables(address),
        "DBT_PROFILES_DIR": str(PROJECT),
        "DBT_TARGET_PATH": str(OUTPUT),
        "DBT_LOG_PATH": str(OUTPUT / "logs"),
        "DBT_USE_COLORS": str(sys.stdout.isatty()),
        "DO_NOT_TRACK": "1",
        "PYTHONUTF8": "1",
    }


def postgres_variables(address: str) -> dict[str, str]:
    """The variables that every PostgreSQL program knows, from a URL."""
    url = urlsplit(address)
    parts = {
        "PGHOST": url.hostname,
        "PGPORT": str(url.port or 5432),
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.path.lstrip("/"),
    }
    given = {name: unquote(value) for name, value in parts.items() if value}
    return given | {f"PG{name.upper()}": value for name, value in parse_qsl(url.query)}


def remove() -> None:
    """Remove what was built."""
    quietly = "SET client_min_messages = warning"
    learn("psql", "-q", "-c", f"{quietly}; DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")


def learn(*arguments: str, shown: bool = True) -> str:
    """Use the course's front door; SystemExit when that fails, which it explains itself."""
    command = [sys.executable, str(ROOT / "learn.py"), *arguments]
    output = None if shown else subprocess.PIPE
    done = subprocess.run(command, stdout=output, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return done.stdout or ""


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
