"""The embedded RabbitMQ: the machine's own rabbitmq-server, with nothing shared."""

import hashlib
import os
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import ClassVar

from course.settings import HOST, value
from course.stack.greet import Greeting
from course.stack.ports import any_free_port, listening
from course.stack.processes import launch
from course.stack.server import Server, StartError

# Debian's command on the PATH starts the server as the system's rabbitmq user, in the system's
# folders; the script that it wraps does as the environment says. So that one comes first.
PLACES = (
    "usr/lib/rabbitmq/bin/rabbitmq-server",
    "usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server",
    "opt/homebrew/sbin/rabbitmq-server",
    "usr/local/sbin/rabbitmq-server",
    "Program Files/RabbitMQ Server/rabbitmq_server-*/sbin/rabbitmq-server.bat",
)
CONFIGURATION = """\
listeners.tcp.1 = {host}:{port}
default_user = {user}
default_pass = {password}
default_user_tags.administrator = true
"""


def server_program() -> Path | None:
    """The machine's rabbitmq-server, or None."""
    top = Path(sys.executable).anchor
    for place in PLACES:
        if found := sorted(Path(top).glob(place)):
            return found[-1]
    on_path = shutil.which("rabbitmq-server")
    return Path(on_path) if on_path else None


def epmd_program() -> Path:
    """Erlang's port mapper, beside the erl that runs RabbitMQ."""
    on_path, erl = shutil.which("epmd"), shutil.which("erl")
    if on_path:
        return Path(on_path)
    homes = [Path(erl).resolve().parents[1]] if erl else []
    homes += [Path(os.environ["ERLANG_HOME"])] if "ERLANG_HOME" in os.environ else []
    found = [path for home in homes for path in sorted(home.glob("**/erts-*/bin/epmd*"))]
    if not found:
        raise StartError("Erlang's epmd was not found; RabbitMQ needs Erlang on the PATH")
    return found[-1]


def in_plain_letters(folder: Path) -> Path:
    """A way to `folder` in ASCII letters: itself, or a link to it among the temporary files.

    After a kill in a folder with other letters, RabbitMQ 3.10 may not find its queues again.
    """
    if str(folder).isascii() or os.name == "nt":  # there links need a right that few have
        return folder
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    link = Path(tempfile.gettempdir()) / f"course-rabbitmq-{name}"
    if not (link.is_symlink() and link.readlink() == folder):
        link.unlink(missing_ok=True)
        link.symlink_to(folder, target_is_directory=True)
    return link


class RabbitServer(Server):
    """Durable queues and persistent messages survive the server's end, even by force.

    Nothing is shared with a RabbitMQ that the machine may run: ports, node, data, logs and cookie
    are its own. Its epmd, too, is started here, since one that it started itself would stay behind.
    """

    service: ClassVar[str] = "rabbitmq"
    programs: ClassVar[tuple[str, ...]] = ("rabbitmq-server", "beam.smp", "erl", "epmd")
    patience: ClassVar[float] = 90.0

    def prepare(self) -> None:
        super().prepare()
        if server_program() is None:
            from course.stack.install import install

            install()
        cookie = self.folder / ".erlang.cookie"
        if not cookie.exists():
            cookie.write_text(secrets.token_hex(20), encoding="ascii")
            cookie.chmod(0o400)  # Erlang refuses a cookie that others may read
        (self.folder / "enabled_plugins").write_text("[].\n", encoding="ascii")
        (self.folder / "advanced.config").write_text("[].\n", encoding="ascii")

    def launch(self, port: int) -> int:
        program = server_program()
        if program is None:
            raise StartError("rabbitmq-server is gone")
        user, password = value("RABBITMQ_USER"), value("RABBITMQ_PASSWORD")
        configuration = CONFIGURATION.format(host=HOST, port=port, user=user, password=password)
        (self.folder / "rabbitmq.conf").write_text(configuration, encoding="utf-8")
        mapper = any_free_port()
        self._launch_epmd(mapper)
        return launch([program], self.folder, self.log, self._environment(mapper))

    def _launch_epmd(self, port: int) -> None:
        command = [str(epmd_program()), "-address", HOST, "-port", str(port)]
        launch(command, self.folder, self.log)
        deadline = time.monotonic() + 10
        while not listening(port):
            if time.monotonic() > deadline:
                raise StartError("epmd does not answer")
            time.sleep(0.02)

    def _environment(self, mapper: int) -> dict[str, str]:
        """Our environment without the user's RabbitMQ and Erlang settings, plus our own."""
        env = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith(("RABBITMQ_", "ERL_", "NOTIFY_SOCKET"))
        }
        places = {
            "CONFIG_FILE": "rabbitmq.conf",
            "ADVANCED_CONFIG_FILE": "advanced.config",
            "ENABLED_PLUGINS_FILE": "enabled_plugins",
            "CONF_ENV_FILE": "none.conf",
            "MNESIA_BASE": "data",
            "LOG_BASE": "log",
            "SCHEMA_DIR": "schema",
            "GENERATED_CONFIG_DIR": "schema",
            "PID_FILE": "pid",
        }
        folder = in_plain_letters(self.folder)
        env |= {f"RABBITMQ_{name}": str(folder / place) for name, place in places.items()}
        return env | {
            "RABBITMQ_NODENAME": "course@localhost",
            "RABBITMQ_DIST_PORT": str(any_free_port()),
            "RABBITMQ_LOGS": "-",  # to the log file that every server of the course has
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            # The start script replaces itself by the server only for systemd; else it would stay
            # as a second process, whose end is not the server's.
            "RUNNING_UNDER_SYSTEMD": "true",
            "ERL_EPMD_PORT": str(mapper),
            "ERL_EPMD_ADDRESS": HOST,
            "HOME": str(folder),  # the cookie's place
            "LC_ALL": "C.UTF-8",  # so that Erlang understands file names beyond ASCII
        }

    def detail(self, greeting: Greeting) -> str:
        return f"RabbitMQ {greeting.version}"
