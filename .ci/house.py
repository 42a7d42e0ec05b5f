"""Counts what the house is made of: `python .ci/house.py [FOLDER]`; for a commit make the folder with git worktree add.

Lines are those of the package, the scripts in export/, serving/, benchmarks/ and .ci/, and the templates; generated
messages and links to a file that is counted elsewhere are left out. A room is a folder of the package with its files; a
flat module lies beside the rooms. `config` visits a room when a module on the way from `train.py` to the training loop
imports `farkeras.config` or reads a setting as `config.name`.
"""

import re
import statistics
import sys
from pathlib import Path

SETTING = re.compile(r"\bconfig\.[a-z_]+|farkeras\.config import|config\[")


def source_files(root: Path) -> list[Path]:
    """The files whose lines count."""
    patterns = ["farkeras/**/*.py", "farkeras/**/*.html", "farkeras/**/*.css", "farkeras/**/*.js", "farkeras/**/*.j2"]
    patterns += ["export/*.py", "serving/**/*.py", "benchmarks/*.py", ".ci/*.py"]
    files = {path for pattern in patterns for path in root.glob(pattern)}
    return sorted(path for path in files if not path.is_symlink() and "_pb2" not in path.name)


def main() -> None:
    root = Path(sys.argv[1] if sys.argv[1:] else ".")
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in source_files(root)}
    package = root / "farkeras"
    modules = {path: n for path, n in lines.items() if path.suffix == ".py" and package in path.parents}
    contents = {path: n for path, n in modules.items() if n}
    largest = max(contents, key=lambda path: contents[path])
    rooms = {path.parent for path in modules} - {package}
    config = {
        path.parent.relative_to(package)
        for path in modules
        if "test" not in path.name and SETTING.search(path.read_text(encoding="utf-8"))
    }
    print(f"files of the package     {len(modules)}")
    print(f"rooms                    {len(rooms)}")
    print(f"flat modules             {sum(path.parent == package for path in modules) - 1}")
    print(f"lines                    {sum(lines.values()):,}, of them in the package {sum(modules.values()):,}")
    print(f"median file              {statistics.median(contents.values()):.0f} lines")
    print(f"largest file             {contents[largest]} lines, {largest.relative_to(root)}")
    print(f"rooms that know settings {len(config)}: {', '.join(sorted(map(str, config)))}")


if __name__ == "__main__":
    main()
