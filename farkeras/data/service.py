"""Training examples made on other machines, by tf.data service: the same ones in the same order.

tf.data service with several workers either repeats examples or hands them out first come, first served, which gives up
the order and with it the exact resume. So each machine here has a dispatcher of its own with one worker
(`start_server`), which keeps the order of what it is asked for. Counters are dealt out in fixed chunks, chunk `i` to
machine `i` modulo their number, and the chunks are put together again in turn. What a run sees depends neither on the
number of machines nor on their speed: a run may stop and go on with other machines, or with none.

A machine that fails to decode an image sends a stand-in with the counter -1 in its place, so chunks stay aligned.
"""

import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

import tensorflow as tf

from farkeras.data.reading import IN_FLIGHT
from farkeras.errors import FarkerasError

CHUNK = 16
"""Examples that a machine sends at a time."""

_SECONDS_TO_ANSWER = 10

Element = dict[str, tf.Tensor]


def through_servers(
    servers: Sequence[str],
    plan: tf.data.Dataset,
    length: int,
    read: Callable[[Element], Element],
    finish: Callable[[Element], Element],
) -> tf.data.Dataset:
    """What `plan.map(read).ignore_errors().map(finish)` gives, made by servers.

    Args:
        servers: Addresses such as "grpc://machine:5050", each of one `start_server`.
        plan: What is to be made, dicts with a `counter`; every server goes through it and makes its share.
        length: How much that is.
        read: An element of the plan -> the same and an `image`; may fail.
        finish: The rest of the work; keeps `counter`.

    Raises:
        FarkerasError: A server does not answer.
    """
    for server in servers:
        check_server(server)

    def read_or_stand_in(element: Element) -> Element:
        stand_in = element | {"image": tf.zeros([1, 1, 3], tf.uint8), "counter": tf.constant(-1, tf.int64)}
        one = tf.data.Dataset.from_tensors(element).map(read).ignore_errors(log_warning=False)
        return one.concatenate(tf.data.Dataset.from_tensors(stand_in)).take(1).get_single_element()

    chunks = plan.batch(CHUNK)
    parts = []
    for number, server in enumerate(servers):
        part = chunks.shard(len(servers), number).unbatch()
        part = part.map(read_or_stand_in, IN_FLIGHT).map(finish, IN_FLIGHT).batch(CHUNK).prefetch(tf.data.AUTOTUNE)
        sent = tf.data.experimental.service.distribute(tf.data.experimental.service.ShardingPolicy.OFF, server)
        parts.append(part.apply(sent).prefetch(2))
    turns = tf.data.Dataset.range(-(-length // CHUNK)).map(lambda chunk: chunk % len(servers))
    chunks = tf.data.Dataset.choose_from_datasets(parts, turns, stop_on_empty_dataset=False)
    return chunks.unbatch().filter(lambda element: element["counter"] >= 0)


def check_server(address: str) -> None:
    """Finds out at once what a run would wait for without an end.

    Raises:
        FarkerasError: Not an address, or nothing answers there.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:  # the port is no number
        host = port = None
    if not host or not port or parts.scheme != "grpc":
        raise FarkerasError(f"`data_service` holds '{address}'; expected addresses such as grpc://machine:5050.")
    try:
        socket.create_connection((host, port), _SECONDS_TO_ANSWER).close()
    except OSError as error:
        raise FarkerasError(
            f"No data server answers at {address} ({error.strerror or error}). Start it on that machine with "
            f"python -m farkeras.serve_data --port={port}, or take it out of `data_service`."
        ) from None


class DataServer(NamedTuple):
    """A dispatcher with one worker; they run until the object is gone.

    Attributes:
        address: What the setting `data_service` takes.
        dispatcher: The dispatcher.
        worker: The worker.
    """

    address: str
    dispatcher: tf.data.experimental.service.DispatchServer
    worker: tf.data.experimental.service.WorkerServer


def start_server(host: str = "localhost", port: int = 0) -> DataServer:
    """Starts a server in this process.

    Args:
        host: The name by which training machines reach this one.
        port: Of the dispatcher; the worker has the next one. 0: any two that are free.

    Raises:
        FarkerasError: A port is taken.
    """
    for wanted in (port, port + 1) if port else ():
        try:  # gRPC itself would share a port with another server and answer every other call
            with socket.socket() as free:
                free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # soon after another server has ended
                free.bind(("", wanted))
        except OSError as error:
            raise FarkerasError(
                f"Cannot serve at port {wanted} ({error.strerror}); expected two free ports, one after the other. "
                "Name the first with `port`."
            ) from None
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer(service.DispatcherConfig(port=port))
    own_port = urlsplit(dispatcher.target).port
    worker = service.WorkerServer(
        service.WorkerConfig(
            dispatcher_address=f"localhost:{own_port}",
            worker_address=f"{host}:%port%",
            port=port + 1 if port else 0,
            heartbeat_interval_ms=1000,  # how soon a new run's work begins
        )
    )
    return DataServer(f"grpc://{host}:{own_port}", dispatcher, worker)
