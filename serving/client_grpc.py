"""Asks TF Serving, or `python -m farkeras.serve`, for the attributes of faces, and prints a table.

    python -m farkeras.client_grpc PHOTO... --align --metadata=runs/demo/export/saved_model

Without --align, the images must be crops that are aligned as in CelebA. The server does not know the names of the
attributes, so --metadata names the export that it serves, or its farkeras.json. The command needs
`pip install 'farkeras[clients]'`, but not TensorFlow.
"""

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from farkeras.cli.console import make_console
from farkeras.cli.predictions import marks, print_json, probability_table
from farkeras.clients import Answer, GrpcClient, Tls
from farkeras.consistency.arguments import add_consistency, consistency_of
from farkeras.decisions import check_share
from farkeras.errors import FarkerasError
from farkeras.files import escape_output
from farkeras.native_logs import silence_native_logs
from farkeras.photos.search import find_photos


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="Image files and folders of image files.")
    parser.add_argument("--server", default="localhost:8500", help="Host and gRPC port; by default %(default)s.")
    parser.add_argument("--metadata", required=True, help="The export that the server serves, or its farkeras.json.")
    parser.add_argument("--align", action="store_true", help="Find and align the largest face of each photograph.")
    parser.add_argument("--model", default="farkeras", help="Name of the model on the server; by default %(default)s.")
    parser.add_argument("--version", type=int, help="Version of the model; by default the latest.")
    parser.add_argument("--label", help="Version label of the model, such as canary.")
    parser.add_argument("--timeout", type=float, default=10, help="Seconds per request; by default %(default)s.")
    parser.add_argument(
        "--threshold",
        type=float,
        help="Probability from which an attribute is marked as present; by default its own threshold in --metadata.",
    )
    parser.add_argument(
        "--min_confidence", type=float, default=0, help="Confidence, 0 to 1, below which an answer is marked as unsure."
    )
    add_consistency(parser)
    parser.add_argument("--json", action="store_true", help="Print JSON instead of tables.")
    parser.add_argument("--tls", action="store_true", help="Use an encrypted connection.")
    parser.add_argument("--tls_ca", help="PEM file of the trusted certificates; implies --tls.")
    parser.add_argument(
        "--header", action="append", default=[], metavar="NAME=VALUE", help="Header of each request; may be repeated."
    )
    return parser


def run(given: argparse.Namespace) -> int:
    """Prints the server's answers. Returns 1 if at least one image could not be used, else 0."""
    if given.align:
        silence_native_logs()  # of MediaPipe
    photos, without_photos = find_photos(given.photos)
    errors = [_print_error(error) for error in without_photos]
    headers = dict(header.partition("=")[::2] for header in given.header)
    tls = Tls(ca=given.tls_ca) if given.tls or given.tls_ca else None
    settings = {"model": given.model, "version": given.version, "label": given.label, "timeout": given.timeout}
    with GrpcClient(given.server, given.metadata, tls=tls, headers=headers, **settings) as client:
        thresholds = client.names.thresholds
        if given.threshold is not None:
            check_share("threshold", given.threshold)
            thresholds = dict.fromkeys(client.names.attributes, given.threshold)
        client.names = replace(client.names, thresholds=thresholds)
        consistency = consistency_of(given, client.names.attributes)
        answers = _shown(client.recognize_each(photos, given.align, given.min_confidence, consistency), errors)
        if given.json:
            print_json(answers)
        else:
            console, heading = make_console(soft_wrap=False), marks(thresholds.values(), given.min_confidence)
            for answer in answers:
                if answer.probabilities:
                    console.print(probability_table(answer, client.names.groups, heading))
        if client.names.procedural:
            print("This model learned from procedural faces: its answers on photographs mean little.", file=sys.stderr)
    return 1 if errors else 0


def _shown(answers: Iterable[Answer], errors: list[str]) -> Iterator[Answer]:
    for answer in answers:
        if answer.error:
            errors.append(_print_error(answer.error))
        yield answer


def _print_error(error: str) -> str:
    shown = re.sub(
        r"`(align|label|metadata|min_confidence|threshold|timeout|version)(?:=\w+)?`", r"--\1", error
    )  # settings become flags
    print(f"error: {shown}", file=sys.stderr)
    return error


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit code."""
    escape_output()
    try:
        return run(make_parser().parse_args(argv))
    except FarkerasError as error:
        _print_error(str(error))
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
