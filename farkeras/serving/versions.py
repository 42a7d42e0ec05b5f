"""The versions of a model on disk, and those that its policy asks for."""

from pathlib import Path

from farkeras.wire.protos.config_pb2 import VersionPolicy


def versions_on_disk(base_path: Path) -> dict[int, Path]:
    """Folders whose names are numbers, as TF Serving finds them; none where `base_path` cannot be read."""
    try:
        paths = list(base_path.iterdir())
    except OSError:
        return {}
    return {int(path.name): path for path in paths if path.name.isascii() and path.name.isdigit() and path.is_dir()}


def wanted_versions(policy: VersionPolicy, versions: set[int]) -> set[int]:
    """The versions to serve among those on disk: by default the latest one."""
    if policy.HasField("all"):
        return versions
    if policy.HasField("specific"):
        return versions & set(policy.specific.versions)
    return set(sorted(versions)[-(policy.latest.num_versions or 1) :])
