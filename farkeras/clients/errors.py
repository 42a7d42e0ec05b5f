"""The error of a failed request."""

from farkeras.errors import FarkerasError

_HINTS = {
    "UNAVAILABLE": "Check that the server is up and the address is right.",
    "DEADLINE_EXCEEDED": "Set a longer `timeout`, or send fewer images in a request.",
    "NOT_FOUND": "The server does not serve this model or version; its model status lists what it serves.",
    "UNAUTHENTICATED": "The request needs headers with valid credentials.",
    "RESOURCE_EXHAUSTED": "Send fewer images in a request, or fewer requests at once.",
    "UNIMPLEMENTED": "Is this TF Serving's gRPC port (8500), not REST's (8501)?",
}


class ServingError(FarkerasError):
    """A request failed, after all its attempts.

    Attributes:
        code: Name of gRPC's status code, such as "UNAVAILABLE". HTTP status codes of REST are translated.
        details: Message of the server.
    """

    def __init__(self, address: str, code: str, details: str):
        self.code, self.details = code, " ".join(details.split())  # one line
        hint = _HINTS.get(code)
        super().__init__(f"{address}: {code}: {self.details.rstrip('.')}." + (f" {hint}" if hint else ""))
