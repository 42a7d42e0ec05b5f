"""Messages between the workers of a run: dicts of arrays and JSON values over TCP."""

import io
import json
import socket
import struct
from typing import Any

import numpy as np

MAGIC = b"farkeras1"
_HEAD = struct.Struct(">cQ")
HELLO, WELCOME, DATA, BEAT, FAILURE, END = (bytes([kind]) for kind in b"HWDBFE")

Message = dict[str, Any]


def encode(values: Message) -> bytes:
    """Encodes arrays and JSON values by name. Nothing is pickled, so a message cannot carry code."""
    named: dict[str, Any] = {
        f"array:{name}" if isinstance(value, np.ndarray) else f"json:{name}": value
        if isinstance(value, np.ndarray)
        else np.frombuffer(json.dumps(value).encode(), np.uint8)
        for name, value in values.items()
    }
    file = io.BytesIO()
    np.savez(file, **named)
    return file.getvalue()


def decode(message: bytes) -> Message:
    """Decodes a message of `encode`."""
    with np.load(io.BytesIO(message), allow_pickle=False) as stored:
        values = {}
        for key in stored:
            kind, _, name = key.partition(":")
            values[name] = stored[key] if kind == "array" else json.loads(stored[key].tobytes())
    return values


def send(connection: socket.socket, kind: bytes, content: bytes = b"") -> None:
    """Sends a message of a kind."""
    connection.sendall(_HEAD.pack(kind, len(content)))
    if content:
        connection.sendall(content)


def receive(connection: socket.socket) -> tuple[bytes, bytes]:
    """Waits for a message and returns its kind and content.

    Raises:
        OSError: The connection was closed or has timed out.
    """
    kind, length = _HEAD.unpack(exactly(connection, _HEAD.size))
    return kind, exactly(connection, length)


def exactly(connection: socket.socket, length: int) -> bytes:
    """Receives `length` bytes.

    Raises:
        OSError: The connection was closed or has timed out.
    """
    content = bytearray(length)
    view, start = memoryview(content), 0
    while start < length:
        got = connection.recv_into(view[start:])
        if not got:
            raise ConnectionError("the connection was closed")
        start += got
    return bytes(content)
