"""Arrays go to TF Serving's tensors and back as TensorFlow's own do."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from farkeras.errors import FarkerasError
from farkeras.wire.protos import serving_pb2 as pb
from farkeras.wire.tensors import to_array, to_proto

pytestmark = pytest.mark.core

ARRAYS = [
    np.array([[1.5, -2.25], [np.inf, 0.1]], np.float32),
    np.array([0.1, np.pi]),
    np.array([1.5, -2, 65504], np.float16),
    np.array([-128, 127], np.int8),
    np.array([[0, 255]], np.uint8),
    np.array([-(2**15), 2**15 - 1], np.int16),
    np.array([2**16 - 1], np.uint16),
    np.array([-(2**31)], np.int32),
    np.array([2**32 - 1], np.uint32),
    np.array([-(2**63), 2**63 - 1], np.int64),
    np.array([2**64 - 1], np.uint64),
    np.array([True, False]),
    np.array([b"\xff\xd8", b"", b"zeros at the end\0\0"], object),
    np.float32(0.25) * np.ones(()),  # no dimension
    np.zeros((0, 3), np.float32),
]
IDS = [f"{array.dtype}{list(array.shape)}" for array in ARRAYS]


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("array", ARRAYS, ids=IDS)
def test_tensorflow_reads_ours(array, packed):
    proto = tensor_pb2.TensorProto.FromString(to_proto(array, packed).SerializeToString())
    read = tf.constant(tf.make_ndarray(proto)).numpy()
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("array", ARRAYS, ids=IDS)
def test_we_read_tensorflows(array):
    for proto in (tf.make_tensor_proto(array), tf.make_tensor_proto(array.tolist(), array.dtype, array.shape)):
        read = to_array(pb.TensorProto.FromString(proto.SerializeToString()))
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)


def test_typed_fields_are_what_the_server_answers_with():
    proto = to_proto(np.array([[0.5, 0.25]], np.float32), packed=False)
    assert (list(proto.float_val), proto.tensor_content) == ([0.5, 0.25], b"")


def test_order_of_bytes_and_of_memory():
    array = np.arange(6, dtype=">i4").reshape(2, 3).T
    np.testing.assert_array_equal(to_array(to_proto(array)), array)


@pytest.mark.parametrize(("values", "expected"), [([], [0, 0, 0]), ([1, 2], [1, 2, 2]), ([1, 2, 3, 4], [1, 2, 3])])
def test_another_number_of_values_than_elements(values, expected):
    shape = pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=3)])
    proto = pb.TensorProto(dtype=pb.DT_FLOAT, tensor_shape=shape, float_val=values)
    assert to_array(proto).tolist() == expected
    text = pb.TensorProto(dtype=pb.DT_STRING, tensor_shape=shape, string_val=[b"%d" % v for v in values])
    assert to_array(text).tolist() == [b"%d" % v if v else b"" for v in expected]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"dtype": pb.DT_COMPLEX64}, r"\(DT_COMPLEX64 \[2\]\) has a type that cannot be read"),
        ({"dtype": 99}, r"\(type 99 \[2\]\) has a type"),
        ({"dtype": pb.DT_INVALID}, "has a type"),
        ({"shape": [-1]}, r"\[-1\]\) has no definite shape"),
        ({"shape": [1] * 33}, "has no definite shape"),
        ({"unknown_rank": True}, "has no definite shape"),
        ({"shape": [2**40, 2**40]}, "takes more than 268,435,456 bytes"),
        ({"tensor_content": b"1234567"}, "has 7 bytes of content"),
        ({"dtype": pb.DT_STRING, "tensor_content": b"12345678"}, "has 8 bytes of content"),
    ],
)
def test_what_is_no_tensor(fields, message):
    dims = [pb.TensorShapeProto.Dim(size=size) for size in fields.pop("shape", [2])]
    shape = pb.TensorShapeProto(dim=dims, unknown_rank=fields.pop("unknown_rank", False))
    with pytest.raises(FarkerasError, match=message):
        to_array(pb.TensorProto(**{"dtype": pb.DT_FLOAT, "tensor_shape": shape} | fields))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            np.array([b"image\0"]),
            r"An array of dtype \|S6 cannot be sent; expected numbers, or bytes with dtype=object",
        ),
        (np.array(["text"], object), "An array of dtype object"),
        (np.zeros(1, np.complex64), "An array of dtype complex64"),
    ],
)
def test_what_cannot_be_sent(array, message):
    with pytest.raises(FarkerasError, match=message):
        to_proto(array)
