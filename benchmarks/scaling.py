"""Prints what the gradients of a step cost between machines, for both papers' models; docs/machines.md shows the table.

    python benchmarks/scaling.py

In a ring all-reduce over N machines, each sends 2 (N - 1) / N times the bytes of the gradients. The time is that
number divided by the speed of the link. Latency comes on top; a part of the time may overlap with the computation.
"""

from farkeras.models.presets import PRESETS, Preset

BYTES = 4
"""Bytes of a gradient: variables are float32, also with `precision=bfloat16`."""
MACHINES = (2, 8)
LINKS = (1, 10, 25, 100)
"""Speeds of the links in Gbit/s."""
PAPERS = ("far_amtn_resnet50", "mgmtn_resnest50")


def seconds(parameters: int, machines: int, gbits: float) -> float:
    """Returns the seconds that the gradients of one step need.

    Args:
        parameters: Number of trainable parameters.
        machines: Number of machines.
        gbits: Speed of the link of each machine in Gbit/s, in each direction.
    """
    return 2 * (machines - 1) / machines * BYTES * parameters * 8 / (gbits * 1e9)


def rows(presets: tuple[Preset, ...] = PRESETS) -> list[list[str]]:
    """Returns the table: model, megabytes of gradients, machines, and milliseconds per step for each link."""
    return [
        [
            preset.name,
            f"{BYTES * preset.parameters / 1e6:.0f}",
            str(machines),
            *(f"{1e3 * seconds(preset.parameters, machines, link):.0f}" for link in LINKS),
        ]
        for preset in presets
        if preset.name in PAPERS
        for machines in MACHINES
    ]


def table() -> str:
    """Returns the table in Markdown."""
    header = ["Model", "MB of gradients", "Machines", *(f"{link} Gbit/s" for link in LINKS)]
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(table())
