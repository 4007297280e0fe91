"""Operations against Keras: values, types, symbolic calls, gradients, names."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerasmagic import ops
from kerasmagic.core import tree
from kerasmagic.core.symbolic import KerasTensor, Operation
from kerasmagic.core.variable import Variable
from kerasmagic.models import Model
from tests.ops.row import Row, X, Y, words
from tests.ops.rows import ROWS
from tests.tools import public_names

MODULES = ("", "numpy", "nn", "linalg", "image")
# Where the sum of many products, or the last steps of a solver, differ in the last digits.
LOOSE = {"lstsq", "pinv", "image.perspective_transform", "image.ssim", "istft", "cholesky_inverse"}
NO_TENSOR = {"convert_to_numpy", "dtype", "is_tensor", "ndim", "shape"}
UNDEFINED = {"empty", "empty_like"}
IDS = [f"{number}-{each}" for number, each in enumerate(ROWS)]


def find(module: Any, name: str) -> Any:
    return functools.reduce(getattr, filter(None, name.split(".")), module)


def call(module: Any, each: Row) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return find(module, each.name)(*each.args, **each.kwargs)


@functools.cache
def result(number: int) -> list[Any]:
    """Return what our function gives for a row."""
    return leaves(call(ops, ROWS[number]))


def leaves(structure: Any) -> list[Any]:
    return tree.flatten(structure)


def dtype_of(x: Any) -> str:
    return str(x.dtype) if hasattr(x, "dtype") else np.asarray(x).dtype.name


@pytest.mark.parametrize("number", range(len(ROWS)), ids=IDS)
def test_values_and_types(keras, number):
    each = ROWS[number]
    ours, theirs = result(number), leaves(call(keras.ops, each))
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert dtype_of(a) == dtype_of(b)
        assert np.shape(a) == np.shape(b)
        if isinstance(b, str):
            assert a == b
        elif each.name not in UNDEFINED:
            assert_close(each, a, b)


def assert_close(each: Row, a: Any, b: Any) -> None:
    narrow = dtype_of(b) in ("float16", "bfloat16")
    rtol, atol = (1e-3, 1e-4) if each.name in LOOSE else (1e-5, 1e-5)
    if narrow:
        rtol = atol = 1e-2
    a, b = (np.asarray(x).astype("float32") if narrow else np.asarray(x) for x in (a, b))
    np.testing.assert_allclose(a, b, rtol, atol)


def symbolic(tensor: Any, each: Row, open_batch: bool = False) -> Row:
    """Return the row with a symbolic tensor in place of every array."""

    def replace(x: Any) -> Any:
        if isinstance(x, np.ndarray | jax.Array) and x.ndim:
            shape = (None, *x.shape[1:]) if open_batch else x.shape
            return tensor(shape, str(x.dtype))
        return type(x)(map(replace, x)) if isinstance(x, (list, tuple)) else x

    return Row(each.name, replace(each.args), {key: replace(value) for key, value in each.kwargs.items()})


def has_tensors(each: Row) -> bool:
    # How often each element is repeated decides about the shape: it has to be known.
    known = each.name == "repeat" and not isinstance(each.args[1], int)
    made = symbolic(KerasTensor, each)
    tensors = [x for x in leaves([made.args, made.kwargs]) if isinstance(x, KerasTensor)]
    return bool(tensors) and not known and each.name not in NO_TENSOR


SYMBOLIC = [number for number, each in enumerate(ROWS) if has_tensors(each)]
SYMBOLIC_IDS = [IDS[number] for number in SYMBOLIC]
# Here a symbolic result of Keras is not what its own function returns, or it has none.
KERAS_SAYS_OTHERWISE = {
    **dict.fromkeys(words("abs angle imag real polar multi_hot eig lu_factor"), "a type"),
    **dict.fromkeys(words("where corrcoef slogdet categorical_crossentropy"), "a shape"),
    **dict.fromkeys(words("adaptive_max_pool adaptive_average_pool"), "a shape"),
    **dict.fromkeys(words("average digitize searchsorted while_loop bincount linspace conv"), "an error"),
    "logsumexp": "float32 for 16-bit floats",
}


@pytest.mark.parametrize("number", SYMBOLIC, ids=SYMBOLIC_IDS)
def test_a_symbolic_call_says_what_the_function_returns(number):
    made = leaves(call(ops, symbolic(KerasTensor, ROWS[number])))
    assert len(made) == len(result(number))
    for tensor, value in zip(made, result(number), strict=True):
        assert isinstance(tensor, KerasTensor)
        assert tensor.dtype == dtype_of(value) or ROWS[number].name == "size"
        assert len(tensor.shape) == np.ndim(value)
        assert all(a in (None, b) for a, b in zip(tensor.shape, np.shape(value), strict=True))


def test_symbolic_calls_agree_with_keras(keras):
    differing = set()
    for number in SYMBOLIC:
        each = ROWS[number]
        made = leaves(call(ops, symbolic(KerasTensor, each)))
        try:
            theirs = leaves(call(keras.ops, symbolic(keras.KerasTensor, each)))
            same = [(x.shape, x.dtype) for x in made] == [(tuple(x.shape), x.dtype) for x in theirs]
        except (AttributeError, TypeError, ValueError):
            same = False
        if not same:
            differing.add(each.name)
    assert differing == set(KERAS_SAYS_OTHERWISE)


# Here the first axis is no batch, or another argument has none.
CLOSED_FIRST = set(
    words(
        "array_split vsplit hsplit split unstack depth_to_space cholesky cholesky_inverse det inv solve logdet "
        "broadcast_to conv dot image.scale_and_translate matmul scan scatter_update separable_conv tensordot "
        "slogdet eig eigh lu_factor solve_triangular qr svd pinv lstsq matrix_rank image.map_coordinates"
    )
)


@pytest.mark.parametrize("name", sorted({ROWS[number].name for number in SYMBOLIC} - CLOSED_FIRST))
def test_an_open_batch_stays_open_or_vanishes(name):
    number = next(number for number in SYMBOLIC if ROWS[number].name == name)
    made = leaves(call(ops, symbolic(KerasTensor, ROWS[number], open_batch=True)))
    for tensor, value in zip(made, result(number), strict=True):
        assert tensor.dtype == dtype_of(value) or name == "size"
        assert all(a in (None, b) for a, b in zip(tensor.shape, np.shape(value), strict=True))


def test_a_graph_of_operations_computes_what_they_do():
    a, b = KerasTensor((None, 4)), KerasTensor((None, 4))
    joined = ops.concatenate([ops.relu(a), b * 2], axis=1)
    made = {"mean": ops.mean(joined, axis=-1), "parts": ops.split(joined, 2, axis=1)}
    model = Model([a, b], [made["mean"], *made["parts"]])
    mean, first, second = model([X, Y])
    expected = np.concatenate([np.maximum(X, 0), Y * 2], axis=1)
    np.testing.assert_allclose(mean, expected.mean(axis=-1), rtol=1e-6)
    np.testing.assert_allclose(np.concatenate([first, second], axis=1), expected)


def test_a_branch_may_use_symbolic_tensors():
    x, flag = KerasTensor((None, 4)), KerasTensor((), "bool")
    model = Model([x, flag], ops.cond(flag, lambda: x + 1, lambda: ops.relu(x)))
    np.testing.assert_allclose(model([X, np.bool_(True)]), X + 1)
    np.testing.assert_allclose(model([X, np.bool_(False)]), np.maximum(X, 0))


def test_sizes_that_depend_on_values_are_open():
    found = ops.unique(KerasTensor((3, 4)), return_counts=True)
    assert [x.shape for x in found] == [(None,), (None,)]
    # They are not the same open size as a batch: no operation may take the two for equal.
    assert ops.nonzero(KerasTensor((None,)))[0].dims != KerasTensor((None,)).dims
    assert ops.hanning(KerasTensor((), "int32")).shape == (None,)


def test_a_convolution_of_an_open_batch():
    images = KerasTensor((None, 8, None, 3))
    assert ops.conv(images, np.ones((3, 3, 3, 2), "float32")).shape == (None, 6, None, 2)
    assert ops.matmul(KerasTensor((None, 5, 3)), np.ones((3, 2))).shape == (None, 5, 2)
    assert ops.shape(images) == (None, 8, None, 3)


NUMBERS = [[1.5, -2.0], [0.5, 4.0]]


@pytest.mark.parametrize(
    "name", words("add maximum matmul concatenate where softmax mean sort norm conv stop_gradient")
)
@pytest.mark.parametrize(
    "make", [Variable, lambda x: x, np.float32, jnp.asarray], ids=words("variable list numpy jax")
)
def test_what_stands_for_an_array(name, make):
    x = make(NUMBERS)
    args = {
        "add": (x, 1),
        "maximum": (x, x),
        "matmul": (x, x),
        "concatenate": ([x, x],),
        "where": ([True, False], x, x),
        "conv": (make([[[1.0], [2.0], [3.0]]]), make([[[1.0]], [[1.0]]])),
    }.get(name, (x,))
    plain = [[np.float32(item) for item in arg] if name == "concatenate" else arg for arg in args]
    plain = [np.asarray(arg) if isinstance(arg, Variable) else arg for arg in plain]
    np.testing.assert_allclose(getattr(ops, name)(*args), getattr(ops, name)(*plain), rtol=1e-6)


DIFFERENTIABLE = words(
    "tanh gelu softmax logsumexp mean var std cumsum sort max median clip where matmul einsum outer conv pad roll take "
    "depthwise_conv separable_conv conv_transpose max_pool average_pool adaptive_average_pool layer_normalization "
    "rms_normalization batch_normalization normalize dot_product_attention binary_crossentropy ctc_loss moments norm "
    "categorical_crossentropy sparse_categorical_crossentropy solve det inv cholesky take_along_axis divide_no_nan "
    "logaddexp stft rfft segment_sum scatter scatter_update unfold fold erf log1p sparse_plus hard_silu squareplus "
    "image.resize image.affine_transform image.gaussian_blur image.ssim image.rgb_to_hsv"
)


def gradient(module: Any, each: Row) -> Any:
    place = next(i for i, x in enumerate(each.args) if isinstance(x, np.ndarray) and x.dtype == np.float32)

    def total(x: Any) -> Any:
        args = (*each.args[:place], x, *each.args[place + 1 :])
        made = leaves(find(module, each.name)(*args, **each.kwargs))
        return sum(jnp.sum(jnp.cos(y)) for y in made if jnp.issubdtype(y.dtype, jnp.floating))

    return jax.jit(jax.grad(total))(each.args[place])


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients(keras, name):
    floats = [
        x for x in ROWS if x.name == name and any(getattr(a, "dtype", None) == np.float32 for a in x.args)
    ]
    np.testing.assert_allclose(gradient(ops, floats[0]), gradient(keras.ops, floats[0]), rtol=1e-4, atol=1e-5)


def test_the_gradient_is_what_its_author_says():
    @ops.custom_gradient
    def forward(x: Any, scale: Any) -> Any:
        return x * scale, lambda upstream: (upstream * 7.0, upstream * 0.0)

    assert jax.grad(forward)(2.0, 3.0) == 7.0
    assert forward(Variable([2.0]), 3.0).tolist() == [6.0]
    assert jax.grad(lambda x: ops.stop_gradient(x) * x)(3.0) == 3.0


@pytest.mark.parametrize("module", MODULES)
def test_public_names(keras, module):
    public_names.check(find(ops, module), find(keras.ops, module))


def signatures(module: Any) -> Iterator[tuple[str, list[Any]]]:
    for name in sorted(public_names.of(module)):
        parameters = inspect.signature(getattr(module, name)).parameters.values()
        yield name, [(p.name, p.kind, p.default) for p in parameters]


@pytest.mark.parametrize("module", MODULES)
def test_arguments_and_defaults(keras, module):
    ours = find(ops, module)
    for name, theirs in signatures(find(keras.ops, module)):
        parameters = inspect.signature(getattr(ours, name)).parameters.values()
        assert [(p.name, p.kind, p.default) for p in parameters] == theirs, name


def test_every_name_is_called(keras):
    called = {each.name for each in ROWS}
    names = public_names.of(keras.ops) | {f"image.{name}" for name in public_names.of(keras.ops.image)}
    assert names - called == {"custom_gradient", "vectorize"}


def test_functions_know_their_name_and_say_what_they_do():
    for name in public_names.of(ops):
        function = getattr(ops, name)
        if inspect.isfunction(function):
            assert function.__doc__, name
            assert getattr(ops, function.__name__) is function


@pytest.mark.parametrize(
    ("name", "args", "kwargs", "error"),
    [
        ("reshape", (X, (-1, -1)), {}, "newshape"),
        ("reshape", (X, (-2, 6)), {}, "newshape"),
        ("where", (X > 0, X), {}, "x1"),
        ("pad", (X, 1), {"mode": "reflect", "constant_values": 2}, "constant_values"),
        ("select", ([], []), {}, "empty"),
        ("det", (X,), {}, "square"),
        ("solve", (np.eye(3), np.ones(4)), {}, "Incompatible shapes"),
        ("cholesky", (-np.eye(3),), {}, "positive definite"),
        ("segment_sum", (X, [0, 1, 1]), {}, "num_segments"),
        ("stft", (X, 4, 0, 4), {}, "sequence_stride"),
        ("stft", (X, 4, 1, 2), {}, "fft_length"),
        ("fft", (X,), {}, "real and imaginary"),
        ("one_hot", ([1], 3), {"sparse": True}, "parse"),
        ("depth_to_space", (X, 1), {}, "block_size"),
        ("conv", (np.ones((1, 2, 1)), np.ones((3, 1, 1))), {}, "zero or negative"),
        ("binary_crossentropy", (X, X[:2]), {}, "shape"),
        ("ctc_decode", (np.ones((1, 2, 3)), [2]), {"strategy": "best"}, "strategy"),
        ("scatter_update", (X, [[0]], [1.0]), {"reduction": "mean"}, "reduction"),
        ("rearrange", (X, "a b c -> a"), {}, "pattern"),
        ("rearrange", (X, "a (b c) -> a b c"), {"b": 3}, "split"),
        ("image.resize", (np.ones((4, 4, 3)), (0, 2)), {}, "positive"),
        ("image.resize", (np.ones((4, 4)), (2, 2)), {}, "rank"),
        ("image.crop_images", (np.ones((4, 4, 3)), 1), {}, "exactly two"),
        ("image.pad_images", (np.ones((4, 4, 3)), 1, 1, 1, 1, 1), {}, "exactly two"),
        ("image.pad_images", (np.ones((4, 4, 3)), None, 1, 9, 1, 5), {}, "must be >= 0"),
        ("image.rgb_to_hsv", (np.ones((4, 4, 3), "uint8"),), {}, "float"),
    ],
)
def test_bad_arguments(name, args, kwargs, error):
    with pytest.raises(ValueError, match=error):
        find(ops, name)(*args, **kwargs)


@pytest.mark.parametrize(
    ("name", "args"),
    [("fabs", (X + 1j,)), ("ldexp", (X, Y)), ("eye", (2.0,)), ("stft", (X.astype(int), 2, 1, 2))],
)
def test_wrong_types(name, args):
    with pytest.raises(TypeError):
        getattr(ops, name)(*args)


def test_an_operation_costs_little_where_nothing_is_symbolic(monkeypatch):
    # No node, no object, no walk through JAX's trees.
    monkeypatch.setattr(Operation, "__init__", None)
    monkeypatch.setattr(tree, "flatten", None)
    assert ops.add(jnp.ones(2), jnp.ones(2)).tolist() == [2.0, 2.0]
