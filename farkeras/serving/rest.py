"""TF Serving's REST interface: its paths and their answers."""

import json
import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from grpc import StatusCode

from farkeras.clients.names import METADATA_FILE
from farkeras.serving.answers import Answers
from farkeras.serving.deadline import Deadline
from farkeras.serving.demo import Demo
from farkeras.serving.errors import RequestError, http_status, invalid
from farkeras.serving.gate import Gate
from farkeras.serving.json_tensors import parse_json, read_inputs, write_outputs
from farkeras.serving.metrics import Metrics
from farkeras.wire.protos import serving_pb2 as pb

PREDICT_SECONDS = 30.0
"""Seconds that a prediction may take: TF Serving's default of `--rest_api_timeout_in_ms`."""


class Response(NamedTuple):
    """HTTP answer.

    Attributes:
        status: HTTP status code.
        body: Content of the answer.
        kind: Content-Type of the answer.
    """

    status: int
    body: bytes
    kind: str = "application/json"


class Rest:
    """Answers HTTP requests; threads may share it."""

    def __init__(self, answers: Answers, metrics: Metrics, gate: Gate):
        self._answers, self._metrics, self._gate, self._demo = answers, metrics, gate, Demo(answers.models)
        model = r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d{1,18})|/labels/(?P<label>[^/:]+))?"
        self._routes: list[tuple[str, re.Pattern, Callable[[re.Match, bytes], Response]]] = [
            ("POST", re.compile(model + ":predict"), self._predict),
            ("GET", re.compile(model), self._status),
            ("GET", re.compile(model + "/metadata"), self._metadata),
            ("GET", re.compile(model + "/farkeras.json"), self._names),
            ("GET", re.compile("/monitoring/prometheus/metrics"), self._prometheus),
            ("GET", re.compile("/"), lambda *_: Response(200, self._demo.page(), "text/html; charset=utf-8")),
            ("GET", re.compile("/demo/example.jpg"), lambda *_: Response(200, self._demo.example(), "image/jpeg")),
            ("GET", re.compile("/demo/model"), self._describe),
            ("POST", re.compile("/demo/(?P<kind>photo|crop)"), self._recognize),
        ]

    def answer(self, method: str, path: str, body: bytes = b"") -> Response:
        """Answers a request; an error becomes an answer, too."""
        try:
            for route_method, pattern, handle in self._routes:
                if method == route_method and (match := pattern.fullmatch(path)):
                    return handle(match, body)
            if path.startswith("/v1/"):
                raise invalid(f"Malformed request: {method} {path}")
            raise RequestError(StatusCode.NOT_FOUND, f"Nothing is served at {path}")
        except RequestError as error:
            return error_response(http_status(error.code), error.message)

    def _predict(self, match: re.Match, body: bytes) -> Response:
        deadline = Deadline.after(PREDICT_SECONDS)

        def predict() -> bytes:
            with self._gate.passed(len(body), deadline):
                values = parse_json(body)
                with self._answers.models.use(_spec(match)) as version:
                    # An unknown signature is FAILED_PRECONDITION, which is 400 as in TF Serving.
                    name, signature = version.signature(values.get("signature_name", ""))
                    outputs = version.predict(name, read_inputs(values, signature), (), deadline)
                return _json(write_outputs(outputs, by_rows="instances" in values))

        return Response(200, self._answers.counted(lambda: match["name"], "Predict", "REST", predict))

    def _status(self, match: re.Match, body: bytes) -> Response:
        def status() -> bytes:
            request = pb.GetModelStatusRequest(model_spec=_spec(match))
            return _json(_fields(self._answers.status(request)), indent=1)

        return Response(200, self._answers.counted(lambda: match["name"], "GetModelStatus", "REST", status))

    def _metadata(self, match: re.Match, body: bytes) -> Response:
        def metadata() -> bytes:
            spec, signatures = self._answers.signatures(_spec(match))
            values = {"model_spec": _fields(spec), "metadata": {"signature_def": _fields(signatures)}}
            return _json(values, indent=1)

        return Response(200, self._answers.counted(lambda: match["name"], "GetModelMetadata", "REST", metadata))

    def _names(self, match: re.Match, body: bytes) -> Response:
        """Answers with the export's metadata: attributes, groups, preprocessing. TF Serving has no such path."""
        with self._answers.models.use(_spec(match)) as version:
            try:
                return Response(200, (version.folder / METADATA_FILE).read_bytes())
            except OSError:
                raise RequestError(
                    StatusCode.NOT_FOUND, f"Version {version.number} of {match['name']} has no {METADATA_FILE}"
                ) from None

    def _describe(self, match: re.Match, body: bytes) -> Response:
        """Describes the model of the demo page."""
        answer = self._answers.counted(lambda: "", "Demo", "REST", lambda: _json(self._demo.describe()))
        return Response(200, answer)

    def _recognize(self, match: re.Match, body: bytes) -> Response:
        """Answers a request of the demo page."""
        deadline = Deadline.after(PREDICT_SECONDS)

        def recognize() -> bytes:
            with self._gate.passed(len(body), deadline):
                return _json(self._demo.recognize(body, match["kind"] == "photo", deadline))

        return Response(200, self._answers.counted(lambda: "", "Demo", "REST", recognize))

    def _prometheus(self, match: re.Match, body: bytes) -> Response:
        return Response(200, self._metrics.text(), "text/plain; version=0.0.4")


def error_response(status: int, message: str) -> Response:
    """Returns an error in TF Serving's JSON form."""
    return Response(status, _json({"error": message}))


def _spec(match: re.Match) -> pb.ModelSpec:
    spec = pb.ModelSpec(name=match["name"])
    if match["version"]:
        spec.version.value = int(match["version"])
    elif match["label"]:
        spec.version_label = match["label"]
    return spec


def _fields(message: Message) -> dict[str, object]:
    """Converts a message to JSON values as TF Serving does: 64-bit numbers become text."""
    # True, True: include all fields, under their original names. protobuf 5 renamed the first of these parameters, so
    # both are passed by position.
    return MessageToDict(message, True, True)


def _json(values: Mapping[str, object], indent: int | None = None) -> bytes:
    return json.dumps(values, indent=indent, separators=None if indent else (",", ":")).encode()
