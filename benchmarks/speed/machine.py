"""The machine of a measurement: its processor, the versions of the packages, the commit and the load."""

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

from farkeras.errors import FarkerasError

ROOT = Path(__file__).parents[2]
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16")
"""Flags of the processor that decide which arithmetic is fast: AVX-512, VNNI (int8), BF16 and AMX."""

PACKAGES = (
    "farkeras tensorflow keras numpy torch onnx onnxruntime ai-edge-litert openvino nncf jax jaxlib tf2onnx".split()
)


def cores() -> int:
    """Returns the number of processor cores that this process may use."""
    return len(os.sched_getaffinity(0))


def describe_machine() -> dict:
    """Returns the processor, its flags that matter, cores, memory and system, JSON-ready."""
    info = _key_values("/proc/cpuinfo")
    present = set(info.get("flags", "").split())
    memory = int(_key_values("/proc/meminfo").get("MemTotal", "0 kB").split()[0]) / 2**20
    return {
        "processor": info.get("model name", platform.processor() or "unknown"),
        "flags": [flag for flag in FLAGS if flag in present],
        "cores": cores(),
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the installed packages among `PACKAGES`."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """Returns the commit of the working tree, with `+changes` if tracked files differ from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "farkeras", "benchmarks/*.py", "configs")
    return (git("rev-parse", "--short=9", "HEAD") or "unknown") + ("+changes" if changed else "")


def check_compiler() -> None:
    """Raises `FarkerasError` if there is no C++ compiler, which torch.compile needs."""
    compiler = os.environ.get("CXX", "g++")
    if not shutil.which(compiler):
        raise FarkerasError(
            f"torch.compile needs a C++ compiler, and there is no '{compiler}'. Install one (Debian: apt-get install "
            "g++), or name it in the environment variable CXX."
        )


def load_average() -> list[float]:
    """Returns the load averages of the last 1, 5 and 15 minutes."""
    return [round(load, 2) for load in os.getloadavg()]


def busy_message(load: float, when: str) -> str:
    """Returns the warning that other programs disturb the measurement, or "" if the load leaves the cores free.

    Args:
        load: Load average of the last minute.
        when: When it was read, such as "before the measurement".
    """
    if load < 0.3 * cores():
        return ""
    return (
        f"The machine is busy: the load average was {load:.2f} {when}, on {cores()} cores. Ratios of sides that take "
        "turns stay useful, but their intervals are wide; end other programs and repeat the command."
    )


def _key_values(path: str) -> dict[str, str]:
    """Reads the first `key : value` of each key of a file of the system; an empty dict where there is none."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:  # not Linux
        return {}
    pairs = [line.partition(":")[::2] for line in lines if ":" in line]
    return {key.strip(): value.strip() for key, value in reversed(pairs)}
