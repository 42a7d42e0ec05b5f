"""Writes the forms of PyTorch's files by hand, instruction by instruction, so that tests can write wrong ones, too."""

import json
import struct
import zipfile
from pathlib import Path

import numpy as np

from tests.models.torch_values import value as random_value

GOLDEN = Path(__file__).with_name("torch_golden.npz")


class Raw(bytes):
    """Instructions of a pickle that stand for themselves."""


def pickled(value) -> Raw:
    """The instructions that make a value, without the end."""
    if isinstance(value, Raw):
        return value
    if value is None or isinstance(value, bool):
        return Raw({None: b"N", True: b"\x88", False: b"\x89"}[value])
    if isinstance(value, int):
        data = value.to_bytes(max(1, value.bit_length() // 8 + 1), "little", signed=True)
        return Raw(b"\x8a" + bytes([len(data)]) + data)
    if isinstance(value, float):
        return Raw(b"G" + struct.pack(">d", value))
    if isinstance(value, str):
        return Raw(b"X" + struct.pack("<i", len(value.encode())) + value.encode())
    if isinstance(value, dict):
        return Raw(b"}(" + b"".join(pickled(k) + pickled(v) for k, v in value.items()) + b"u")
    items = b"".join(pickled(item) for item in value)
    return Raw(b"(" + items + b"t" if isinstance(value, tuple) else b"](" + items + b"e")


def called(function: str, *arguments) -> Raw:
    """A call, such as `called("os.system", "true")`."""
    module, _, name = function.rpartition(".")
    return Raw(f"c{module}\n{name}\n".encode() + pickled(arguments) + b"R")


def named(name: str) -> Raw:
    module, _, name = name.rpartition(".")
    return Raw(f"c{module}\n{name}\n".encode())


def storage(length, kind="FloatStorage", key="0") -> Raw:
    return Raw(pickled(("storage", named(f"torch.{kind}"), key, "cpu", length)) + b"Q")


def tensor(size, stride, offset=0, **of_storage) -> Raw:
    """A tensor of 6 float32 numbers, or of another storage."""
    of_storage = {"length": 6, **of_storage}
    arguments = (storage(**of_storage), offset, size, stride, False, called("collections.OrderedDict"))
    return called("torch._utils._rebuild_tensor_v2", *arguments)


def zip_file(path, value, storages=None, byteorder=None, folder="archive/", further=()):
    """The form since PyTorch 1.6; `further` are more members, `(name, content, compression)`."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{folder}data.pkl", b"\x80\x02" + pickled(value) + b".")
        if byteorder:
            archive.writestr(f"{folder}byteorder", byteorder)
        for key, content in (storages or {}).items():
            archive.writestr(f"{folder}data/{key}", content)
        for name, content, compression in further:
            archive.writestr(name, content, compression)
    return path


def old_file(path, value, storages=None, magic=0x1950A86A20F9469CFC6C, protocol=1001, keys=None):
    """The form before PyTorch 1.6; `storages` is key -> (length, content)."""
    storages = storages or {}
    system = {"protocol_version": protocol, "little_endian": True, "type_sizes": {"int": 4}}
    pickles = (magic, protocol, system, value, [*storages] if keys is None else keys)
    content = b"".join(b"\x80\x02" + pickled(part) + b"." for part in pickles)
    for length, numbers in storages.values():
        content += struct.pack("<q", length) + numbers
    path.write_bytes(content)
    return path


def safetensors_file(path, header, content=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content)
    return path


def state_of(network):
    """The names of a network's tensors, such as "torchvision mobilenet_v3_small", with random numbers."""
    golden = np.load(GOLDEN)
    pairs = zip(golden[f"{network} names"].tolist(), golden[f"{network} shapes"].tolist(), strict=True)
    shapes = {name: tuple(map(int, shape.split())) for name, shape in pairs}
    return {n: random_value(n, shape) if shape else np.zeros((), "float32") for n, shape in shapes.items()}


def network_file(path, network):
    """The weights of a network in the old form, with the names that DataParallel makes."""
    records, storages = {}, {}
    for key, (name, array) in enumerate(state_of(network).items()):
        stride = tuple(step // array.itemsize for step in array.strides)
        records[f"module.{name}"] = tensor(array.shape, stride, length=array.size, key=str(key))
        storages[str(key)] = (array.size, array.tobytes())
    return old_file(path, records, storages)
