"""Requests that no client should send, and their proper answers."""

import asyncio
import base64
import json
import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import grpc
import numpy as np

from farkeras.clients.grpc_client import PREDICT
from farkeras.wire.protos import serving_pb2 as pb
from farkeras.wire.tensors import to_proto
from loadtest.load import code_of


class Hostile(NamedTuple):
    """Hostile request.

    Attributes:
        name: What is wrong with the request.
        send: Sends the request and returns the answer: the name of a gRPC code, an HTTP status, "closed" if the server
            closed the connection, or "gone" if the client did.
        proper: Answers that are correct.
    """

    name: str
    send: Callable[[], Awaitable[str]]
    proper: tuple[str, ...]


def hostile_requests(address: str, rest_address: str, model: str, photo: bytes, large: int = 2**26) -> list[Hostile]:
    """Returns one hostile request of each kind.

    Args:
        address: Address of the gRPC server, as host:port.
        rest_address: Address of the REST server, as host:port.
        model: Name of a model on the server; an export of `farkeras.exporters.saved_model`.
        photo: A valid JPEG file.
        large: Size of the largest requests in bytes.
    """
    random = np.random.default_rng(0)
    path = f"/v1/models/{model}:predict"

    def rpc(name: str, content: bytes, *proper: str) -> Hostile:
        return Hostile(name, lambda: _rpc(address, content), proper or ("INVALID_ARGUMENT",))

    def tensor(name: str, signature: str, key: str, value: np.ndarray | pb.TensorProto) -> Hostile:
        request = pb.PredictRequest(model_spec=pb.ModelSpec(name=model, signature_name=signature))
        request.inputs[key].CopyFrom(value if isinstance(value, pb.TensorProto) else to_proto(value))
        return rpc(name, request.SerializeToString())

    def files(name: str, *contents: bytes) -> Hostile:
        return tensor(name, "", "bytes", np.array(list(contents), object))

    def post(name: str, body: bytes) -> Hostile:
        return Hostile(name, lambda: _post(rest_address, path, body), ("400",))

    endless = pb.TensorProto(dtype=pb.DT_FLOAT, float_val=[0], tensor_shape={"dim": [{"size": 2**50}]})
    base64_photo = base64.b64encode(photo[: len(photo) // 3]).decode()
    return [
        files("truncated JPEG", photo[: len(photo) // 3]),
        files("JPEG that claims 65,500 x 65,500 pixels", _jpeg_bomb(photo)),
        files("PNG of 12,000 x 12,000 pixels in 140 KB", _png_bomb(12000)),
        files("many files, none an image", *(random.bytes(1000) for _ in range(100))),
        files("large file that is not an image", bytes(large)),
        tensor("wrong dtype", "", "bytes", np.zeros(3, np.float32)),
        tensor("wrong rank", "images", "images", np.zeros((9, 9, 3), np.uint8)),
        tensor("wrong size", "tensors", "images", np.zeros((1, 5, 5, 3), np.float32)),
        tensor("large tensor of the wrong dtype", "images", "images", np.zeros(large // 4, np.float32)),
        tensor("tensor with a shape of 4 PiB", "tensors", "images", endless),
        rpc("random bytes for a message", random.bytes(5000), "INTERNAL", "INVALID_ARGUMENT"),
        rpc("large random bytes for a message", random.bytes(large), "INTERNAL", "INVALID_ARGUMENT"),
        Hostile("call without a message", lambda: _silent_call(address), ("CANCELLED", "DEADLINE_EXCEEDED")),
        post("truncated JPEG over REST", json.dumps({"instances": [{"b64": base64_photo}]}).encode()),
        post("half a JSON", b'{"instances": [{"b64": "'),
        post("JSON nested 100,000 deep", b'{"instances": ' + b"[" * 100_000),
        post("large list of JSON numbers", b'{"instances": [' + b"1.5," * (large // 4) + b"1]}"),
        Hostile("random bytes for HTTP", lambda: _raw(rest_address, random.bytes(500) + b"\r\n\r\n"), ("400",)),
        Hostile("half a body, then silence", lambda: _slow_body(rest_address, path), ("gone",)),
    ]


async def _rpc(address: str, content: bytes) -> str:
    async with grpc.aio.insecure_channel(address, options=[("grpc.max_send_message_length", -1)]) as channel:
        return await code_of(channel.unary_unary(PREDICT)(content, timeout=120))


async def _silent_call(address: str) -> str:
    """Opens a call, sends nothing, and ends the call after a second."""
    async with grpc.aio.insecure_channel(address) as channel:
        return await code_of(channel.stream_unary(PREDICT)(timeout=1))


async def _post(address: str, path: str, body: bytes) -> str:
    head = f"POST {path} HTTP/1.1\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
    return await _raw(address, head, body)


async def _raw(address: str, *parts: bytes) -> str:
    """Sends bytes, and returns the HTTP status of the answer."""
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        for part in parts:
            writer.write(part)
        await writer.drain()
        line = await asyncio.wait_for(reader.readline(), 120)
        return line.split()[1].decode() if line else "closed"
    finally:
        writer.close()


async def _slow_body(address: str, path: str) -> str:
    """Sends half of a request, and closes the connection after a second without an answer."""
    half = f"POST {path} HTTP/1.1\r\nContent-Length: 1000\r\n\r\n{{".encode()
    try:
        return await asyncio.wait_for(_raw(address, half), 1)
    except TimeoutError:
        return "gone"


def _jpeg_bomb(photo: bytes) -> bytes:
    """Returns the photograph with a huge size in its header."""
    frame = photo.index(b"\xff\xc0")  # marker, length (2), precision (1), height (2), width (2)
    return photo[: frame + 5] + struct.pack(">HH", 65500, 65500) + photo[frame + 9 :]


def _png_bomb(side: int) -> bytes:
    """Returns a PNG of a black square that is a small file and a large image."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    compressor = zlib.compressobj(9)
    rows = b"".join(compressor.compress(bytes(1 + side)) for _ in range(side)) + compressor.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
