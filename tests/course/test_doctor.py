"""The doctor in real situations: what it says, and the fix it names."""

import os
import re
import shutil
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from course import doctor, settings
from course.doctor import machine, services
from course.settings import HOST
from course.stack.ports import any_free_port
from tests.support import run_python


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the environment nor .env set anything, whoever runs the tests."""
    monkeypatch.setattr(settings, "_env_file", dict)
    for name in (*settings.DEFAULTS, *settings.URL_NAMES.values()):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def foreign_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL that knows other users than the course's."""
    environment = {
        "COURSE_STACK_DIR": str(tmp_path_factory.mktemp("foreign")),
        "DATABASE_URL": "",
        "POSTGRES_PORT": str(any_free_port()),
        "POSTGRES_USER": "somebody",
        "POSTGRES_PASSWORD": "else",
    }
    start = "from course import stack; print(stack.find('postgres').url)"
    started = run_python("-c", start, **environment)
    assert started.returncode == 0, started.stderr
    yield started.stdout.strip()
    run_python("-c", "from course import stack; stack.down(['postgres'])", **environment)


class Talker(socketserver.BaseRequestHandler):
    """Says something to everybody, but is none of our services."""

    def handle(self) -> None:
        self.request.sendall(b"220 mail.example.com at your service\r\n")


@pytest.fixture
def talker() -> Iterator[int]:
    """The port of a talker."""
    with socketserver.ThreadingTCPServer((HOST, 0), Talker) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_this_python_is_one_of_those_the_course_runs_on() -> None:
    finding = machine.python()
    assert finding.ok and finding.says.startswith("3.1")


@pytest.mark.parametrize("version", [(3, 10, 14), (3, 14, 0)])
def test_another_python_is_named_with_a_way_to_the_right_one(version: tuple[int, ...]) -> None:
    finding = machine.python(version)
    assert finding.ok is False
    assert "3.11, 3.12 and 3.13" in finding.says and "python.org" in finding.fix


def test_packages_are_installed_as_pinned() -> None:
    assert machine.packages().ok, machine.packages().says


@pytest.mark.parametrize(
    ("pin", "says"),
    [
        ("rich==1.0", f"rich is {metadata.version('rich')}, pinned 1.0"),
        ("no-such-package-here==2.0", "no-such-package-here is missing"),
        ("rich==1.0 ; python_full_version < '3.0'", ""),
        ("# rich==1.0\n\n-e .", ""),
    ],
)
def test_packages_off_their_pins_are_named(tmp_path: Path, pin: str, says: str) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(pin + "\n", encoding="utf-8")
    finding = machine.packages(requirements)
    assert finding.ok is not bool(says)
    assert says in finding.says
    assert "pip install -r requirements.txt" in finding.fix or finding.ok


