"""A server that speaks TF Serving's gRPC and REST without a model: it tells of every file how long it is."""

import base64
import json
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import numpy as np

from farkeras.wire.protos import serving_pb2 as pb
from farkeras.wire.tensors import to_array, to_proto

NAMES = {"attributes": ["a", "b", "c"], "groups": {"first": ["c", "a"], "second": ["b"]}, "procedural": True}
VERSION = 7
_HTTP = {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "UNAVAILABLE": 503, "INTERNAL": 500}


class Refused(Exception):
    """An error to answer with: gRPC's name of the code, and details."""


class FakeModel:
    """What both interfaces ask.

    Attributes:
        requests: Files of each request that came, refused ones included.
        headers: Of the last request, names in lower case.
        asked_for: Model, version and label of the last request.
        refusals: Codes and details to answer the next requests with.
        extra: More outputs, by name.
        knows_names: Whether it tells the names of the attributes, over REST.
        states: Version -> state and error, of the next questions for the status; the last one remains.
    """

    def __init__(self):
        self.requests, self.headers, self.asked_for = [], {}, None
        self.refusals, self.extra, self.knows_names = [], {}, True
        self.states = [{VERSION: ("AVAILABLE", "")}]
        self.may_answer = threading.Event()
        self.may_answer.set()

    def predict(self, files):
        self.requests.append(files)
        self.may_answer.wait(10)
        if self.refusals:
            raise Refused(*self.refusals.pop(0))
        valid = np.array([not file.startswith(b"bad") for file in files])
        if not valid.any():
            raise Refused("INVALID_ARGUMENT", "assertion failed: [No image of the request can be decoded: JPEG ...]")
        probabilities = np.array([[len(file) / 1000 + k / 10 for k in range(3)] for file in files], np.float32)
        probabilities[~valid] = np.nan
        return {"probabilities": probabilities, "valid": valid, **self.extra}

    def status(self):
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


@contextmanager
def serve(kind, model, port=0, tls=None):
    """Serves over "grpc" or "rest" at a port of this machine, encrypted with the files (certificate, key) of `tls`.

    Gives the address: 127.0.0.1, because another process may have the port on the other address of localhost. The
    certificates are those of localhost.
    """
    host = "localhost" if tls else "127.0.0.1"
    with (_grpc if kind == "grpc" else _rest)(model, host, port, tls) as port:
        yield f"{host}:{port}"


@contextmanager
def _grpc(model, host, port, tls):
    def asked(request, context):
        model.headers, spec = dict(context.invocation_metadata()), request.model_spec
        model.asked_for = (spec.name, spec.version.value if spec.HasField("version") else None, spec.version_label)

    def predict(request, context):
        asked(request, context)
        try:
            outputs = model.predict(to_array(request.inputs["bytes"]).tolist())
        except Refused as refused:
            code, details = refused.args
            context.abort(grpc.StatusCode[code], details)
        response = pb.PredictResponse(outputs={k: to_proto(v, packed=False) for k, v in outputs.items()})
        response.model_spec.version.value = VERSION
        return response

    def status(request, context):
        asked(request, context)
        versions = [
            pb.ModelVersionStatus(version=number, state=state, status=pb.StatusProto(error_message=error))
            for number, (state, error) in model.status().items()
        ]
        return pb.GetModelStatusResponse(model_version_status=versions)

    def handlers(service, name, method, request):
        handler = grpc.unary_unary_rpc_method_handler(method, request.FromString, lambda m: m.SerializeToString())
        return grpc.method_handlers_generic_handler(f"tensorflow.serving.{service}", {name: handler})

    # Without SO_REUSEPORT, or two servers could be given the same free port.
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers(
        (
            handlers("PredictionService", "Predict", predict, pb.PredictRequest),
            handlers("ModelService", "GetModelStatus", status, pb.GetModelStatusRequest),
        )
    )
    if tls:
        certificate, key = (path.read_bytes() for path in tls)
        port = server.add_secure_port(f"{host}:{port}", grpc.ssl_server_credentials([(key, certificate)]))
    else:
        port = server.add_insecure_port(f"{host}:{port}")
    server.start()
    yield port
    model.may_answer.set()
    server.stop(None).wait()


@contextmanager
def _rest(model, host, port, tls):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self._asked()
            if self.path.endswith("/farkeras.json"):
                return self._answer(200, NAMES) if model.knows_names else self._answer(404, {})
            versions = [
                {"version": str(number), "state": state, "status": {"error_code": "OK", "error_message": error}}
                for number, (state, error) in model.status().items()
            ]
            return self._answer(200, {"model_version_status": versions})

        def do_POST(self):
            self._asked()
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                outputs = model.predict([base64.b64decode(file["b64"]) for file in body["inputs"]["bytes"]])
            except Refused as refused:
                code, details = refused.args
                return self._answer(_HTTP[code], {"error": details})
            return self._answer(200, {"outputs": {k: v.tolist() for k, v in outputs.items()}})

        def _asked(self):
            model.headers = {name.lower(): value for name, value in self.headers.items()}
            name, *rest = self.path.removeprefix("/v1/models/").removesuffix(":predict").split("/")
            rest = dict(zip(rest[::2], rest[1::2], strict=False))
            version = int(rest["versions"]) if "versions" in rest else None
            model.asked_for = (name, version, rest.get("labels", ""))

        def _answer(self, status, values):
            body = json.dumps(values).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    model.may_answer.set()
    server.shutdown()
    server.server_close()
    thread.join()
