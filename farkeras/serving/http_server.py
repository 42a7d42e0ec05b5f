"""HTTP for `Rest`: a thread for each connection, and limits for slow clients."""

import re
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from farkeras.errors import FarkerasError
from farkeras.serving.rest import Response, Rest, error_response

IDLE_SECONDS = 30.0
"""Time that a connection may be silent, and that a request may take to arrive."""

MAX_BYTES = 2**28
"""Largest content that comes in chunks or as gzip, whose size is not said beforehand."""

_LINGER_SECONDS = 2.0


class _Gone(Exception):
    """The client closed the connection within its request."""


class _Refused(Exception):
    """Why a request is not read: HTTP's status and the message."""


class HttpServer(ThreadingHTTPServer):
    """Listens from the beginning; `start` begins to answer, `stop` ends it.

    Attributes:
        port: Its port.
    """

    daemon_threads = True  # an idle connection must not hold up the end
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, rest: Rest, host: str, port: int):
        """Opens the port, 0 for any free one; raises `FarkerasError` if it is not free."""
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise FarkerasError(
                f"Cannot listen at {host}:{port} ({error.strerror}); expected a free port. Name another one with "
                "`rest_api_port`."
            ) from None
        self.rest, self.port = rest, self.server_address[1]
        self._idle, self._active = threading.Condition(), 0

    def start(self) -> None:
        """Begins to answer, in other threads."""
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()

    def stop(self, grace_seconds: float) -> None:
        """Accepts no new connection and waits for the answers to the requests so far."""
        self.shutdown()
        self.socket.close()
        with self._idle:
            self._idle.wait_for(lambda: not self._active, grace_seconds)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """A request for whose answer `stop` waits."""
        with self._idle:
            self._active += 1
        try:
            yield
        finally:
            with self._idle:
                self._active -= 1
                self._idle.notify_all()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is not an error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    wbufsize = -1  # headers and body leave in one piece: two would wait for each other's acknowledgement
    disable_nagle_algorithm = True
    server: HttpServer

    def do_GET(self) -> None:
        self._send(self.server.rest.answer("GET", self.path.partition("?")[0]))

    def do_HEAD(self) -> None:
        self._send(self.server.rest.answer("GET", self.path.partition("?")[0]))

    def do_POST(self) -> None:
        with self.server.answering():
            body = self._body()
            if isinstance(body, Response):
                self.close_connection = True  # the rest of the request may still come
                self._send(body)
            elif body is not None:
                self._send(self.server.rest.answer("POST", self.path.partition("?")[0], body))
            self.wfile.flush()

    def _body(self) -> bytes | Response | None:
        """The request's content, or an answer that says why it is not read; None where the client has gone."""
        encoding = self.headers.get("Content-Encoding", "identity").lower()
        if encoding not in ("identity", "gzip"):
            return error_response(415, f"Expected the content as it is or as gzip; received {encoding}")
        length = self.headers.get("Content-Length", "")
        chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        if not chunked and not (length.isascii() and length.isdigit()):
            return error_response(411, "Expected a Content-Length, or Transfer-Encoding: chunked")
        end = time.monotonic() + IDLE_SECONDS
        try:
            body = self._chunks(end) if chunked else self._read(int(length), end)
            return _unzipped(body) if encoding == "gzip" else body
        except _Gone:
            self.close_connection = True
            return None
        except _Refused as refused:
            return error_response(*refused.args)

    def _read(self, length: int, end: float) -> bytes:
        """So many bytes of the request."""
        body = bytearray()
        while left := length - len(body):
            if time.monotonic() > end:
                raise _Refused(408, f"The request took longer than {IDLE_SECONDS:g} s to arrive")
            part = self.rfile.read1(min(left, 2**20))
            if not part:
                raise _Gone
            body += part
        return bytes(body)

    def _chunks(self, end: float) -> bytes:
        """Content in chunks, each after a line with its length (RFC 9112, 7.1)."""
        body = bytearray()
        while True:
            line = self.rfile.readline(1024)
            digits = line.split(b";")[0].strip()
            if not line.endswith(b"\n") or not re.fullmatch(rb"[0-9a-fA-F]{1,8}", digits):
                raise _Refused(400, "Malformed chunk: expected its length in hexadecimal digits")
            if not (length := int(digits, 16)):
                break
            if len(body) + length > MAX_BYTES:
                raise _Refused(413, f"The content is larger than {MAX_BYTES} bytes")
            body += self._read(length, end)
            if self.rfile.readline(3) not in (b"\r\n", b"\n"):
                raise _Refused(400, "Malformed chunk: longer than its length")
        while self.rfile.readline(65536).strip():  # trailers
            pass
        return bytes(body)

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.kind)
        self.send_header("Content-Length", str(len(response.body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refusals of the base class, in the same form as all others."""
        self.close_connection = True
        self.request_version = self.protocol_version  # an unreadable request counts as HTTP/0.9, without headers
        self._send(error_response(int(code), message or "Malformed HTTP request"))

    def finish(self) -> None:
        """Ends a connection so that the last answer arrives: closing with unread input would reset it instead."""
        super().finish()
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(_LINGER_SECONDS)
            end = time.monotonic() + _LINGER_SECONDS
            while self.connection.recv(2**16) and time.monotonic() < end:
                pass

    def version_string(self) -> str:
        return "farkeras"

    def log_message(self, *arguments: object) -> None:
        """The metrics count."""


def _unzipped(body: bytes) -> bytes:
    """The content of a gzip file in one part."""
    unzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = unzip.decompress(body, MAX_BYTES)
    except zlib.error:
        raise _Refused(400, "The content is not gzip, as its Content-Encoding says") from None
    if unzip.unconsumed_tail:
        raise _Refused(413, f"The content is larger than {MAX_BYTES} bytes")
    if not unzip.eof:
        raise _Refused(400, "The content is gzip that was cut off")
    return content