def test_many_wrong_packages_are_counted_not_listed(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("".join(f"no-such-{n}==1\n" for n in range(20)), encoding="utf-8")
    assert machine.packages(requirements).says.endswith("and 17 more")


def test_a_full_disk_is_wrong_and_two_gigabytes_are_enough() -> None:
    assert machine.disk(2 * 10**9).ok
    assert machine.disk(2 * 10**9 - 1).ok is False


def test_a_folder_that_is_a_file_can_not_be_written(tmp_path: Path) -> None:
    assert machine.writable(tmp_path / "new" / "folder").ok
    (tmp_path / "file").write_text("")
    finding = machine.writable(tmp_path / "file")
    assert finding.ok is False and finding.fix


@pytest.mark.parametrize(
    ("text", "ok", "says", "fix"),
    [
        ("POSTGRES_PORT=5433\n#DATABSE_URL=x\nEDITOR=vi\n", True, "in order", ""),
        (
            "DATABSE_URL=postgresql://me@here/db\n",
            False,
            "DATABSE_URL",
            "if you mean DATABASE_URL, call it that",
        ),
        ("postgres_port=5433\n", False, "postgres_port", "if you mean POSTGRES_PORT, call it that"),
        ("MONGODB_URL=x\n", False, "MONGODB_URL", "if you mean MONGO_URL, call it that"),
        ("POSTGRES_HOST=db\nPOSTGRES_URL=x\n", True, "in order", ""),
    ],
)
def test_names_in_the_env_file_that_nothing_reads(
    tmp_path: Path, text: str, ok: bool, says: str, fix: str
) -> None:
    path = tmp_path / ".env"
    path.write_text(text, encoding="utf-8")
    finding = machine.env_file(path)
    assert (finding.ok, finding.fix) == (ok, fix)
    assert says in finding.says


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1", "5432.0", "²"])
def test_a_port_that_is_no_number(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("REDIS_PORT", port)
    finding = machine.env_file()
    assert finding.ok is False
    assert port in finding.says and finding.fix == "set REDIS_PORT=6379"


def test_a_console_that_is_not_utf_8_gets_a_readable_report_and_the_way_out() -> None:
    command = [sys.executable, "-m", "course", "doctor"]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "MONGO_PORT": "none"}
    run = subprocess.run(command, env=environment, capture_output=True, check=False)
    output = run.stdout.decode("cp1252")
    assert not run.stderr
    assert re.search(r"Console +cp1252, not UTF-8", output)
    assert "-> delete the environment variable PYTHONIOENCODING" in output
    assert run.returncode == 1 and "MONGO_PORT is 'none'" in output


def test_utf_8_mode_is_the_fix_for_a_console_of_another_encoding() -> None:
    say = "from course.doctor.machine import console; print(console().fix)"
    plain = {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    if os.name == "nt" or sys.platform == "darwin":
        pytest.skip("only Linux lets a test choose the console's encoding")
    assert "PYTHONUTF8=1" in run_python("-c", say, **plain).stdout
    assert run_python("-c", say, **{**plain, "PYTHONUTF8": "1"}).stdout == "\n"


def test_docker_is_not_needed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    [finding] = machine.docker()
    assert finding.ok is None and "not needed" in finding.says


@pytest.mark.skipif(not shutil.which("docker"), reason="no docker command on this machine")
def test_an_engine_that_does_not_run_is_a_note_with_the_way_to_start_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"tcp://{HOST}:{any_free_port()}")
    finding = machine.docker_engine()
    assert finding.ok is None
    assert "engine is not running" in finding.says
    assert "start" in finding.fix


def test_another_postgresql_that_refuses_the_course(
    foreign_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = foreign_postgres.partition(f"{HOST}:")[2].partition("/")[0]
    monkeypatch.setenv("POSTGRES_PORT", port)
    finding = services.in_use("postgres")
    assert f"another PostgreSQL answers on {port} and refuses the course's user" in finding.says
    assert finding.ok is None, "the course goes on with its own server"
    assert re.search(r"set POSTGRES_PORT=\d+ in \.env", finding.fix)
    if sys.platform == "linux":
        assert re.search(r"stop postgres \(process \d+\)", finding.fix)


def test_a_given_url_that_works_is_shown_without_its_password(
    foreign_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", foreign_postgres)
    finding = services.in_use("postgres")
    assert finding.ok and "given at 127.0.0.1" in finding.says
    assert "else" not in finding.says


@pytest.mark.parametrize("service", settings.SERVICES)
def test_a_given_url_where_nobody_answers_is_wrong(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = settings.URL_NAMES[service]
    monkeypatch.setenv(name, settings.service_url(service, any_free_port()))
    finding = services.in_use(service)
    assert finding.ok is False
    assert name in finding.says and name in finding.fix


@pytest.mark.parametrize("service", settings.SERVICES)
def test_something_else_that_answers_on_the_port(
    service: str, talker: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{service.upper()}_PORT", str(talker))
    monkeypatch.setitem(services.PROGRAMS, service, lambda: "a server that could be started")
    finding = services.in_use(service)
    assert f"something that is not {settings.TITLES[service]} answers on {talker}" in finding.says
    assert finding.ok is None
    assert f"set {service.upper()}_PORT=" in finding.fix


@pytest.mark.parametrize("service", ["postgres", "redis", "mongo"])
def test_a_service_that_does_not_run_yet_is_no_problem(
    service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{service.upper()}_PORT", str(any_free_port()))
    finding = services.in_use(service)
    assert finding.ok and re.search("starts with the first lesson|the course's own", finding.says)


def test_a_service_that_neither_runs_nor_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RABBITMQ_PORT", str(any_free_port()))
    monkeypatch.setenv("DOCKER_HOST", f"tcp://{HOST}:{any_free_port()}")
    monkeypatch.setitem(services.PROGRAMS, "rabbitmq", str)
    monkeypatch.setattr("course.stack.search.state.alive", lambda service: None)
    here, offline = services.in_use("rabbitmq"), services.without_network("rabbitmq")
    assert here.ok is False and "learn.py up rabbitmq" in here.fix
    assert offline.ok is False and "learn.py prefetch" in offline.fix
    assert "rabbitmq:4" in offline.says


@pytest.mark.parametrize("service", ["postgres", "redis", "mongo"])
def test_what_the_wheels_bring_is_there_without_network(service: str) -> None:
    finding = services.without_network(service)
    assert finding.ok and "is on this machine" in finding.says


def test_offline_looks_at_every_service_once_more() -> None:
    usual, offline = doctor.diagnose(offline=False), doctor.diagnose(offline=True)
    assert len(offline) == len(usual) + len(settings.SERVICES)
    assert all(finding.says for finding in offline)
    assert all(finding.fix for finding in offline if finding.ok is False)


def test_the_report_fits_80_columns_and_its_exit_code_tells_whether_something_is_wrong() -> None:
    run = run_python("-m", "course", "doctor", "--offline")
    lines = run.stdout.splitlines()
    assert all(len(line) <= 80 for line in lines if "→" not in line)
    wrong = sum(line.startswith("✗") for line in lines)
    assert run.returncode == (1 if wrong else 0)
    assert lines[-1] == (f"{wrong} to put right." if wrong else "All is well.")
