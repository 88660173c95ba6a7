"""MongoDB's wire protocol: bytes from a socket to a command, and a reply back to bytes.

A message is a header of four little-endian 32-bit numbers (length, request id, the id it answers,
opcode) and a body. Clients speak OP_MSG, and for the very first handshake the older OP_QUERY.
Format: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
"""

import itertools
import struct
from asyncio import IncompleteReadError, StreamReader
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import bson
from bson.codec_options import CodecOptions, DatetimeConversion, TypeCodec, TypeRegistry
from bson.decimal128 import Decimal128
from bson.errors import BSONError

Document = dict[str, Any]
HEADER = struct.Struct("<iiii")
INT = struct.Struct("<i")
OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
MAX_MESSAGE_BYTES = 48_000_000
CHECKSUM_PRESENT, MORE_TO_COME, EXHAUST_ALLOWED = 1 << 0, 1 << 1, 1 << 16
KNOWN_FLAGS = CHECKSUM_PRESENT | MORE_TO_COME
REQUIRED_FLAGS = 0xFFFF  # a receiver must understand every one of these bits
MALFORMED = (BSONError, struct.error, ValueError, IndexError, RecursionError)
_request_ids = itertools.count(1)


class DecimalCodec(TypeCodec):
    """Decimal128 as Python's Decimal, which mongomock can compare and add up."""

    python_type = Decimal
    bson_type = Decimal128

    def transform_python(self, value: Decimal) -> Decimal128:
        """To BSON."""
        return Decimal128(value)

    def transform_bson(self, value: Decimal128) -> Decimal:
        """From BSON."""
        return value.to_decimal()


CODEC = CodecOptions[Document](
    datetime_conversion=DatetimeConversion.DATETIME_AUTO,
    type_registry=TypeRegistry([DecimalCodec()]),
)


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set of names."""
    return frozenset(text.split())


class ProtocolError(Exception):
    """The bytes are no message of this protocol; the connection cannot go on."""


@dataclass(frozen=True)
class Request:
    """One command of a client."""

    request_id: int
    opcode: int
    command: Document
    wants_reply: bool = True


async def read_request(reader: StreamReader) -> Request | None:
    """The next command, or None when the client has hung up.

    Raises:
        ProtocolError: a wrong length, an unknown opcode or a body that isn't BSON.
    """
    try:
        header = await reader.readexactly(HEADER.size)
        length, request_id, _, opcode = HEADER.unpack(header)
        if not HEADER.size < length <= MAX_MESSAGE_BYTES:
            raise ProtocolError(f"a message of {length} bytes")
        body = await reader.readexactly(length - HEADER.size)
    except (IncompleteReadError, ConnectionError):
        return None
    try:
        if opcode == OP_MSG:
            return _parse_msg(request_id, body)
        if opcode == OP_QUERY:
            return _parse_query(request_id, body)
    except MALFORMED as problem:
        raise ProtocolError(f"a malformed message: {problem}") from problem
    raise ProtocolError(f"the unknown opcode {opcode}")


def _parse_msg(request_id: int, body: bytes) -> Request:
    """OP_MSG: flags, one section of kind 0 (the command), any of kind 1 (lists of documents)."""
    (flags,) = INT.unpack_from(body)
    if flags & REQUIRED_FLAGS & ~KNOWN_FLAGS:
        raise ProtocolError(f"unknown flags {flags:#x}")
    end = len(body) - (4 if flags & CHECKSUM_PRESENT else 0)
    command: Document = {}
    sequences: dict[str, list[Document]] = {}
    position = INT.size
    while position < end:
        kind, position = body[position], position + 1
        (size,) = INT.unpack_from(body, position)
        section = body[position : position + size]
        if size < INT.size or len(section) != size or position + size > end:
            raise ProtocolError(f"a section of {size} bytes")
        if kind == 0 and not command:
            command = bson.decode(section, CODEC)
        elif kind == 1:
            name, _, documents = section[INT.size :].partition(b"\0")
            sequences[name.decode()] = bson.decode_all(documents, CODEC)
        else:
            raise ProtocolError(f"an unexpected section of kind {kind}")
        position += size
    if not command:
        raise ProtocolError("a message without a command")
    return Request(request_id, OP_MSG, command | sequences, not flags & MORE_TO_COME)


def _parse_query(request_id: int, body: bytes) -> Request:
    """OP_QUERY: flags, collection name, skip, limit, the command."""
    name_end = body.index(b"\0", INT.size)
    start = name_end + 1 + 2 * INT.size
    (size,) = INT.unpack_from(body, start)
    command = bson.decode(body[start : start + size], CODEC)
    database = body[INT.size : name_end].decode().partition(".")[0]
    return Request(request_id, OP_QUERY, {**command, "$db": database})


def encode_reply(request: Request, reply: Document) -> bytes:
    """The reply in the form that answers the request's opcode."""
    document = bson.encode(reply, codec_options=CODEC)
    if request.opcode == OP_QUERY:
        opcode, prefix = OP_REPLY, struct.pack("<iqii", 8, 0, 0, 1)
    else:
        opcode, prefix = OP_MSG, INT.pack(0) + b"\0"
    length = HEADER.size + len(prefix) + len(document)
    header = HEADER.pack(length, next(_request_ids) & 0x7FFFFFFF, request.request_id, opcode)
    return header + prefix + document
