"""Files of PyTorch and safetensors: what is read, what is refused, and that nothing in them is run."""

import gzip
import pickle
import random
import shutil
import struct
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from farkeras.errors import FarkerasError
from farkeras.models import torch_files, torch_pickles
from farkeras.models.torch_checkpoints import without_wrappers
from farkeras.models.torch_files import naming, read_state_dict
from tests.models.torch_writer import (
    Raw,
    called,
    named,
    old_file,
    pickled,
    safetensors_file,
    storage,
    tensor,
    zip_file,
)

FILES = Path(__file__).with_name("torch_files")  # written by PyTorch, see make_torch_files.py
NUMBERS = np.arange(6, dtype=np.float32)
GOOD = {"numbers": tensor((2, 3), (3, 1))}


def refusal(path, **options) -> str:
    """The message of a file that is refused: one paragraph of moderate length."""
    with pytest.raises(FarkerasError) as caught:
        read_state_dict(path, **options)
    message = str(caught.value)
    assert message.startswith((str(path), f"Cannot read {path}"))
    assert "\n" not in message
    assert len(message) < len(str(path)) * 2 + 500
    return message.replace(str(path), "FILE")


def zip_refusal(tmp_path, value, **options) -> str:
    return refusal(zip_file(tmp_path / "name.pth", value, {"0": NUMBERS.tobytes()}, **options))


# What PyTorch writes


