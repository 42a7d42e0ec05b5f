"""What a server answers when it does not answer."""

from farkeras.errors import FarkerasError

_HINTS = {
    "UNAVAILABLE": "Is the server up, and the address right?",
    "DEADLINE_EXCEEDED": "Give it more time with a longer timeout, or fewer images in a request.",
    "NOT_FOUND": "The server has other models or versions: see its model status.",
    "UNAUTHENTICATED": "Headers with credentials are missing.",
    "RESOURCE_EXHAUSTED": "Send fewer images in a request, or fewer requests at once.",
    "UNIMPLEMENTED": "Is this TF Serving's gRPC port (8500), not REST's (8501)?",
}


class ServingError(FarkerasError):
    """A request that failed, after the repetitions that it is given.

    Attributes:
        code: gRPC's name of what happened, such as "UNAVAILABLE"; REST's status numbers are translated.
        details: The server's own words.
    """

    def __init__(self, address: str, code: str, details: str):
        self.code, self.details = code, " ".join(details.split())  # one line
        hint = _HINTS.get(code)
        super().__init__(f"{address}: {code}: {self.details.rstrip('.')}." + (f" {hint}" if hint else ""))
