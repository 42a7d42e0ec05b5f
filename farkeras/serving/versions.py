"""Which versions of a model lie on disk, and which of them its policy asks for."""

from pathlib import Path

from farkeras.wire.protos.config_pb2 import VersionPolicy


def versions_on_disk(base_path: Path) -> dict[int, Path]:
    """Folders with numbers for names, as TF Serving finds them; none where `base_path` cannot be read."""
    try:
        paths = list(base_path.iterdir())
    except OSError:
        return {}
    return {int(path.name): path for path in paths if path.name.isascii() and path.name.isdigit() and path.is_dir()}


def wanted_versions(policy: VersionPolicy, versions: set[int]) -> set[int]:
    """Those to be served, of the ones that are there: by default the latest one."""
    if policy.HasField("all"):
        return versions
    if policy.HasField("specific"):
        return versions & set(policy.specific.versions)
    return set(sorted(versions)[-(policy.latest.num_versions or 1) :])
