"""Installs RabbitMQ's system package where that is possible and wanted.

No wheel carries RabbitMQ. On a terminal the course asks first; without one it installs only as root
on Debian or Ubuntu (a container, a CI job). The service that the package would start is not wanted.
COURSE_INSTALL=no (in the environment or in .env) forbids it altogether.

Run      sudo python -m course.stack.install
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from course.errors import ServiceUnavailable
from course.settings import value
from course.stack.processes import tail

APT_GET = ("apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300")
APT = (*APT_GET, "install", "--no-install-recommends", "rabbitmq-server")
UPDATE = (*APT_GET, "update")
LOCK = Path("/run/data-engineering-course.lock")  # /run is root's, and empty after a restart
UNITS = ("rabbitmq-server.service", "epmd.service", "epmd.socket")
POLICY = Path("/usr/sbin/policy-rc.d")
POLICY_MARK = "# The course installs a package; its service is not to be started."
# Should this process be killed, its policy forbids nothing any more.
POLICY_TEXT = "#!/bin/sh\n{mark}\nkill -0 {pid} 2>/dev/null && exit 101\nexit 0\n"


def install() -> None:
    """Install rabbitmq-server, asking first on a terminal. Raises ServiceUnavailable."""
    command = _command()
    if value("COURSE_INSTALL") == "no" or not command or not _agreed(command):
        raise _unavailable("RabbitMQ is not installed on this machine")
    print(f"Installing RabbitMQ once, for this machine: {' '.join(command)}", file=sys.stderr)
    if command[0] == "apt-get":
        _install_with_apt()
    elif subprocess.run(command, check=False).returncode:
        raise _unavailable(f"installing RabbitMQ failed: {' '.join(command)}")


def how_to_install() -> str:
    """The commands that bring RabbitMQ to this system."""
    package = _package_command()
    docker = "docker compose up -d"
    return f"{package}   (or: {docker})" if package else docker


def _package_command() -> str:
    """What a user would type to install the system's package; '' where we know of none."""
    if shutil.which("apt-get"):
        return f"{'' if _is_root() else 'sudo '}apt-get install rabbitmq-server"
    return {
        "darwin": "brew install rabbitmq",
        "win32": "choco install rabbitmq   (or see https://www.rabbitmq.com/docs/install-windows)",
    }.get(sys.platform, "")


def _is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


def _command() -> list[str]:
    """What we could run to install it here; empty when there is nothing."""
    if shutil.which("apt-get"):
        if _is_root():
            return list(APT)
        if shutil.which("sudo"):  # asks for the password on the terminal
            return ["sudo", sys.executable, "-m", "course.stack.install"]
    brew = shutil.which("brew") if sys.platform == "darwin" else None
    return [brew, "install", "rabbitmq"] if brew else []


def _agreed(command: list[str]) -> bool:
    """The user's answer on a terminal; without one, yes only for root's own apt-get."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return command[0] == "apt-get"
    print("RabbitMQ is not installed on this machine, and no Python package carries it.")
    print(f"It can be installed with: {_package_command()}")
    return input("Install it now? [y/N] ").strip().lower() in ("y", "yes")


def _unavailable(problem: str) -> ServiceUnavailable:
    looked = "a running server, and rabbitmq-server on this machine"
    return ServiceUnavailable("rabbitmq", problem, looked, how_to_install())


def _install_with_apt() -> None:
    """Run apt-get as root; the lists of packages are renewed only if it does not work without."""
    with alone_on_this_machine(), tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "apt.txt")
        with no_service_starts(), _no_service_at_boot():
            if _apt(APT, log):
                return
            _apt(UPDATE, log)
            if not _apt(APT, log):
                raise _unavailable(f"installing RabbitMQ failed:\n{tail(log)}")


def _apt(command: tuple[str, ...], log: Path) -> bool:
    """Run apt-get without questions, its words to `log`; True when it worked."""
    env = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}
    with log.open("ab") as output:
        finished = subprocess.run(
            command, env=env, check=False,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    return finished.returncode == 0


@contextmanager
def _no_service_at_boot() -> Iterator[None]:
    """The packages have their services started at every boot: take back what was not so before."""
    before = _started_at_boot()
    try:
        yield
    finally:
        if added := sorted(_started_at_boot() - before):
            subprocess.run(["systemctl", "disable", *added], check=False, capture_output=True)


def _started_at_boot() -> set[str]:
    """Those of the packages' services that systemd would start at the next boot."""
    if not shutil.which("systemctl"):
        return set()
    asked = [
        (unit, subprocess.run(["systemctl", "is-enabled", unit], check=False, capture_output=True))
        for unit in UNITS
    ]
    return {unit for unit, answer in asked if answer.returncode == 0}


@contextmanager
def alone_on_this_machine() -> Iterator[None]:
    """Two processes may want to install at once: the second waits here for the first."""
    from fasteners import InterProcessLock  # type: ignore[import-untyped]

    with InterProcessLock(LOCK):
        yield


@contextmanager
def no_service_starts() -> Iterator[None]:
    """While a package is installed, its service is not started; then all is as it was before."""
    kept = POLICY.with_name("policy-rc.d.before-course")
    if POLICY.exists() and POLICY_MARK not in POLICY.read_text(encoding="utf-8"):
        POLICY.replace(kept)
    POLICY.write_text(POLICY_TEXT.format(mark=POLICY_MARK, pid=os.getpid()), encoding="utf-8")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)
        if kept.exists():
            kept.replace(POLICY)


if __name__ == "__main__":
    try:
        _install_with_apt()
    except ServiceUnavailable as error:
        sys.exit(str(error))
