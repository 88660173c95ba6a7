"""The front door of the course.

    python3 learn.py run               set up what is missing, then run every lesson in order
    python3 learn.py run sql/04        one lesson: by id, path or a unique part of its name
    python3 learn.py test              the same set-up, then the whole test suite

    up, down, status                   start, stop and show the services
    doctor [--offline]                 what is wrong here, and how to put it right
    list                               all lessons
    demo [PLAN]                        show lessons to a class, one key a step, the time in sight
    check, watch [NAME]                check an exercise, once or whenever you save it
    hint, solution, reset-exercise     with an exercise's NAME: help, an answer, a new start
    progress                           which exercises are done, and which comes next
    psql [-f FILE], url SERVICE        talk to the course's database, find a service
    reset [--all]                      restore the course data (--all: and empty the servers)
    notebook                           JupyterLab on the course's services
    new lesson ID TITLE                a new lesson: script, manifest entry, test, transcript
    bench [--json FILE]                measure, as ratios
    prefetch                           get everything that a class without network needs

Each verb has its own --help. Everything is made inside this folder: packages in .venv, servers
and their data in .stack. Delete the two and nothing is left.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent
WINDOWS = os.name == "nt"
OLDEST, NEWEST = (3, 11), (3, 13)
UV = "uv>=0.9,<1"
LESSONS, TESTS, NOTEBOOKS = "requirements.txt", "requirements-dev.txt", "requirements-notebook.txt"
WANTED = {
    "test": [TESTS],
    "new": [TESTS],
    "bench": [TESTS],
    "notebook": [NOTEBOOKS],
    "prefetch": [TESTS, NOTEBOOKS],
}
INDEX_OPTIONS = ("index-url", "extra-index-url", "find-links")
TORCH_ON_CPU = "https://download.pytorch.org/whl/cpu"


class SetupError(Exception):
    """The environment can't be made; the text says why and what to do."""


def main(arguments: list[str]) -> int:
    """Set up what the verb needs and hand over to the course inside .venv."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print((__doc__ or "").strip())
        return 0
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        return another_python(arguments)
    if arguments[0] == "environment":
        return environment(arguments[1:])
    venv = Environment(ROOT)
    for requirements in WANTED.get(arguments[0], [LESSONS]):
        venv.install(requirements)
    return hand_over([str(venv.python), "-P", "-m", "course", *arguments])


def environment(folders: list[str]) -> int:
    """Make the environment of a project that stands apart, from the requirements in its folder."""
    for folder in folders:
        Environment(Path(folder).resolve()).install(LESSONS)
    return 0


def another_python(arguments: list[str]) -> int:
    """Go on with a Python of the right version from PATH; say what to install if there is none."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        found = shutil.which(f"python3.{minor}")
        works = found and subprocess.call([found, "-c", ""], stderr=subprocess.DEVNULL) == 0
        if found and works:
            return hand_over([found, str(ROOT / "learn.py"), *arguments])
    raise SetupError(
        "The course runs on Python 3.11, 3.12 and 3.13; this is {}.{}. Install one of them from "
        "python.org or your package manager, and start learn.py with it.".format(*sys.version_info)
    )


def hand_over(command: list[str]) -> int:
    """Become `command`; on Windows, which can't do that, run it and return its exit code."""
    if not WINDOWS:
        sys.stdout.flush()
        os.execv(command[0], command)
    try:
        return subprocess.call(command)
    except KeyboardInterrupt:
        return 130


