"""Counts the files, folders and lines of the repository: `python .ci/house.py [FOLDER]`.

For another commit, create the folder with `git worktree add`. The lines are those of the package, of the scripts in
export/, serving/, benchmarks/ and .ci/, and of the templates, without generated messages and links. A folder of the
package knows settings if a module in it imports `farkeras.config` or reads a setting as `config.name`.
"""

import re
import statistics
import sys
from pathlib import Path

SETTING = re.compile(r"\bconfig\.[a-z_]+|farkeras\.config import|config\[")


def source_files(root: Path) -> list[Path]:
    """Returns the files whose lines are counted."""
    patterns = ["farkeras/**/*.py", "farkeras/**/*.html", "farkeras/**/*.css", "farkeras/**/*.js", "farkeras/**/*.j2"]
    patterns += ["export/*.py", "serving/**/*.py", "benchmarks/**/*.py", ".ci/*.py"]
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
    print(f"folders                  {len(rooms)}")
    print(f"modules in no folder     {sum(path.parent == package for path in modules) - 1}")
    print(f"lines                    {sum(lines.values()):,}, of them in the package {sum(modules.values()):,}")
    print(f"median file              {statistics.median(contents.values()):.0f} lines")
    print(f"largest file             {contents[largest]} lines, {largest.relative_to(root)}")
    print(f"folders with settings    {len(config)}: {', '.join(sorted(map(str, config)))}")


if __name__ == "__main__":
    main()
