"""What the tests of the deployment files share: the files, read once, and the checkers."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from course import settings
from course.settings import ROOT

Checker = Callable[..., None]


def read_yaml(name: str) -> dict[str, Any]:
    """The YAML file `name`, counted from the project's root."""
    return YAML(typ="safe").load((ROOT / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def compose() -> dict[str, Any]:
    return read_yaml("docker-compose.yml")


@pytest.fixture(scope="session")
def workflow() -> dict[str, Any]:
    return read_yaml(".github/workflows/ci.yml")


@pytest.fixture(scope="session")
def checker() -> Checker:
    """Runs a tool of this environment, never one from PATH, and expects success."""

    def check(tool: str, *arguments: str) -> None:
        beside_python = shutil.which(tool, path=str(Path(sys.executable).parent))
        assert beside_python, f"{tool} is not installed; see requirements-dev.txt"
        run = subprocess.run(
            [beside_python, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr

    return check


@pytest.fixture
def default_urls(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The compose stack's URLs, by variable, as they are when nothing is configured.

    Without options such as MongoDB's directConnection: those belong to the client.
    """
    for name, value in settings.DEFAULTS.items():
        monkeypatch.setenv(name, value)
    urls = {name: settings.compose_url(service) for service, name in settings.URL_NAMES.items()}
    return {name: url.partition("?")[0] for name, url in urls.items()}
