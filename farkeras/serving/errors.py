"""Errors that answer a request, with one code for gRPC and REST."""

from http import HTTPStatus

from grpc import StatusCode


class RequestError(Exception):
    """Error that answers a failed request.

    Attributes:
        code: gRPC status code; `http_status` returns the HTTP status for it.
        message: Message to the client.
    """

    def __init__(self, code: StatusCode, message: str):
        super().__init__(message)
        self.code, self.message = code, message


def invalid(message: str) -> RequestError:
    """Returns an INVALID_ARGUMENT error."""
    return RequestError(StatusCode.INVALID_ARGUMENT, message)


_CODES = {code.value[0]: code for code in StatusCode}
_HTTP = {
    StatusCode.CANCELLED: 499,
    StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    StatusCode.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
    StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    StatusCode.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    StatusCode.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    StatusCode.OUT_OF_RANGE: HTTPStatus.BAD_REQUEST,
    StatusCode.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    StatusCode.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}


def http_status(code: StatusCode) -> int:
    """Returns TF Serving's HTTP status for a gRPC code; 500 for the other codes that a model's graph can raise."""
    return int(_HTTP.get(code, HTTPStatus.INTERNAL_SERVER_ERROR))


def code_of_number(number: int) -> StatusCode:
    """Returns the gRPC code with this number; TensorFlow's errors use the same numbers."""
    return _CODES.get(number, StatusCode.UNKNOWN)
