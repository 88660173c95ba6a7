"""The doctor's look at this machine: Python, packages, disk, console, .env and Docker."""

import codecs
import difflib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

from course import settings
from course.doctor.finding import Finding
from course.settings import ROOT

OLDEST, NEWEST = (3, 11), (3, 13)
ENOUGH_DISK = 2 * 10**9
PORTS = [name for name in settings.DEFAULTS if name.endswith("_PORT")]
INSTALL = f"{sys.executable} -m pip install -r requirements.txt"
FRONT_DOOR = "python learn.py" if os.name == "nt" else "python3 learn.py"


def python(version: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Is this a Python that the course is tested on?"""
    here = ".".join(map(str, version))
    if not OLDEST <= version[:2] <= NEWEST:
        fix = (
            "install Python 3.13 from https://www.python.org/downloads/ and start learn.py with it"
        )
        return Finding("Python", False, f"{here}; the course runs on 3.11, 3.12 and 3.13", fix)
    if sys.maxsize < 2**32:
        fix = "install the 64-bit Python from https://www.python.org/downloads/"
        return Finding("Python", False, f"{here} for 32 bits; the packages need 64", fix)
    return Finding("Python", True, f"{here} on {platform.system()} {platform.machine()}")


def environment() -> Finding:
    """Does the course have an environment of its own?"""
    name = "Environment"
    if Path(sys.prefix).resolve() == (ROOT / ".venv").resolve():
        return Finding(name, True, "the course's own, .venv")
    if sys.prefix != sys.base_prefix:
        return Finding(name, True, f"a virtual environment, {sys.prefix}")
    fix = f"{FRONT_DOOR} doctor makes .venv and uses it"
    return Finding(name, None, f"none: packages go into {sys.prefix}", fix)


def packages(requirements: Path = ROOT / "requirements.txt") -> Finding:
    """Is everything installed as `requirements` pins it for this system?"""
    name = "Packages"
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return Finding(name, False, "not installed", INSTALL)
    lines = requirements.read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and line[0] not in "#-"]
    here = [pin for pin in pins if pin.marker is None or pin.marker.evaluate()]
    wrong = [text for pin in here if (text := off_pin(pin.name, str(pin.specifier)))]
    if not wrong:
        return Finding(name, True, f"{len(here)} installed as {requirements.name} pins them")
    more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
    return Finding(name, False, ", ".join(wrong[:3]) + more, INSTALL)


def off_pin(package: str, specifier: str) -> str:
    """How `package` departs from its pin, such as 'rich is 14.0, pinned 15.0'; '' if it doesn't."""
    from packaging.specifiers import SpecifierSet

    try:
        installed = metadata.version(package)
    except metadata.PackageNotFoundError:
        return f"{package} is missing"
    if SpecifierSet(specifier).contains(installed, prereleases=True):
        return ""
    return f"{package} is {installed}, pinned {specifier.removeprefix('==')}"


def disk(free: int | None = None) -> Finding:
    """Is there room for packages and data? `free` is in bytes, measured unless given."""
    free = shutil.disk_usage(ROOT).free if free is None else free
    says = f"{free / 10**9:,.1f} GB free"
    if free >= ENOUGH_DISK:
        return Finding("Disk", True, says)
    return Finding("Disk", False, f"{says}; the course wants 2", "delete what you can spare")


def writable(folder: Path) -> Finding:
    """Can the course write to `folder`?"""
    name = f"Folder {folder.name}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return Finding(name, True, "can be written")
    except OSError as error:
        says = f"{folder} can't be written: {error.strerror}"
        fix = "make yourself its owner, or put the course into a folder of your own"
        return Finding(name, False, says, fix)


def console() -> Finding:
    """Can the console show every character?"""
    encoding = codecs.lookup(sys.stdout.encoding or "ascii").name
    if encoding == "utf-8":
        return Finding("Console", True, "UTF-8")
    says = f"{encoding}, not UTF-8: some signs are spelled out"
    if os.environ.get("PYTHONIOENCODING"):
        return Finding("Console", None, says, "delete the environment variable PYTHONIOENCODING")
    command = "setx PYTHONUTF8 1" if os.name == "nt" else "export PYTHONUTF8=1"
    return Finding("Console", None, says, f"set PYTHONUTF8=1: {command}, then a new terminal")


def env_file(path: Path = ROOT / ".env") -> Finding:
    """Does .env mean what its writer meant? Ports are looked up in the environment too."""
    name = "Settings"
    for port in PORTS:
        if not is_port(settings.value(port)):
            says = f"{port} is {settings.value(port)!r}, which is no port number"
            return Finding(name, False, says, f"set {port}={settings.DEFAULTS[port]}")
    if not path.exists():
        return Finding(name, True, "no .env: the defaults hold")
    for written in settings.parse_env(path.read_text(encoding="utf-8")):
        meant = misspelt(written)
        if meant:
            says = f"{path.name} sets {written}, which nothing reads"
            return Finding(name, False, says, f"if you mean {meant}, call it that")
    return Finding(name, True, f"{path.name} is in order")


def misspelt(name: str) -> str:
    """The setting that `name` looks like without being one; '' if it is one, or like none."""
    urls = list(settings.URL_NAMES.values())
    known = urls if name.upper().endswith("URL") else list(settings.DEFAULTS)
    alike = difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.88)
    return alike[0] if alike and alike[0] != name else ""


def is_port(text: str) -> bool:
    """Whether `text` is a TCP port number."""
    return text.isdecimal() and 0 < int(text) < 65536


def docker() -> list[Finding]:
    """Is Docker there and running? Without it the course runs all the same, so only notes."""
    if not shutil.which("docker"):
        says = "not installed, and not needed: the course brings its own servers"
        return [Finding("Docker", None, says)]
    return [docker_engine(), docker_compose()]


def docker_engine() -> Finding:
    """Does the engine behind the docker command answer?"""
    answer = ask("docker", "info", "--format", "{{.ServerVersion}}")
    version = answer.stdout.strip()
    if answer.returncode == 0 and version:
        return Finding("Docker", True, f"engine {version} is running")
    if "permission denied" in answer.stderr.lower():
        fix = "sudo usermod -aG docker $USER, then log out and in again"
        return Finding("Docker", None, "the engine may not be used by you", fix)
    by_hand = "sudo systemctl start docker"
    fix = by_hand if sys.platform == "linux" else "start Docker Desktop and wait until it is ready"
    return Finding("Docker", None, "installed, but its engine is not running", fix)


def docker_compose() -> Finding:
    """Is the compose plugin there?"""
    answer = ask("docker", "compose", "version", "--short")
    if answer.returncode == 0:
        return Finding("Compose", True, answer.stdout.strip())
    fix = "install it: https://docs.docker.com/compose/install/"
    return Finding("Compose", None, "docker has no compose plugin", fix)


def ask(*command: str) -> subprocess.CompletedProcess[str]:
    """Run `command` for at most ten seconds; exit code 1 if it doesn't answer."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=10, cwd=ROOT
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))
