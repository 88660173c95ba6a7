"""RabbitMQ where it is missing: asked for, installed or explained, and no service left behind."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from course.errors import ServiceUnavailable
from course.settings import ROOT
from course.stack import install, rabbitmq
from tests.stack.private import FIND, PrivateStack

MISSING = "from course.stack import rabbitmq; rabbitmq.server_program = lambda: None\n"


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes the process look as if somebody sat at a terminal and gave that answer."""

    def sit_down(answer: str) -> None:
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        monkeypatch.setattr("builtins.input", lambda _: answer)

    return sit_down


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The commands that would have been run; all of them succeed."""
    ran: list[Any] = []

    def run(command: Any, **_: Any) -> subprocess.CompletedProcess[str]:
        ran.append(tuple(command))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(install.subprocess, "run", run)
    return ran


def test_missing_and_not_to_be_installed_everything_else_runs(
    private_stack: Callable[..., PrivateStack],
) -> None:
    stack = private_stack(COURSE_INSTALL="no")
    found = json.loads(stack.run(MISSING + FIND, "redis", "rabbitmq"))["found"]
    assert found["redis"]["source"] == "embedded"
    assert found["rabbitmq"]["problem"] == "RabbitMQ is not installed on this machine"
    assert found["rabbitmq"]["command"] == install.how_to_install()


@pytest.mark.parametrize(
    ("platform", "programs", "expected"),
    [
        ("linux", ["apt-get"], "apt-get install rabbitmq-server"),
        ("linux", [], "docker compose up -d"),
        ("darwin", [], "brew install rabbitmq"),
        ("win32", [], "choco install rabbitmq"),
    ],
)
def test_the_command_fits_the_system(
    monkeypatch: pytest.MonkeyPatch, platform: str, programs: list[str], expected: str
) -> None:
    monkeypatch.setattr(install.sys, "platform", platform)
    monkeypatch.setattr(install.shutil, "which", lambda name: name if name in programs else None)
    assert expected in install.how_to_install()
    assert "docker compose up -d" in install.how_to_install()


def test_on_a_terminal_a_no_installs_nothing(
    monkeypatch: pytest.MonkeyPatch, terminal: Callable[[str], None], commands: list[Any]
) -> None:
    monkeypatch.setattr(install, "_command", lambda: ["brew", "install", "rabbitmq"])
    terminal("")
    with pytest.raises(ServiceUnavailable, match="not installed"):
        install.install()
    assert commands == []


def test_on_a_terminal_a_yes_runs_the_command(
    monkeypatch: pytest.MonkeyPatch, terminal: Callable[[str], None], commands: list[Any]
) -> None:
    monkeypatch.setattr(install, "_command", lambda: ["brew", "install", "rabbitmq"])
    terminal("yes")
    install.install()
    assert commands == [("brew", "install", "rabbitmq")]


def test_without_a_terminal_only_root_installs(
    monkeypatch: pytest.MonkeyPatch, commands: list[Any]
) -> None:
    monkeypatch.setattr(install, "_command", lambda: ["sudo", "python"])
    with pytest.raises(ServiceUnavailable):
        install.install()
    assert commands == []


@pytest.mark.skipif(sys.platform == "win32", reason="policy-rc.d belongs to Debian")
@pytest.mark.parametrize("before", [None, "#!/bin/sh\nexit 104\n"])
@pytest.mark.parametrize("fails", [False, True])
def test_service_starts_are_forbidden_only_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None, fails: bool
) -> None:
    policy = tmp_path / "policy-rc.d"
    monkeypatch.setattr(install, "POLICY", policy)
    if before is not None:
        policy.write_text(before)
    try:
        with install.no_service_starts():
            assert subprocess.run([policy], check=False).returncode == 101
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert (policy.read_text() if policy.exists() else None) == before
    assert [path.name for path in tmp_path.iterdir()] == ([policy.name] if before else [])


def test_only_what_the_installation_added_is_taken_from_the_boot(
    monkeypatch: pytest.MonkeyPatch, commands: list[Any]
) -> None:
    before, after = {"epmd.service"}, {"epmd.service", "rabbitmq-server.service"}
    states = iter([before, after])
    monkeypatch.setattr(install, "_started_at_boot", lambda: next(states))
    with install._no_service_at_boot():
        pass
    assert commands == [("systemctl", "disable", "rabbitmq-server.service")]


@pytest.mark.skipif(sys.platform == "win32", reason="policy-rc.d belongs to Debian")
def test_the_policy_of_an_installation_that_was_killed_forbids_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy-rc.d"
    code = (
        "import os, signal; from pathlib import Path; from course.stack import install\n"
        f"install.POLICY = Path({str(policy)!r})\n"
        "with install.no_service_starts(): os.kill(os.getpid(), signal.SIGKILL)"
    )
    policy.write_text("#!/bin/sh\nexit 104\n")
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert subprocess.run([policy], check=False).returncode == 0

    monkeypatch.setattr(install, "POLICY", policy)
    with install.no_service_starts():
        assert subprocess.run([policy], check=False).returncode == 101
    assert policy.read_text() == "#!/bin/sh\nexit 104\n"


def test_what_apt_says_is_in_the_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(rabbitmq, "server_program", lambda: None)
    monkeypatch.setattr(install, "POLICY", tmp_path / "policy-rc.d")
    monkeypatch.setattr(install, "LOCK", tmp_path / "lock")
    monkeypatch.setattr(install, "APT", (sys.executable, "-c", "exit('E: no such package')"))
    monkeypatch.setattr(install, "UPDATE", (sys.executable, "-c", ""))
    with pytest.raises(ServiceUnavailable, match="E: no such package"):
        install._install_with_apt()