@pytest.mark.parametrize("name", ["zip.pth", "old.pth", "all.safetensors"])
def test_every_type_and_view_that_pytorch_writes(name):
    state = read_state_dict(FILES / name)
    for dtype in "float64 float32 float16 int64 int32 int16 int8 uint8".split():
        assert state[dtype].dtype == dtype
        np.testing.assert_array_equal(state[dtype], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(state["bfloat16"], [[0, 1, 2], [3, 4, 5]])
    assert state["bfloat16"].dtype == np.float32  # NumPy has no bfloat16
    np.testing.assert_array_equal(state["bool"], [[False, True, True], [True, True, True]])
    np.testing.assert_array_equal(state["rows"], np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(state["transposed"], np.arange(12).reshape(3, 4).T)
    np.testing.assert_array_equal(state["part"], [5, 7, 9])
    assert (state["scalar"].shape, float(state["scalar"])) == ((), 7)
    assert state["empty"].shape == (0, 3)
    np.testing.assert_array_equal(state["parameter"], [1.5, 2.5])
    assert len(state) == 16


def test_the_name_of_a_file_does_not_matter(tmp_path):
    shutil.copy(FILES / "all.safetensors", tmp_path / "name.pth")
    assert len(read_state_dict(str(tmp_path / "name.pth"))) == 16


@pytest.mark.parametrize("name", ["zip.pth", "old.pth"])
def test_shared_memory_stays_shared(name):
    state = read_state_dict(FILES / name)
    assert np.shares_memory(state["rows"], state["transposed"])
    assert not state["rows"].flags.writeable


def test_a_checkpoint_with_optimizer_and_arguments_is_unwrapped():
    """{"model": names that begin with `module.`, "optimizer": ..., "accuracy": a tensor, "args": a Namespace}"""
    state = read_state_dict(FILES / "checkpoint.pth")
    assert list(state)[:3] == ["0.weight", "0.bias", "1.weight"]
    assert [float(value.ravel()[0]) for value in state.values()] == [0, 1, 2, 3, 4, 5, 6]


def test_files_that_hold_something_else():
    assert refusal(FILES / "module.pth") == (
        "FILE must hold tensors only. Received: the Python object 'torch.nn.modules.container.Sequential', as in the "
        "file of a whole model. Nothing of it was run. In PyTorch, save the weights alone, "
        "torch.save(model.state_dict(), 'name.pth'), and give that file."
    )
    assert "Received: a TorchScript archive, which holds code; nothing of it was run." in refusal(FILES / "script.pt")
    assert "the weights of a network. Received: the state of an optimizer." in refusal(FILES / "optimizer.pth")


# By hand


def test_numbers_by_hand(tmp_path):
    path = zip_file(tmp_path / "a.pth", GOOD, {"0": struct.pack("<6f", 1, 2, 3, 4, 5, 6)})
    np.testing.assert_array_equal(read_state_dict(path)["numbers"], [[1, 2, 3], [4, 5, 6]])
    path = old_file(tmp_path / "b.pth", GOOD, {"0": (6, struct.pack("<6f", 1, 2, 3, 4, 5, 6))})
    np.testing.assert_array_equal(read_state_dict(path)["numbers"], [[1, 2, 3], [4, 5, 6]])
    entry = {"dtype": "I16", "shape": [2], "data_offsets": [0, 4]}
    path = safetensors_file(tmp_path / "c", {"__metadata__": {"format": "pt"}, "x": entry}, struct.pack("<2h", 7, -8))
    np.testing.assert_array_equal(read_state_dict(path)["x"], [7, -8])


def test_big_endian_machines(tmp_path):
    path = zip_file(tmp_path / "a.pth", GOOD, {"0": struct.pack(">6f", 1, 2, 3, 4, 5, 6)}, byteorder="big")
    np.testing.assert_array_equal(read_state_dict(path)["numbers"], [[1, 2, 3], [4, 5, 6]])
    path = zip_file(tmp_path / "a.pth", GOOD, {"0": NUMBERS.tobytes()}, byteorder="middle")
    assert "its byteorder is neither little nor big" in refusal(path)


def test_bfloat16_is_the_upper_half_of_float32(tmp_path):
    value = {"x": tensor((2,), (1,), length=2, kind="BFloat16Storage")}
    path = zip_file(tmp_path / "a.pth", value, {"0": struct.pack("<2H", 0x3F80, 0xC000)})
    np.testing.assert_array_equal(read_state_dict(path)["x"], [1, -2])


def test_numbers_of_a_type_without_a_storage_class(tmp_path):
    """Such as uint16: the storage has bytes, and the tensor names its type."""
    arguments = (storage(4, "UntypedStorage"), 1, (1,), (1,), False, None, named("torch.uint16"))
    path = zip_file(
        tmp_path / "a.pth", {"x": called("torch._utils._rebuild_tensor_v3", *arguments)}, {"0": b"\1\0\2\0"}
    )
    np.testing.assert_array_equal(read_state_dict(path)["x"], [2])


def test_parameters_with_attributes_and_the_versions_of_modules(tmp_path):
    attributes = called(
        "torch._tensor._rebuild_from_type_v2",
        named("torch._utils._rebuild_tensor_v2"),
        named("torch.nn.parameter.Parameter"),
        (storage(6), 4, (2,), (1,), False, {}),
        {"note": "mine"},
    )
    state = Raw(called("collections.OrderedDict") + b"(" + pickled("x") + attributes + b"u")
    state = Raw(state + pickled({"_metadata": {"": {"version": 1}}}) + b"b")
    path = zip_file(tmp_path / "a.pth", state, {"0": NUMBERS.tobytes()})
    np.testing.assert_array_equal(read_state_dict(path)["x"], [4, 5])


def test_ordered_dict_of_python_2(tmp_path):
    pairs = called("collections.OrderedDict", [["x", tensor((2,), (3,))]])
    path = old_file(tmp_path / "a.pth", pairs, {"0": (6, NUMBERS.tobytes())})
    np.testing.assert_array_equal(read_state_dict(path)["x"], [0, 3])


# Wrapped state dicts


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["module.a.weight", "module.b.bias"], ["a.weight", "b.bias"]),
        (["module._orig_mod.backbone.a", "module._orig_mod.backbone.b"], ["a", "b"]),
        (["features.0.weight", "features.1.weight"], ["features.0.weight", "features.1.weight"]),  # no wrapper
        (["module.a", "b"], ["module.a", "b"]),
        (["module", "model"], ["module", "model"]),
    ],
)
def test_prefixes_that_wrappers_add(names, expected):
    assert list(without_wrappers(dict.fromkeys(names))) == expected


def test_several_networks_need_a_name(tmp_path):
    value = {"model": {"x": tensor((1,), (1,), 1)}, "ema": {"module": {"x": tensor((1,), (1,), 2)}}, "epoch": 3}
    path = zip_file(tmp_path / "a.pth", value, {"0": NUMBERS.tobytes()})
    assert refusal(path) == (
        "FILE must hold the weights of one network. Received several: 'model', 'ema.module'. Convert one of them: "
        "`python -m farkeras.convert_weights FILE --part=NAME --output=FILE.keras`."
    )
    assert read_state_dict(path, part="ema.module")["x"] == 2
    assert "has no weights under `part=teacher`. Found: 'model', 'ema.module'." in refusal(path, part="teacher")


