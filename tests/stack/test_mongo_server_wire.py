"""Bytes that are no message end one connection, never the server."""

import random
import socket
import struct
from collections.abc import Iterator
from typing import Any

import bson
import pytest
from pymongo import MongoClient

from course.stack.mongo_server.wire import MAX_MESSAGE_BYTES
from tests.stack.mongo_process import running_server

HEADER = struct.Struct("<iiii")
OP_MSG = 2013
PING = {"ping": 1, "$db": "admin"}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_server() as (_, address):
        yield address


def packed(body: bytes, opcode: int = OP_MSG, length: int | None = None) -> bytes:
    return HEADER.pack(length or 16 + len(body), 7, 0, opcode) + body


def section(document: dict[str, Any], flags: int = 0) -> bytes:
    return struct.pack("<I", flags) + b"\0" + bson.encode(document)


def sent(url: str, message: bytes) -> bytes:
    """What the server answers until it hangs up or has sent one reply; b"" if nothing."""
    host, port = url.removeprefix("mongodb://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        connection.sendall(message)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while chunk := connection.recv(65536):
                answer += chunk
        except ConnectionError:
            pass
    return answer


def replied(answer: bytes) -> dict[str, Any]:
    length, _, answers, opcode = HEADER.unpack_from(answer)
    assert (len(answer), answers, opcode) == (length, 7, OP_MSG)
    return bson.decode(answer[16 + 4 + 1 :])


def still_serves(url: str) -> bool:
    with MongoClient[dict[str, Any]](url, serverSelectionTimeoutMS=5000) as client:
        return bool(client.admin.command("ping")["ok"] == 1.0)


def nested(depth: int) -> bytes:
    """A document in a document in a document …"""
    document = bson.encode({})
    for _ in range(depth):
        document = struct.pack("<i", len(document) + 8) + b"\3a\0" + document + b"\0"
    return document


BAD_MESSAGES = {
    "a negative length": HEADER.pack(-5, 7, 0, OP_MSG),
    "a length shorter than the header": HEADER.pack(8, 7, 0, OP_MSG),
    "a length over the maximum": HEADER.pack(MAX_MESSAGE_BYTES + 1, 7, 0, OP_MSG),
    "a header cut off": packed(section(PING))[:11],
    "a body cut off": packed(section(PING))[:-4],
    "an unknown opcode": packed(section(PING), opcode=4242),
    "compression, which was not agreed on": packed(section(PING), opcode=2012),
    "unknown flags that a receiver must know": packed(section(PING, flags=1 << 5)),
    "an unknown kind of section": packed(struct.pack("<I", 0) + b"\7" + bson.encode(PING)),
    "no section": packed(struct.pack("<I", 0)),
    "an empty body": packed(b""),
    "two commands": packed(section(PING) + b"\0" + bson.encode(PING)),
    "BSON with a wrong length": packed(struct.pack("<I", 0) + b"\0" + b"\xff\xff\0\0\0"),
    "BSON that is rubbish": packed(struct.pack("<I", 0) + b"\0\x0a\0\0\0abcde\0"),
    "BSON nested beyond reason": packed(struct.pack("<I", 0) + b"\0" + nested(5000)),
    "an empty command": packed(section({})),
    "an OP_QUERY without its parts": packed(b"\0\0\0\0admin", opcode=2004),
}


@pytest.mark.parametrize("what", BAD_MESSAGES)
def test_a_malformed_message_closes_the_connection_only(url: str, what: str) -> None:
    assert sent(url, BAD_MESSAGES[what]) == b""
    assert still_serves(url)


def test_a_checksum_is_tolerated(url: str) -> None:
    assert replied(sent(url, packed(section(PING, flags=1) + b"\1\2\3\4")))["ok"] == 1.0


def test_the_old_handshake_is_answered(url: str) -> None:
    command = b"\0\0\0\0admin.$cmd\0" + struct.pack("<ii", 0, -1) + bson.encode({"isMaster": 1})
    answer = sent(url, packed(command, opcode=2004))
    assert HEADER.unpack_from(answer)[3] == 1
    assert bson.decode(answer[36:])["ismaster"] is True


def test_more_to_come_gets_no_reply(url: str) -> None:
    assert sent(url, packed(section(PING, flags=2))) == b""


def test_a_document_over_16_mib_is_refused(url: str) -> None:
    command = {"insert": "t", "$db": "test", "documents": [{"_id": 1, "x": "x" * (16 * 2**20)}]}
    (error,) = replied(sent(url, packed(section(command))))["writeErrors"]
    assert error["code"] == 10334


ODD_COMMANDS: list[dict[str, Any]] = [
    {"find": 1},
    {"find": "t", "filter": 5},
    {"find": "t", "limit": "x"},
    {"find": "t", "sort": [1]},
    {"find": ""},
    {"insert": "t"},
    {"insert": "t", "documents": [5]},
    {"insert": "t", "documents": "abc"},
    {"update": "t", "updates": [{}]},
    {"update": "t", "updates": [{"q": {}, "u": 5}]},
    {"delete": "t", "deletes": [{"q": 5, "limit": 0}]},
    {"aggregate": "t", "pipeline": [5], "cursor": {}},
    {"aggregate": "t", "pipeline": [{"$group": 5}], "cursor": {}},
    {"aggregate": "t", "pipeline": [{"$lookup": 5}], "cursor": {}},
    {"getMore": "x", "collection": "t"},
    {"getMore": 12345, "collection": "t"},
    {"killCursors": "t", "cursors": 5},
    {"createIndexes": "t", "indexes": 5},
    {"createIndexes": "t", "indexes": [5]},
    {"findAndModify": "t"},
    {"distinct": "t"},
    {"aggregate": "t", "pipeline": [{"$project": {"x": {"$map": {"input": "$a"}}}}], "cursor": {}},
    {"aggregate": "t", "pipeline": [{"$project": {"x": {"$cond": {"if": 1}}}}], "cursor": {}},
    {"$db": "test"},
    {"": 1},
]


@pytest.mark.parametrize("command", ODD_COMMANDS, ids=lambda command: str(command)[:60])
def test_an_odd_command_is_answered_with_an_error(url: str, command: dict[str, Any]) -> None:
    reply = replied(sent(url, packed(section({**command, "$db": "odd"}))))
    assert reply["ok"] == 0.0 or reply["writeErrors"]
    assert still_serves(url)


def test_random_bytes_never_stop_the_server(url: str, seed: int) -> None:
    rng = random.Random(seed)
    valid = packed(section({"find": "t", "$db": "test", "filter": {"a": 1}}))
    for _ in range(150):
        broken = bytearray(valid)
        for _ in range(rng.randint(1, 6)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        sent(url, bytes(broken[: rng.randint(1, len(broken))]))
        sent(url, rng.randbytes(rng.randint(1, 80)))
    assert still_serves(url)
