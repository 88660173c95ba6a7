"""Say hello to whoever listens on a port, in the service's own protocol, and judge the answer.

A few bytes tell more than a driver's error: whether it is that service at all, and which version.
They also cost 450 ms less than importing a driver does. Only PostgreSQL's password handshake is
left to its driver, which is quick to import.
"""

import re
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass

from course.settings import HOST, service_url, value

NOBODY, STRANGER, REFUSES, WELCOME = "nobody", "stranger", "refuses", "welcome"


@dataclass(frozen=True)
class Greeting:
    """Who answers: nobody, a stranger, or the service itself, which refuses or welcomes us.

    `product` names a compatible server with a name of its own ('Valkey'); '' for the usual one.
    """

    kind: str
    version: str = ""
    product: str = ""
    problem: str = ""


def greet(service: str, port: int, timeout: float = 2.0) -> Greeting:
    """What answers on `port` of this machine when it is spoken to as `service`."""
    try:
        connection = socket.create_connection((HOST, port), timeout=timeout)
    except OSError:
        return Greeting(NOBODY)
    with connection:
        try:
            return GREETERS[service](connection)
        except (OSError, struct.error) as error:
            return Greeting(STRANGER, problem=str(error))


def _postgres(connection: socket.socket) -> Greeting:
    """PostgreSQL answers a request for encryption with one letter, S or N, before any password."""
    connection.sendall(struct.pack("!II", 8, 80877103))
    if connection.recv(1) not in (b"S", b"N"):
        return Greeting(STRANGER)
    import psycopg2

    port = connection.getpeername()[1]
    try:
        session = psycopg2.connect(service_url("postgres", port), connect_timeout=5)
    except psycopg2.OperationalError as error:
        return Greeting(REFUSES, problem=str(error).strip())
    version = session.info.parameter_status("server_version") or ""
    session.close()
    return Greeting(WELCOME, version.partition(" ")[0])


def _redis(connection: socket.socket) -> Greeting:
    """Redis answers PING, or refuses; INFO tells the version, where it is known."""
    connection.sendall(b"*1\r\n$4\r\nPING\r\n")
    line = _read_line(connection)
    if line.startswith((b"-NOAUTH", b"-NOPERM", b"-DENIED")):
        return Greeting(REFUSES, problem=line[1:].decode(errors="replace").strip())
    if line.startswith(b"-LOADING"):
        return Greeting(NOBODY, problem="it is still loading its data")
    if line != b"+PONG\r\n":
        return Greeting(STRANGER)
    connection.sendall(b"*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n")
    size = re.fullmatch(rb"\$(\d+)\r\n", _read_line(connection))
    reply = _read_exactly(connection, int(size[1])) if size else b""
    valkey = re.search(rb"valkey_version:([\d.]+)", reply)
    found = valkey or re.search(rb"redis_version:([\d.]+)", reply)
    version = found[1].decode() if found else ""
    return Greeting(WELCOME, version, "Valkey" if valkey else "")


def _mongo(connection: socket.socket) -> Greeting:
    """MongoDB tells its version to anybody; listing collections shows whether we may work there."""
    connection.sendall(_op_msg(b"buildInfo", b"admin"))
    reply = _read_message(connection)
    if len(reply) < 16 or struct.unpack_from("<i", reply, 12)[0] != 2013:
        return Greeting(STRANGER)
    found = re.search(rb"\x02version\x00.{4}([^\x00]*)\x00", reply, re.DOTALL)
    version = found[1].decode() if found else ""
    connection.sendall(_op_msg(b"listCollections", value("POSTGRES_DB").encode()))
    reply = _read_message(connection)
    if b"\x01ok\x00" + struct.pack("<d", 1.0) in reply or b"\x10ok\x00\x01\x00" in reply:
        return Greeting(WELCOME, version)
    return Greeting(REFUSES, version, problem="it wants a user and a password")


def _rabbitmq(connection: socket.socket) -> Greeting:
    """RabbitMQ introduces itself, takes user and password, then proposes limits or hangs up."""
    connection.sendall(b"AMQP\x00\x00\x09\x01")
    frame = _read_amqp(connection)
    if frame[:4] != struct.pack("!HH", 10, 10):
        return Greeting(STRANGER)
    found = re.search(rb"\x07versionS.{4}([\d.]+)", frame, re.DOTALL)
    version = found[1].decode() if found else ""
    secret = "\0{}\0{}".format(value("RABBITMQ_USER"), value("RABBITMQ_PASSWORD")).encode()
    start_ok = struct.pack("!HH", 10, 11) + _amqp_table(CAPABILITIES) + b"\x05PLAIN"
    start_ok += struct.pack("!I", len(secret)) + secret + b"\x05en_US"
    connection.sendall(struct.pack("!BHI", 1, 0, len(start_ok)) + start_ok + b"\xce")
    try:
        tuned = _read_amqp(connection)[:4] == struct.pack("!HH", 10, 30)
    except TimeoutError:  # that is no answer: it may be busy
        raise
    except (OSError, struct.error):  # it hangs up on whom it does not know
        tuned = False
    if tuned:
        return Greeting(WELCOME, version)
    return Greeting(REFUSES, version, problem="it does not accept the user and the password")


# Asked for, the refusal comes at once and not after three seconds of silence.
CAPABILITIES = b"\x1cauthentication_failure_close" + b"t\x01"

GREETERS: dict[str, Callable[[socket.socket], Greeting]] = {
    "postgres": _postgres,
    "redis": _redis,
    "mongo": _mongo,
    "rabbitmq": _rabbitmq,
}


def _read_exactly(connection: socket.socket, size: int) -> bytes:
    """Exactly `size` bytes, or an OSError when the other side hangs up before."""
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionError("it hangs up")
        data += piece
    return data


def _read_line(connection: socket.socket) -> bytes:
    """One line with its end, or what there is after 200 bytes."""
    line = b""
    while not line.endswith(b"\n") and len(line) < 200:
        line += _read_exactly(connection, 1)
    return line


def _read_amqp(connection: socket.socket) -> bytes:
    """The payload of one AMQP frame: type, channel, length, payload, end mark."""
    _, _, length = struct.unpack("!BHI", _read_exactly(connection, 7))
    return _read_exactly(connection, min(length, 65536) + 1)[:-1]


def _amqp_table(capabilities: bytes) -> bytes:
    """A client's properties: a table that holds nothing but the table of its capabilities."""
    fields = b"\x0ccapabilitiesF" + struct.pack("!I", len(capabilities)) + capabilities
    return struct.pack("!I", len(fields)) + fields


def _read_message(connection: socket.socket) -> bytes:
    """One MongoDB message, header included."""
    head = _read_exactly(connection, 4)
    return head + _read_exactly(connection, min(struct.unpack("<i", head)[0], 65536) - 4)


def _op_msg(command: bytes, database: bytes) -> bytes:
    """The MongoDB command {command: 1, $db: database} as an OP_MSG; `command` as BSON, by hand."""
    fields = b"\x10" + command + b"\x00" + struct.pack("<i", 1)
    fields += b"\x02$db\x00" + struct.pack("<i", len(database) + 1) + database + b"\x00"
    document = struct.pack("<i", len(fields) + 5) + fields + b"\x00"
    body = struct.pack("<i", 0) + b"\x00" + document
    return struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body
