"""The connection between the workers of a run: it gathers values, and finds out when a worker is lost.

TensorFlow's own collectives wait forever for a worker that never comes, deaf to SIGTERM. So the workers first meet
here, over TCP at the address of worker 0, the chief, before TensorFlow takes over that address. The connections stay
open: a process that dies closes them at once, and a machine that vanishes is silent.
"""

import json
import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from farkeras.errors import FarkerasError, Stopped, WorkerLost, first_line
from farkeras.training import messages
from farkeras.training.cluster import Place
from farkeras.training.messages import Message

SECONDS_BETWEEN_BEATS = 5
SECONDS_OF_SILENCE = 60
"""Seconds without a sign of life after which a worker counts as lost."""
SECONDS_TO_RETURN = 20
"""Seconds that TensorFlow gets to return from a computation after a worker was lost; then the process ends."""
_SECONDS_FOR_PORT = 30  # for which the process before may still be ending
_RETRY = 0.5


class Workers:
    """The workers of a run. Without a place, this process is the only one.

    Args:
        place: The place of this process, from `find_place`.
        wait: Seconds to wait for the other workers.

    Attributes:
        number: Number of this worker.
        addresses: `host:port` of each worker, for TensorFlow.
        failure: The sentence about a lost or failed worker; "" as long as all work.
        when_lost: Called with that sentence, in a thread, so that it can make TensorFlow return.

    Raises:
        FarkerasError: The port of this worker is in use.
        WorkerLost: A worker did not come.
    """

    def __init__(self, place: Place | None = None, wait: float = 0) -> None:
        self.number, self.addresses = (place.number, list(place.addresses)) if place else (0, [""])
        self.failure = ""
        self.when_lost: Callable[[str], None] = lambda sentence: None
        self._connections: dict[int, socket.socket] = {}
        self._sending: dict[int, threading.Lock] = {}
        self._inbox: dict[int, queue.Queue[bytes | None]] = {}
        self._failed, self._ended = threading.Event(), threading.Event()
        self._finished: set[int] = set()  # other workers that have ended without an error
        self._exit_code = WorkerLost.exit_code
        if place:
            self._meet(place, time.monotonic() + wait, wait)

    @property
    def count(self) -> int:
        """The number of workers."""
        return len(self.addresses)

    @property
    def chief(self) -> bool:
        """Whether this worker is the chief, which writes all files."""
        return self.number == 0

    def name(self, number: int) -> str:
        """Returns the name of a worker for messages: `worker 1 (machine1:12345)`."""
        return f"worker {number} ({self.addresses[number] or 'unknown address'})"

    def gather(self, values: Message) -> list[Message]:
        """Returns the values of every worker, in their order, on every worker. All must call it in the same order.

        Args:
            values: Arrays and JSON values by name.

        Raises:
            WorkerLost: A worker was lost, or ended with an error.
        """
        if self.count == 1:
            return [values]
        if not self.chief:
            self._send(0, messages.encode(values))
            contents = [self._next(0) for _ in range(self.count)]
        else:
            contents = [messages.encode(values), *(self._next(number) for number in range(1, self.count))]
            for number in self._connections:
                for content in contents:
                    self._send(number, content)
        return [messages.decode(content) for content in contents]

    def from_chief(self, values: Message) -> Message:
        """Returns the values of the chief on every worker; those of the others are not used."""
        if self.count == 1:
            return values
        if not self.chief:
            return messages.decode(self._next(0))
        content = messages.encode(values)
        for number in self._connections:
            self._send(number, content)
        return values

    # Meeting.

    def _meet(self, place: Place, until: float, wait: float) -> None:
        if self.chief:
            self._wait_for_all(until, wait, place.found_by)
        else:
            self._go_to_chief(until, wait, place.found_by)
        for number, connection in self._connections.items():
            connection.settimeout(SECONDS_OF_SILENCE)
            self._inbox[number], self._sending[number] = queue.Queue(), threading.Lock()
            threading.Thread(target=self._listen, args=(number, connection), daemon=True).start()
        threading.Thread(target=self._beat, daemon=True).start()

    def _wait_for_all(self, until: float, wait: float, found_by: str) -> None:
        port = int(self.addresses[0].rpartition(":")[2])
        with _listening(port, time.monotonic() + min(wait, _SECONDS_FOR_PORT), found_by) as server:
            server.settimeout(_RETRY)
            while len(self._connections) < self.count - 1:
                with suppress(TimeoutError):
                    self._welcome(server.accept()[0])
                if time.monotonic() > until:
                    missing = [self.name(n) for n in range(1, self.count) if n not in self._connections]
                    raise _did_not_come(" and ".join(missing), wait, found_by)
        for connection in self._connections.values():
            messages.send(connection, messages.WELCOME, json.dumps(self.addresses).encode())

    def _welcome(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        with suppress(OSError, ValueError, KeyError):  # not a worker of a run
            if messages.exactly(connection, len(messages.MAGIC)) == messages.MAGIC:
                hello = json.loads(messages.receive(connection)[1])
                number = hello["number"]
                if hello["count"] == self.count and 0 < number < self.count:
                    if before := self._connections.get(number):  # it was started again in the meantime
                        before.close()
                    self._connections[number], self.addresses[number] = connection, hello["address"]
                    return
        connection.close()

    def _go_to_chief(self, until: float, wait: float, found_by: str) -> None:
        host, _, port = self.addresses[0].rpartition(":")
        own_host, _, own_port = self.addresses[self.number].rpartition(":")
        if own_port == "0":
            with socket.create_server(("", 0)) as free:
                own_port = str(free.getsockname()[1])
        hello = {"number": self.number, "count": self.count, "address": f"{own_host}:{own_port}"}
        while True:
            connection, why = None, "it does not answer as a run with as many workers"
            try:
                connection = socket.create_connection((host.strip("[]"), int(port)), 5)
                connection.sendall(messages.MAGIC)
                messages.send(connection, messages.HELLO, json.dumps(hello).encode())
                connection.settimeout(_RETRY)
                while (welcome := _try_to_receive(connection)) is None and time.monotonic() < until:
                    pass  # the chief waits for others; a signal may arrive between the tries
                if welcome and welcome[0] == messages.WELCOME:
                    self._connections[0], self.addresses = connection, json.loads(welcome[1])
                    return
            except OSError as error:  # not there yet; a name may not be known yet, either
                why = error.strerror or str(error)
            if connection:
                connection.close()
            if time.monotonic() > until:
                raise _did_not_come(self.name(0), wait, found_by, f" ({why})")
            time.sleep(_RETRY)

    # Exchanging.

    def _send(self, number: int, content: bytes) -> None:
        self._post(number, messages.DATA, content)
        if self.failure:
            raise self.error()

    def _post(self, number: int, kind: bytes, content: bytes = b"") -> None:
        try:
            with self._sending[number]:
                messages.send(self._connections[number], kind, content)
        except OSError as error:
            if number not in self._finished:
                self._fail(_lost(self.name(number), error))

    def _next(self, number: int) -> bytes:
        content = self._inbox[number].get()
        if content is None:
            raise self.error()
        return content

    def _listen(self, number: int, connection: socket.socket) -> None:
        try:
            while True:
                kind, content = messages.receive(connection)
                if kind == messages.DATA:
                    self._inbox[number].put(content)
                elif kind == messages.FAILURE:
                    return self._fail(**json.loads(content))
                elif kind == messages.END:
                    return self._finished.add(number)
        except OSError as error:
            if not self._ended.is_set():
                self._fail(_lost(self.name(number), error))

    def _beat(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_BEATS):
            for number in self._connections:
                self._post(number, messages.BEAT)

    def _fail(self, sentence: str, exit_code: int = WorkerLost.exit_code) -> None:
        """Ends the work of this process, and from the chief that of the other workers, because a worker failed."""
        if self.failure or self._ended.is_set():
            return
        self.failure, self._exit_code = sentence, exit_code
        self._failed.set()
        self._tell(sentence, exit_code)
        for inbox in self._inbox.values():
            inbox.put(None)
        threading.Thread(target=self._end_process, daemon=True).start()
        self.when_lost(sentence)

    def _tell(self, sentence: str, exit_code: int) -> None:
        content = json.dumps({"sentence": sentence, "exit_code": exit_code}).encode()
        for number, connection in self._connections.items():
            # Another thread may be sending to a worker that no longer receives.
            if self._sending[number].acquire(timeout=1):
                with suppress(OSError):
                    messages.send(connection, messages.FAILURE, content)
                self._sending[number].release()

    def _end_process(self) -> None:
        if not self._ended.wait(SECONDS_TO_RETURN):
            logging.getLogger("farkeras").error("error: %s", self.failure)
            os._exit(self._exit_code)

    def failed_within(self, seconds: float) -> bool:
        """Waits until a worker fails, at most some seconds, and returns whether one has."""
        return self._failed.wait(seconds)

    def error(self) -> WorkerLost:
        """Returns the exception for the worker that failed."""
        error = WorkerLost(self.failure)
        error.exit_code = self._exit_code
        return error

    def close(self, error: BaseException | None = None) -> None:
        """Closes the connections. The other workers learn of an error of this one."""
        self._ended.set()
        if error is not None and not self.failure:
            said = first_line(error) if isinstance(error, Exception) else "It was stopped."
            code = error.exit_code if isinstance(error, FarkerasError) else WorkerLost.exit_code
            self._tell(f"{_capital(self.name(self.number))} has ended: {said}", code)
        for connection in self._connections.values():
            with suppress(OSError):
                if error is None:
                    messages.send(connection, messages.END)
                connection.shutdown(socket.SHUT_WR)


@contextmanager
def connected(place: Place | None, wait: float) -> Iterator[Workers]:
    """Connects the workers of a run for the length of the block; see `Workers`.

    Raises:
        WorkerLost: A worker did not come or was lost; in its place may be an error that the loss has caused.
    """
    workers = Workers(place, wait)
    try:
        yield workers
    except Stopped:
        workers.close()
        raise
    except BaseException as error:
        workers.close(error)
        raise
    workers.close()


def _listening(port: int, until: float, found_by: str) -> socket.socket:
    while True:
        try:
            return socket.create_server(("", port))
        except OSError as error:
            if time.monotonic() > until:
                why = os.strerror(error.errno or 0)
                other = (
                    "change the port in TF_CONFIG on every machine"
                    if found_by == "TF_CONFIG"
                    else "start the job step again: its port follows from the numbers of the job and of the step"
                )
                raise FarkerasError(
                    f"Worker 0 cannot use port {port} ({why}); expected a free port. End the other program, or {other}."
                ) from None
        time.sleep(_RETRY)


def _did_not_come(names: str, wait: float, found_by: str, why: str = "") -> WorkerLost:
    return WorkerLost(
        f"{_capital(names)} did not come within {wait:g} seconds{why}. Start the same command for every "
        f"worker of {found_by}, or increase `worker_timeout`."
    )


def _lost(name: str, error: OSError) -> str:
    why = (
        f"no sign of life for {SECONDS_OF_SILENCE} seconds" if isinstance(error, TimeoutError) else "its process ended"
    )
    return (
        f"{_capital(name)} was lost ({why}). Start the same command for every worker again; it continues from the last "
        "checkpoint."
    )


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _try_to_receive(connection: socket.socket) -> tuple[bytes, bytes] | None:
    """Returns the next message, or None if none has begun to arrive yet."""
    try:
        if not connection.recv(1, socket.MSG_PEEK):
            raise ConnectionError("the connection was closed")
    except TimeoutError:
        return None
    return messages.receive(connection)
