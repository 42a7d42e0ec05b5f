"""Makes training examples on other machines with tf.data service, without changing the examples or their order.

With several workers, tf.data service either repeats examples or hands them out first come, first served. The second way
loses the order and therefore exact resume. So each machine here runs its own dispatcher with one worker
(`start_server`), which keeps the order. Counters are divided into fixed chunks: with M machines, chunk `i` goes to
machine `i` modulo M, and the chunks are joined again in order. The examples of a run depend neither on the number of
machines nor on their speed, so a run may stop and resume with other machines or with none.

For an undecodable image, a machine sends a placeholder with the counter -1, so chunks stay aligned.
"""

import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

import tensorflow as tf

from farkeras.data.batching import batched
from farkeras.data.reading import IN_FLIGHT
from farkeras.errors import FarkerasError

CHUNK = 16
"""Number of examples that a machine sends at a time."""

_SECONDS_TO_ANSWER = 10

Element = dict[str, tf.Tensor]


def through_servers(
    servers: Sequence[str],
    plan: tf.data.Dataset,
    length: int,
    read: Callable[[Element], Element],
    finish: Callable[[Element], Element],
) -> tf.data.Dataset:
    """Computes `plan.map(read).ignore_errors().map(finish)` on data servers.

    Args:
        servers: Addresses such as "grpc://machine:5050", each of a server that `start_server` started.
        plan: Elements to make, dicts with a `counter`. Every server iterates over the whole plan and makes its share.
        length: Number of elements in `plan`.
        read: Function that adds an `image` to an element of the plan. It may fail.
        finish: Function that does the remaining work. It must keep `counter`.

    Returns:
        A dataset of the finished elements, in the order of the plan.

    Raises:
        FarkerasError: An address is invalid, or a server does not answer.
    """
    for server in servers:
        check_server(server)

    def read_or_placeholder(element: Element) -> Element:
        placeholder = element | {"image": tf.zeros([1, 1, 3], tf.uint8), "counter": tf.constant(-1, tf.int64)}
        one = tf.data.Dataset.from_tensors(element).map(read).ignore_errors(log_warning=False)
        return one.concatenate(tf.data.Dataset.from_tensors(placeholder)).take(1).get_single_element()

    chunks = plan.batch(CHUNK)
    parts = []
    for number, server in enumerate(servers):
        part = chunks.shard(len(servers), number).unbatch()
        part = part.map(read_or_placeholder, IN_FLIGHT).map(finish, IN_FLIGHT)
        part = batched(part, CHUNK, drop_remainder=False).prefetch(tf.data.AUTOTUNE)
        sent = tf.data.experimental.service.distribute(tf.data.experimental.service.ShardingPolicy.OFF, server)
        parts.append(part.apply(sent).prefetch(2))
    turns = tf.data.Dataset.range(-(-length // CHUNK)).map(lambda chunk: chunk % len(servers))
    chunks = tf.data.Dataset.choose_from_datasets(parts, turns, stop_on_empty_dataset=False)
    return chunks.unbatch().filter(lambda element: element["counter"] >= 0)


def check_server(address: str) -> None:
    """Checks that a data server answers. Without this check, a run would wait for it forever.

    Raises:
        FarkerasError: The address is invalid, or nothing answers there.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:  # the port is not a number from 0 to 65535
        host = port = None
    if not host or not port or parts.scheme != "grpc":
        raise FarkerasError(f"`data_service` must list addresses such as grpc://machine:5050. Received: '{address}'.")
    try:
        socket.create_connection((host, port), _SECONDS_TO_ANSWER).close()
    except OSError as error:
        raise FarkerasError(
            f"No data server answers at {address} ({error.strerror or error}). Start it on that machine with "
            f"python -m farkeras.serve_data --port={port}, or remove the address from `data_service`."
        ) from None


class DataServer(NamedTuple):
    """A dispatcher with one worker. They run as long as this object exists.

    Attributes:
        address: Address for the setting `data_service`.
        dispatcher: The dispatcher.
        worker: The worker.
    """

    address: str
    dispatcher: tf.data.experimental.service.DispatchServer
    worker: tf.data.experimental.service.WorkerServer


def start_server(host: str = "localhost", port: int = 0) -> DataServer:
    """Starts a data server in this process.

    Args:
        host: Name by which training machines reach this machine.
        port: Port of the dispatcher; the worker uses the next port. 0 selects two free ports.

    Returns:
        The server. Keep it: the server ends with the object.

    Raises:
        FarkerasError: A port cannot be used, for example because another program uses it.
    """
    for wanted in (port, port + 1) if port else ():
        try:  # gRPC would share the port with another server, and each would answer only some of the calls
            with socket.socket() as free:
                free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # allows a restart right after a server ends
                free.bind(("", wanted))
        except OSError as error:
            raise FarkerasError(
                f"Cannot serve at port {wanted} ({error.strerror}); expected two consecutive free ports. Choose the "
                "first with `port`."
            ) from None
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer(service.DispatcherConfig(port=port))
    own_port = urlsplit(dispatcher.target).port
    worker = service.WorkerServer(
        service.WorkerConfig(
            dispatcher_address=f"localhost:{own_port}",
            worker_address=f"{host}:%port%",
            port=port + 1 if port else 0,
            heartbeat_interval_ms=1000,  # the longest time until the work of a new run begins
        )
    )
    return DataServer(f"grpc://{host}:{own_port}", dispatcher, worker)