@pytest.mark.parametrize(
    ("value", "received"),
    [
        ([1, 2], "a dict of tensors. Received: a list."),
        (tensor((1,), (1,)), "a dict of tensors. Received: a single tensor."),
        ({}, "weights of a network. Received: a dict of nothing."),
        ({"epoch": 3, "line\nbreak": 4}, r"weights of a network. Received: a dict of 'epoch', 'line\nbreak'."),
        ({"x": tensor((1,), (1,)), "epoch": 3}, "tensors only. Received: a whole number under 'epoch'."),
        ({"x": tensor((1,), (1,)), "y": None}, "tensors only. Received: None under 'y'."),
        ({"optimizer": {"state": {0: tensor((1,), (1,))}, "param_groups": []}}, "Received: the state of an optimizer."),
    ],
)
def test_content_that_is_no_state_dict(tmp_path, value, received):
    assert received in zip_refusal(tmp_path, value)


def test_tensors_beside_the_weights_do_not_matter(tmp_path):
    """Weights have names with dots, unlike a random state or the mean of the images."""
    value = {"model": {"0.weight": tensor((1,), (1,), 4)}, "random": tensor((6,), (1,)), "epoch": 3}
    value["images"] = {"mean": tensor((3,), (1,))}
    assert read_state_dict(zip_file(tmp_path / "a.pth", value, {"0": NUMBERS.tobytes()})) == {"0.weight": 4}


def test_names_that_would_break_a_message(tmp_path):
    assert r"the name 'line\nbreak' of a tensor is invalid" in zip_refusal(
        tmp_path, {"line\nbreak": tensor((1,), (1,))}
    )
    assert "of a tensor is invalid" in zip_refusal(tmp_path, {"x" * 1000: tensor((1,), (1,))})


# Hostile pickles

SYSTEM = named("os.system")


@pytest.mark.parametrize(
    ("instructions", "foreign"),
    [
        (called("os.system", "touch RUN"), "'os.system'"),
        (called("builtins.exec", "open('RUN', 'w')"), "'builtins.exec'"),
        (Raw(pickled("os") + pickled("system") + b"\x93" + pickled(("touch RUN",)) + b"R"), "'os.system'"),
        (Raw(called("builtins.getattr", named("os"), "system") + pickled(("touch RUN",)) + b"R"), "'builtins.getattr'"),
        (Raw(b"(" + pickled("touch RUN") + b"ios\nsystem\n"), "'os.system'"),
        (Raw(b"(" + SYSTEM + pickled("touch RUN") + b"o"), "'os.system'"),
        (Raw(SYSTEM + pickled(("touch RUN",)) + b"\x81"), "'os.system'"),
        (Raw(SYSTEM + pickled(("touch RUN",)) + pickled({}) + b"\x92"), "'os.system'"),
        (Raw(called("collections.OrderedDict") + SYSTEM + b"\x81"), "'os.system'"),
        (Raw(SYSTEM + pickled({"x": 1}) + b"b"), "'os.system'"),
        (Raw(pickled([]) + pickled({"x": 1}) + b"b"), "Python objects"),
        (Raw(b"\x82\x01"), "Python objects"),
        (Raw(pickled(("module", SYSTEM, "file.py", "code")) + b"Q"), "'os.system'"),
        (called("torch._tensor._rebuild_from_type_v2", SYSTEM, named("torch.Tensor"), ("touch RUN",), None), "''"),
        (called("torch._tensor._rebuild_from_type_v2", SYSTEM, SYSTEM, ("touch RUN",), None), "'os.system'"),
        (called("torch._utils._rebuild_qtensor", 1), "'torch._utils._rebuild_qtensor'"),
        (called("torch.load", "other.pth"), "'torch.load'"),
        ({("tuple",): 1}, "a dict whose keys are neither texts nor whole numbers"),
        (storage(6, "ComplexFloatStorage"), "numbers of the type torch.ComplexFloatStorage, which are not supported"),
    ],
)
def test_nothing_in_a_pickle_is_run(tmp_path, monkeypatch, instructions, foreign):
    monkeypatch.chdir(tmp_path)
    for value in (instructions, {"x": tensor((1,), (1,)), "y": instructions}, [instructions]):
        message = zip_refusal(tmp_path, value)
        assert "must hold tensors only. Received: " in message
        assert foreign in message or foreign == "''"
        assert "Nothing of it was run." in message
        assert "must hold tensors only" in refusal(old_file(tmp_path / "old.pth", value))
    assert not Path("RUN").exists()


def test_a_tensor_that_would_grow(tmp_path):
    """`expand` repeats numbers by a stride of 0: here four gigabytes out of four bytes."""
    message = zip_refusal(tmp_path, {"x": tensor((10**9,), (0,))})
    assert "Received: a tensor that repeats the numbers of its storage, which .contiguous() writes out." in message