class Environment:
    """The virtual environment `.venv` in `folder`, made from the requirements that stand there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / ".venv"
        self.bin = self.path / ("Scripts" if WINDOWS else "bin")
        self.python = self.bin / ("python.exe" if WINDOWS else "python")
        self.pip = [str(self.python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
        self.log = self.path / "setup.log"

    def install(self, requirements: str) -> None:
        """Bring the environment to what `requirements` says, unless it is there already."""
        if self.has(requirements):
            return
        start = time.monotonic()
        with contextlib.closing((self.folder / ".learn.lock").open("w")) as lock:
            wait_for(lock.fileno())
            if self.has(requirements):
                return
            print(f"Setting up {self.path.name} from {requirements}: {self.cost(requirements)}")
            if not self.runs("pass"):
                self.make()
            if not self.runs("import pip"):
                subprocess.call([str(self.python), "-m", "ensurepip"], stdout=subprocess.DEVNULL)
            self.run_installer(self.installer(requirements))
            for name in {LESSONS, requirements}:
                self.stamp(name).write_text(self.fingerprint(name))
        print(f"Set up in {time.monotonic() - start:.0f} s.")

    def has(self, requirements: str) -> bool:
        """Whether what `requirements` says today is installed."""
        try:
            written = self.stamp(requirements).read_text()
        except FileNotFoundError:
            return False
        return written == self.fingerprint(requirements) and self.python.exists()

    def stamp(self, requirements: str) -> Path:
        """Where the fingerprint of what was installed is kept."""
        return self.path / f"{requirements}.installed"

    def fingerprint(self, requirements: str) -> str:
        """A digest of everything that decides what has to be installed."""
        digest = hashlib.sha256(str(self.folder).encode())
        for name in sorted({LESSONS, requirements, "pyproject.toml"}):
            file = self.folder / name
            digest.update(file.read_bytes() if file.exists() else b"")
        return digest.hexdigest()

    def cost(self, requirements: str) -> str:
        """What the installation takes, in words: the first comment that names a size."""
        for line in (self.folder / requirements).read_text(encoding="utf-8").splitlines():
            if line.startswith("#") and " MB" in line:
                return line.strip("# ")
        return "this takes a while."

    def runs(self, code: str) -> bool:
        """Whether its Python runs `code` (none once the Python it was made from has gone)."""
        try:
            command = [str(self.python), "-c", code]
            return subprocess.call(command, stderr=subprocess.DEVNULL) == 0
        except OSError:
            return False

    def make(self) -> None:
        """Create it, anew if a broken one is there."""
        command = [sys.executable, "-m", "venv", "--clear", str(self.path)]
        made = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if made.returncode:
            free = shutil.disk_usage(self.folder).free // 10**6
            raise SetupError(
                "Python could not make a virtual environment. On Debian and Ubuntu its package may "
                f"be missing: sudo apt install python3-venv. The disk has {free:,} MB free; the "
                f"course wants 2,000.\n\n{made.stdout.strip()}"
            )

    def installer(self, requirements: str) -> list[str]:
        """The command that installs: uv where it can be had, which takes seconds, else pip."""
        own = self.bin / ("uv.exe" if WINDOWS else "uv")
        if not works(own) and not shutil.which("uv"):
            with self.log.open("w") as log:
                subprocess.call([*self.pip, "install", "--quiet", UV], stdout=log, stderr=log)
        uv = str(own) if works(own) else shutil.which("uv")
        settings = settings_for_uv(self.pip)
        cpu = needs_torch_on_cpu((self.folder / requirements).read_text("utf-8"), settings)
        if uv is None:
            index = ["--extra-index-url", TORCH_ON_CPU] if cpu else []
            return [*self.pip, "install", "-r", requirements, *index]
        target = ["--python", str(self.python), "-r", requirements]
        backend = ["--torch-backend", "cpu"] if cpu else []
        return [uv, "pip", "install", *target, *backend, *settings]

    def run_installer(self, command: list[str]) -> None:
        """Run `command` with one progress line; its own output goes to the log."""
        start = time.monotonic()
        with self.log.open("a") as log:
            process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log)
            while process.poll() is None:
                if sys.stdout.isatty():
                    seconds = time.monotonic() - start
                    say = f"installing packages: {self.packages()} done, {seconds:.0f} s"
                    print(f"\r  {say} ", end="", flush=True)
                time.sleep(0.2)
        say = f"{self.packages()} packages installed, {time.monotonic() - start:.0f} s"
        print(f"\r  {say}" + " " * 20)
        if process.returncode:
            end = "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])
            raise SetupError(f"The packages could not be installed ({self.log}):\n\n{end}")

    def packages(self) -> int:
        """How many packages it holds."""
        return sum(1 for _ in self.path.glob("[Ll]ib/**/site-packages/*.dist-info"))


def works(program: Path) -> bool:
    """Whether a program runs; a full disk may have left half of it."""
    try:
        return (
            subprocess.run([program, "--version"], capture_output=True, check=False).returncode == 0
        )
    except OSError:
        return False


def settings_for_uv(pip: list[str]) -> list[str]:
    """Where pip looks for packages, as options for uv, which doesn't read pip's settings."""
    command = [*pip, "config", "list"]
    listed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    options: list[str] = []
    for line in listed.stdout.splitlines():
        name, _, quoted = line.partition("=")
        value = quoted.strip("'\"")
        key = name.split(".")[-1]
        if key in INDEX_OPTIONS:
            options += [part for place in value.split() for part in (f"--{key}", place)]
        elif key == "cert":
            os.environ.setdefault("SSL_CERT_FILE", value)
    # pip takes the best version from all indexes; uv would stop at the first that has the name.
    return [*options, "--index-strategy", "unsafe-best-match"] if options else []


def needs_torch_on_cpu(requirements: str, settings: list[str]) -> bool:
    """Whether torch must be asked for without CUDA, which on Linux is gigabytes more.

    Not when a folder of wheels (find-links, in `settings`) has it for this Python already: the
    folder may be there because the network isn't.
    """
    wanted = any(line.startswith("torch==") for line in requirements.splitlines())
    if not wanted or not sys.platform.startswith("linux"):
        return False
    wheel = "torch-*+cpu-cp{}{}-*.whl".format(*sys.version_info)
    pairs = zip(settings[::2], settings[1::2], strict=False)
    folders = [Path(place) for option, place in pairs if option == "--find-links"]
    return not any(folder.is_dir() and any(folder.glob(wheel)) for folder in folders)


def wait_for(lock: int) -> None:
    """Take a lock between processes: two first starts must not build one environment at once."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(lock, msvcrt.LK_LOCK, 1)
    else:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SetupError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        place = error.filename or ROOT
        print(
            f"The set-up stopped: {error.strerror} ({place}). Make room on the disk, or put the "
            "course into a folder that is yours, and start again.",
            file=sys.stderr,
        )
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
