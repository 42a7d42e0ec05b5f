"""Writes the files in tests/models/torch_files with PyTorch: `python tests/models/make_torch_files.py`.

It was run once, with PyTorch 2.13.0 and safetensors 0.8.0. The tests read the files without either.
"""

import argparse
import collections
from pathlib import Path

import torch
from safetensors.torch import save_file

FOLDER = Path(__file__).with_name("torch_files")
TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16]
TYPES += [torch.int8, torch.uint8, torch.bool]


def tensors():
    """Each type, and each kind of view of a storage."""
    state = collections.OrderedDict()
    for dtype in TYPES:
        state[str(dtype).removeprefix("torch.")] = torch.arange(6).reshape(2, 3).to(dtype)
    numbers = torch.arange(12, dtype=torch.float32)
    state["rows"] = numbers.reshape(3, 4)
    state["transposed"] = numbers.reshape(3, 4).T  # the same storage, other strides
    state["part"] = numbers[5:11:2]  # an offset and a step
    state["scalar"] = torch.tensor(7.0)
    state["empty"] = torch.zeros(0, 3)
    state["parameter"] = torch.nn.Parameter(torch.tensor([1.5, 2.5]))
    return state


def main():
    FOLDER.mkdir(exist_ok=True)
    state = tensors()
    torch.save(state, FOLDER / "zip.pth")
    torch.save(state, FOLDER / "old.pth", _use_new_zipfile_serialization=False)
    save_file(
        {name: tensor.detach().clone().contiguous() for name, tensor in state.items()}, FOLDER / "all.safetensors"
    )
    model = torch.nn.Sequential(torch.nn.Linear(2, 1), torch.nn.BatchNorm1d(1))
    for number, value in enumerate(model.state_dict().values()):
        value.fill_(number)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(2, 2)).sum().backward()
    optimizer.step()
    for number, value in enumerate(model.state_dict().values()):
        value.fill_(number)
    arguments = argparse.Namespace(lr=0.1, name="first")
    torch.save(
        {
            "model": torch.nn.DataParallel(model).state_dict(),
            "optimizer": optimizer.state_dict(),
            "epoch": 3,
            "accuracy": torch.tensor(0.5),
            "args": arguments,
        },
        FOLDER / "checkpoint.pth",
    )
    torch.save(optimizer.state_dict(), FOLDER / "optimizer.pth")
    torch.save(model, FOLDER / "module.pth")
    torch.jit.trace(torch.nn.Linear(2, 1), torch.ones(1, 2)).save(FOLDER / "script.pt")
    for path in sorted(FOLDER.iterdir()):
        print(f"{path.name}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