def test_reduce_of_a_class_of_ones_own(tmp_path, monkeypatch):
    """What `pickle` itself writes; loading it with `pickle` would call `os.mkdir`."""

    class Trap:
        def __reduce__(self):
            return os_mkdir, ("RUN",)

    from os import mkdir as os_mkdir

    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.pth").write_bytes(pickle.dumps(Trap(), 4))
    assert "the Python object 'posix.mkdir'" in refusal(tmp_path / "a.pth")
    assert not Path("RUN").exists()


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        (tensor((2,), (1,), -1), "are negative or too large"),
        (tensor((2,), (-1,), 1), "are negative or too large"),
        (tensor((-1,), (1,)), "are negative or too large"),
        (tensor((2,), (2**80,)), "are negative or too large"),
        (tensor((2,), (1,), 2**2000), "are negative or too large"),
        (tensor((2,), (1,), True), "are negative or too large"),
        (tensor((2,), (1,), 1.0), "are negative or too large"),
        (tensor((2, 2), (1,)), "the shape of a tensor is invalid"),
        (tensor([2], [1]), "the shape of a tensor is invalid"),
        (tensor((1,) * 40, (1,) * 40), "the shape of a tensor is invalid"),
        (tensor((2, 3), (4, 1)), "reaches beyond its storage of 6 elements"),
        (tensor((3,), (1,), 4), "reaches beyond its storage of 6 elements"),
        (tensor((0, 10**11, 10**11), (1, 1, 1)), "reaches beyond its storage of 6 elements"),
        (tensor((1,), (1,), length=-1), "the length of storage '0' is negative or too large"),
        (tensor((1,), (1,), length=2**60), "the length of storage '0' is negative or too large"),
        (tensor((1,), (1,), length=10**9), "its storages are larger than the file"),
        (tensor((1,), (1,), length=5), "has 24 bytes, not 20"),
        (tensor((1,), (1,), key="1"), "it has no member 'archive/data/1'"),
        (tensor((1,), (1,), key="../0"), "it has no member 'archive/data/../0'"),
        ([tensor((1,), (1,)), tensor((1,), (1,), length=5)], "storage '0' has two different records"),
        (called("torch._utils._rebuild_tensor_v2", 1, 2), "its list of tensors is invalid"),
        (called("torch._utils._rebuild_tensor_v2", 1, 2, 3, 4), "a tensor has an invalid record"),
        (called("torch._utils._rebuild_parameter", 1, 2, 3), "a parameter has an invalid record"),
        (Raw(pickled(("storage", 1, 2, 3, 4)) + b"Q"), "a storage has an invalid record"),
        (Raw(pickled("archive") + b"Q"), "a storage has an invalid record"),
        (Raw(b"h\x07"), "its list of tensors is invalid"),  # nothing is stored under this number
        (Raw(b"0" * 20), "its list of tensors is invalid"),  # removes more than there is
        (Raw(pickled(1) + pickled(2) + b"a"), "adds an item to something else than a container"),
        (Raw(b"}(" + pickled("key") + b"u"), ""),
        (Raw(b"\xff"), ""),  # no instruction
        (Raw(b"X\xff\xff\xff\x7f"), ""),  # a text of two gigabytes
        (Raw(b"\x8e" + b"\xff" * 7 + b"\x7f"), ""),  # bytes without end
        (Raw(b"L" + b"9" * 10_000 + b"L\n"), ""),
    ],
)
def test_records_that_do_not_fit(tmp_path, record, fault):
    message = zip_refusal(tmp_path, {"x": record})
    assert "FILE is truncated or damaged" in message
    assert fault in message


def test_loops_and_depth_end(tmp_path):
    """A dict that contains itself, and a hundred thousand lists or tuples inside each other."""
    loop = Raw(b"}q\x01" + pickled("model") + b"h\x01s" + pickled("epoch") + pickled(1) + b"s")
    assert "Received: a dict of 'model', 'epoch'." in zip_refusal(tmp_path, loop)
    assert "Received: a list." in zip_refusal(tmp_path, Raw(b"](" * 100_000 + b"e" * 100_000))
    assert "Received: a tuple." in zip_refusal(tmp_path, Raw(b")" + b"\x85" * 100_000))
    deep = Raw(b")" + b"\x85" * 100_000)
    assert "a dict whose keys are neither" in zip_refusal(tmp_path, Raw(b"}" + deep + pickled(1) + b"s"))


