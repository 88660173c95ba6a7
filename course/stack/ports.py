"""Who listens on a port of this machine, and which port is free."""

import random
import socket
import sys
from contextlib import suppress

from course.settings import HOST

# Below the ports that Linux, macOS and Windows give to outgoing connections: one of those could
# take a server's port before the server does, or while it is being started again.
OUR_PORTS = range(20_000, 32_768)
TRIES = 100


def listening(port: int) -> bool:
    """True when something accepts connections at `port`; answers within a second."""
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def is_free(port: int) -> bool:
    """True when a server could take `port`: nobody listens there, and the system lets us in."""
    if listening(port):
        return False
    with socket.socket() as server:
        if sys.platform == "win32":
            server.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:  # else the closed connections of a server that just ended would count as taken
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((HOST, port))
        except OSError:
            return False
    return True


def any_free_port() -> int:
    """A port that nobody uses, and that no outgoing connection will get."""
    for number in random.sample(OUR_PORTS, TRIES):
        if is_free(number):
            return number
    with socket.socket() as server:  # somebody uses that range: one that the system has to spare
        server.bind((HOST, 0))
        return int(server.getsockname()[1])


def first_free(*preferred: int) -> int:
    """The first of the `preferred` ports that is free, else any free one."""
    return next((port for port in preferred if is_free(port)), None) or any_free_port()
