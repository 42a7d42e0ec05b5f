"""HTTP server for `Rest`, with one thread per connection and limits for slow clients."""

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
"""Seconds for which a connection may be silent, and within which a request must arrive."""

MAX_BYTES = 2**28
"""Size limit in bytes for chunked and gzip content, whose size is not known beforehand."""

_LINGER_SECONDS = 2.0


class _Gone(Exception):
    """The client closed the connection before its request was complete."""


class _Refused(Exception):
    """The server does not read a request. The arguments are the HTTP status and the message."""


class HttpServer(ThreadingHTTPServer):
    """HTTP server that listens as soon as it is created, and answers requests between `start` and `stop`.

    Attributes:
        port: Port that the server listens on.
    """

    daemon_threads = True  # an idle connection must not delay the end of the process
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, rest: Rest, host: str, port: int):
        """Opens the port; 0 chooses a free port. Raises `FarkerasError` if the port is not free."""
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise FarkerasError(
                f"Cannot listen on {host}:{port} ({error.strerror}); expected a free port. Choose another port with "
                "`rest_api_port`."
            ) from None
        self.rest, self.port = rest, self.server_address[1]
        self._idle, self._active = threading.Condition(), 0

    def start(self) -> None:
        """Begins to answer requests, in other threads."""
        threading.Thread(target=self.serve_forever, args=(0.1,), daemon=True).start()

    def stop(self, grace_seconds: float) -> None:
        """Accepts no new connections, and waits up to `grace_seconds` until the pending requests are answered."""
        self.shutdown()
        self.socket.close()
        with self._idle:
            self._idle.wait_for(lambda: not self._active, grace_seconds)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Counts a request as pending inside the block; `stop` waits until the block ends."""
        with self._idle:
            self._active += 1
        try:
            yield
        finally:
            with self._idle:
                self._active -= 1
                self._idle.notify_all()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignores the error: a client that disconnects is not a fault of the server."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    wbufsize = -1  # send headers and body together: sent separately, the body could wait for an acknowledgement
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
                self.close_connection = True  # the rest of the request may still arrive
                self._send(body)
            elif body is not None:
                self._send(self.server.rest.answer("POST", self.path.partition("?")[0], body))
            self.wfile.flush()

    def _body(self) -> bytes | Response | None:
        """Returns the request's content, an answer that refuses it, or None if the client has disconnected."""
        encoding = self.headers.get("Content-Encoding", "identity").lower()
        if encoding not in ("identity", "gzip"):
            return error_response(415, f"Expected Content-Encoding identity or gzip. Received: {encoding}")
        length = self.headers.get("Content-Length", "")
        chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        if not chunked and not (length.isascii() and length.isdigit()):
            return error_response(411, "Expected a Content-Length header, or Transfer-Encoding: chunked")
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
        """Reads `length` bytes of the request."""
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
        """Reads chunked content; a line with its length precedes each chunk (RFC 9112, section 7.1)."""
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
                raise _Refused(400, "Malformed chunk: its data is longer than the stated length")
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
        """Sends the base class's errors in the same form as all other errors."""
        self.close_connection = True
        self.request_version = self.protocol_version  # not HTTP/0.9, whose answers have no headers
        self._send(error_response(int(code), message or "Malformed HTTP request"))

    def finish(self) -> None:
        """Closes the connection so that the last answer arrives; closing it with unread input would reset it."""
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
        """Logs nothing, because the metrics count the requests."""


def _unzipped(body: bytes) -> bytes:
    """Decompresses content that is one gzip member."""
    unzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = unzip.decompress(body, MAX_BYTES)
    except zlib.error:
        raise _Refused(400, "The content is not gzip, although its Content-Encoding says so") from None
    if unzip.unconsumed_tail:
        raise _Refused(413, f"The content is larger than {MAX_BYTES} bytes")
    if not unzip.eof:
        raise _Refused(400, "The gzip content is truncated")
    return content