def test_a_pickle_that_never_gets_to_the_point(tmp_path, monkeypatch):
    monkeypatch.setattr(torch_pickles, "_MAX_INSTRUCTIONS", 1000)
    assert "it has too many objects for a state dict" in zip_refusal(tmp_path, Raw(b"N0" * 1000))
    # 200 calls that copy one list of 100 pairs
    pairs = Raw(pickled([["x", 1]] * 10) + b"q\x01")
    copies = Raw(pairs + b"".join(named("collections.OrderedDict") + b"h\x01\x85R0" for _ in range(120)))
    assert "it has too many objects for a state dict" in zip_refusal(tmp_path, copies)


# Hostile archives


def test_members_of_an_archive(tmp_path):
    path = tmp_path / "name.pth"
    numbers = NUMBERS.tobytes()
    bomb = ("archive/data/0", b"\0" * 10_000_000, zipfile.ZIP_DEFLATED)
    assert "its member 'archive/data/0' is compressed" in refusal(zip_file(path, GOOD, further=[bomb]))
    with pytest.warns(UserWarning, match="Duplicate name"):
        zip_file(path, GOOD, {"0": numbers}, further=[("archive/data/0", numbers, zipfile.ZIP_STORED)])
    assert "it has a member twice" in refusal(path)
    other = ("other/data.pkl", b"", zipfile.ZIP_STORED)
    assert "Received: another zip archive." in refusal(zip_file(path, GOOD, further=[other]))
    keras_model = ("model.weights.h5", b"", zipfile.ZIP_STORED)
    assert "Received: a Keras model, whose name must end in .keras." in refusal(
        zip_file(path, 0, further=[keras_model])
    )
    # A member that says it has two gigabytes.
    content = zip_file(path, GOOD, {"0": numbers}).read_bytes()
    path.write_bytes(content.replace(struct.pack("<II", 24, 24), struct.pack("<II", 2**31, 2**31)))
    assert "its member 'archive/data/0' has 2,147,483,648 bytes" in refusal(path)


def test_an_archive_with_too_many_members(tmp_path, monkeypatch):
    """`zipfile` reads the list of all members before anything can be checked."""
    monkeypatch.setattr(torch_files, "_MAX_LIST", 500)
    path = zip_file(tmp_path / "name.pth", 1, {str(key): b"" for key in range(10)})
    assert "its list of members is too large" in refusal(path)


def test_lists_and_storages_of_the_old_form(tmp_path):
    path, numbers = tmp_path / "name.pth", NUMBERS.tobytes()
    assert "Received: another pickle; nothing of it was run." in refusal(old_file(path, GOOD, magic=1))
    assert "its protocol is not 1001" in refusal(old_file(path, GOOD, protocol=1002))
    for keys in ([1], ["1"], "0", {}):
        assert "its list of storages does not fit" in refusal(old_file(path, GOOD, {"0": (6, numbers)}, keys=keys))
    assert "it lacks storage '0'" in refusal(old_file(path, GOOD, {"0": (6, numbers)}, keys=[]))
    for keys, length in ((["0"], 5), (["0"], -6), (["0", "0"], 6)):
        message = refusal(old_file(path, GOOD, {"0": (length, numbers)}, keys=keys))
        assert "storage '0' has another length than in its list of tensors" in message
    assert "storage '0' ends behind the end of the file" in refusal(old_file(path, GOOD, {"0": (6, numbers[:-1])}))


ENTRY = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ({"x": ENTRY | {"shape": [2, 4]}}, "reaches beyond its storage of 6 elements"),
        ({"x": ENTRY | {"shape": [2, 2]}}, "do not fit its shape or the size of the file"),
        ({"x": ENTRY | {"shape": [2, 4], "data_offsets": [0, 32]}}, "do not fit its shape or the size of the file"),
        ({"x": ENTRY | {"data_offsets": [-24, 0]}}, "the data_offsets of 'x' are invalid"),
        ({"x": ENTRY | {"data_offsets": [24, 0]}}, "the data_offsets of 'x' are invalid"),
        ({"x": ENTRY | {"data_offsets": [0, 24.0]}}, "the data_offsets of 'x' are invalid"),
        ({"x": ENTRY | {"data_offsets": [0, 24, 48]}}, "the data_offsets of 'x' are invalid"),
        ({"x": ENTRY | {"data_offsets": [0, 2**70]}}, "do not fit its shape"),
        ({"x": ENTRY | {"shape": [-2, -3]}}, "are negative or too large"),
        ({"x": ENTRY | {"shape": [2**50, 0], "data_offsets": [0, 0]}}, "are negative or too large"),
        ({"x": ENTRY | {"shape": [2.0, 3]}}, "the shape of 'x' is invalid"),
        ({"x": ENTRY | {"shape": [1] * 50}}, "the shape of 'x' is invalid"),
        ({"x": ENTRY | {"dtype": "F8_E4M3"}}, "numbers of the type F8_E4M3, which are not supported"),
        ({"x": ENTRY | {"dtype": 1}}, "its entry 'x' lacks dtype, shape or data_offsets"),
        ({"x": [1]}, "its entry 'x' is invalid"),
        ({"x": ENTRY, "y": ENTRY}, "its tensors overlap or leave gaps"),
        ({"x": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, "its tensors overlap or leave gaps"),
        ({"__metadata__": {}}, "its tensors overlap or leave gaps"),
        (b'{"x": {"dtype": "F32", "dtype": "F64"}}', "its header has a name twice"),
        (b'{"x": ', ""),
        (b'{"x": ' + b"[" * 100_000, ""),
        (b'{"\xff": 1}', ""),
        (b'{"x": ' + b"9" * 10_000 + b"}", ""),
    ],
)
def test_headers_of_safetensors(tmp_path, header, fault):
    assert fault in refusal(safetensors_file(tmp_path / "a.safetensors", header, NUMBERS.tobytes()))


def test_a_header_larger_than_the_file(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", 2**60) + b"{}")
    assert "its header of 1,152,921,504,606,846,976 bytes is larger than the file" in refusal(path)


# Cut and changed files


@pytest.fixture(scope="module")
def small_files(tmp_path_factory):
    """One small file of each form."""
    folder, numbers = tmp_path_factory.mktemp("small"), NUMBERS.tobytes()
    return [
        zip_file(folder / "zip.pth", GOOD, {"0": numbers}, byteorder="little"),
        old_file(folder / "old.pth", GOOD, {"0": (6, numbers)}),
        safetensors_file(folder / "a.safetensors", {"x": ENTRY}, numbers),
    ]


def test_a_file_that_is_cut_anywhere_is_refused(small_files, tmp_path):
    for file in small_files:
        content = file.read_bytes()
        for length in range(len(content)):
            (tmp_path / "cut").write_bytes(content[:length])
            refusal(tmp_path / "cut")


def test_changed_bytes_never_raise_another_error(small_files, tmp_path):
    chance, start = random.Random(0), time.perf_counter()
    for file in small_files:
        content = file.read_bytes()
        for _ in range(150):
            changed = bytearray(content)
            for _ in range(chance.choice([1, 2, 5])):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
            (tmp_path / "changed").write_bytes(changed)
            try:
                state = read_state_dict(tmp_path / "changed")
            except FarkerasError:
                continue
            assert sum(array.size for array in state.values()) <= 24  # the change was harmless
    assert time.perf_counter() - start < 60


# Files of another kind


@pytest.mark.parametrize(
    ("content", "received"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (b"conv1.weight 0.1 0.2", "a text file"),
        (b"\x89HDF\r\n\x1a\n" + b"\0" * 100, "an HDF5 file, which Keras reads when its name ends in .weights.h5"),
        (b"\x1c\0\0\0TFL3" + b"\0" * 100, "a LiteRT model"),
        (gzip.compress(b"content", mtime=0), "a compressed file; decompress it first"),
        (b"\0" * 257 + b"ustar" + b"\0" * 250, "a tar archive"),
        (b"\x08\x01" + b"\0" * 100, "a file of another kind"),
    ],
)
def test_other_kinds_of_files_under_the_wrong_name(tmp_path, content, received):
    (tmp_path / "name.pth").write_bytes(content)
    message = refusal(tmp_path / "name.pth")
    assert f"FILE must be a file of PyTorch (.pth, .pt) or safetensors. Received: {received}" in message


def test_a_file_that_cannot_be_read(tmp_path):
    expected = "expected a file of PyTorch or safetensors."
    assert refusal(tmp_path / "a.pth") == f"Cannot read FILE (No such file or directory); {expected}"
    assert refusal(tmp_path) == f"Cannot read FILE (Is a directory); {expected}"


def test_errors_about_the_weights_name_the_file():
    with pytest.raises(FarkerasError, match=r"^a\.pth: tensor 'x' is missing$"), naming("a.pth"):
        raise FarkerasError("tensor 'x' is missing")
