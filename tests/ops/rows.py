"""At least one call of every operation of ``keras.ops``: what is compared with Keras."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from tests.ops.row import E3, HOT, SIGNAL, B, C, M, N, Row, U, X, Y, real, row, unit, words
from tests.ops.rows_networks import NETWORKS

SPECIAL = np.float32([[0.0, -0.0, np.inf], [-np.inf, np.nan, -1.5]])
SQUARE = (real(2, 3, 3) + 4 * np.eye(3)).astype("float32")
POSITIVE = SQUARE @ SQUARE.transpose(0, 2, 1)


UNARY = words(
    "abs absolute arcsinh arctan ceil cos cosh deg2rad exp exp2 expm1 fabs floor i0 isfinite isinf isnan isneginf "
    "isposinf negative rad2deg sign signbit sin sinc sinh square tan tanh trunc erf conj conjugate copy real imag "
    "isreal logical_not angle cbrt fliplr flipud ravel ndim size relu relu6 sigmoid silu swish softplus softsign selu "
    "hard_sigmoid hard_silu hard_swish hard_tanh log_sigmoid sparse_plus sparse_sigmoid tanh_shrink elu celu gelu "
    "leaky_relu squareplus hard_shrink soft_shrink softmax log_softmax glu stop_gradient ones_like zeros_like "
    "nan_to_num round shape dtype"
)
POSITIVES = words("arccos arcsin arctanh log log10 log1p log2 reciprocal sqrt rsqrt erfinv erfc")
ON_INTEGERS = words(
    "abs angle ceil cos exp exp2 expm1 floor i0 log log10 log1p log2 negative sin sqrt square tan tanh trunc round "
    "relu mean std var sum prod max min median argmax argsort cumsum cumprod sign cbrt isfinite fabs ptp logical_not "
    "all any amax amin count_nonzero nansum nanmax nanmean"
)
ON_HALVES = words("mean std var sum exp sqrt softmax gelu median logsumexp cumsum relu tanh max argmax")
BINARY = words(
    "add subtract multiply divide true_divide maximum minimum fmax fmin arctan2 logaddexp logaddexp2 heaviside hypot "
    "equal not_equal greater greater_equal less less_equal logical_and logical_or logical_xor nextafter "
    "divide_no_nan isclose allclose vdot inner outer kron mod fmod floor_divide"
)
INTEGERS = words(
    "bitwise_and bitwise_or bitwise_xor bitwise_left_shift left_shift bitwise_right_shift right_shift gcd lcm mod fmod "
    "floor_divide power"
)
MIXED = words(
    "add subtract multiply divide maximum minimum power mod floor_divide arctan2 equal where matmul dot"
)
REDUCTIONS = words(
    "all any amax amin max min mean sum prod std var median ptp nanmax nanmin nanmean nansum nanprod nanstd nanvar "
    "nanmedian argmax argmin nanargmax nanargmin logsumexp"
)

elementwise = [
    *(row(name, X) for name in UNARY),
    *(row(name, SPECIAL) for name in UNARY[:42]),
    *(row(name, U) for name in POSITIVES),
    *(row(name, N) for name in ON_INTEGERS),
    *(row(name, B) for name in ("exp", "mean", "sum", "sin", "trunc", "var", "cumsum", "prod", "max")),
    *(row(name, X.astype("float16")) for name in ON_HALVES),
    *(row(name, jnp.asarray(X, "bfloat16")) for name in ON_HALVES if name != "median"),
    *(row(name, C) for name in ("abs", "angle", "conj", "imag", "real", "isreal", "exp", "view_as_real")),
    row("arccosh", 1 + U),
    row("bitwise_invert", N),
    row("bitwise_not", N),
    *(row(name, X, Y) for name in BINARY),
    *(row(name, N, M) for name in INTEGERS),
    *(row(name, X, 2.0) for name in ("add", "multiply", "maximum", "power", "greater", "divide")),
    *(row(name, N, 2.5) for name in ("add", "multiply", "maximum", "power")),
    *(row(name, X.astype("float16"), 2) for name in ("add", "multiply", "subtract")),
    row("clip", X, -0.5, 0.5),
    row("clip", N, 2, 5),
    row("clip", B, 0, 1),
    row("isclose", X, X + 1e-6, rtol=1e-3),
    row("isin", N, [1, 2, 3]),
    row("isin", N, [1, 2, 3], invert=True),
    row("ldexp", X, N),
    row("nan_to_num", SPECIAL, nan=1.0, posinf=5.0, neginf=-5.0),
    row("round", X, decimals=2),
    row("round", N * 100 + 37, decimals=-2),
    row("select", [X > 0.5, X < -0.5], [X, Y], 7.0),
    row("view", X, "int32"),
    row("where", B, X, Y),
    row("where", B, X, 0),
    row("where", B),
    row("power", U, Y),
    row("celu", X, alpha=0.5),
    row("elu", X, alpha=0.5),
    row("gelu", X, approximate=False),
    row("glu", X, axis=1),
    row("leaky_relu", X, negative_slope=0.1),
    row("softmax", X, axis=(0, 1)),
    row("log_softmax", X, axis=0),
    row("squareplus", X, b=2.0),
    row("threshold", X, 0.1, -3.0),
    # Where one element stands out: Keras 3.15 subtracts too much where more of them stay above 0.
    row("sparsemax", HOT * 9 + U),
    row("saturate_cast", X * 300, "uint8"),
    row("saturate_cast", X * 1e10, "int32"),
    row("saturate_cast", N, "bool"),
    row("saturate_cast", X, "float16"),
    row("cast", X, "int32"),
    row("cast", N, "float16"),
    row("convert_to_tensor", [[1, 2], [3, 4]]),
    row("convert_to_tensor", X, dtype="float16"),
    row("convert_to_numpy", X),
    row("is_tensor", X),
    row("polar", U, X),
    row("view_as_complex", real(3, 2)),
    row("get_item", X, (slice(None), 1)),
]

reductions = [
    *(row(name, X, axis=1) for name in REDUCTIONS),
    *(row(name, X, axis=0, keepdims=True) for name in REDUCTIONS),
    *(
        row(name, X, axis=(0, 1))
        for name in ("sum", "mean", "var", "all", "nanmax", "median", "logsumexp", "std")
    ),
    row("argmax", np.float32([[-0.0, 0.0], [0.0, -0.0]]), axis=1),
    row("argmin", np.float32([[0.0, -0.0], [-0.0, 0.0]]), axis=1),
    row("max", X, axis=1, initial=0.5),
    row("min", X, axis=1, initial=-0.5),
    row("prod", N, axis=1, dtype="float32"),
    row("count_nonzero", N, axis=1),
    row("average", X),
    row("average", X, axis=1, weights=U),
    row("average", N, axis=0, weights=[1, 2, 3]),
    *(row(name, X, axis=1) for name in ("cumsum", "cumprod", "nancumsum", "nancumprod")),
    *(row(name, X) for name in ("cumsum", "nancumprod")),
    row("cumsum", N, axis=0, dtype="float32"),
    *(row(name, X, 30.0, axis=1) for name in ("percentile", "nanpercentile")),
    *(row(name, X, [0.2, 0.7], axis=0, keepdims=True) for name in ("quantile", "nanquantile")),
    row("quantile", N, 0.3, method="nearest"),
    row("quantile", X, 0.3, keepdims=True),
    row("corrcoef", X),
    row("bincount", N[0]),
    row("bincount", N, minlength=12),
    row("bincount", N[0], weights=U[0]),
    row("diff", X, n=2, axis=0),
    row("digitize", X, [-1.0, 0.0, 1.0]),
    row("histogram", X.ravel(), bins=5),
    row("histogram", X.ravel(), bins=4, range=(-1.0, 1.0)),
    row("nonzero", B),
    row("searchsorted", np.float32([-1, 0, 1]), X),
    row("searchsorted", [1, 3, 5], N, side="right"),
    row("sort", X),
    row("sort", X, axis=0),
    row("argsort", X, axis=0),
    row("argsort", np.float32(3.0)),
    row("argpartition", X, 2),
    row("trapezoid", X),
    row("trapezoid", X, np.float32([0, 1, 3, 6])),
    row("trapezoid", X, dx=0.5, axis=0),
    row("unique", N),
    row("unique", N, return_index=True, return_inverse=True, return_counts=True),
    row("unique", N, size=12, fill_value=-1),
    row("top_k", X, 2),
    row("in_top_k", np.int32([0, 1, 3]), X, 2),
    row("moments", X, axes=[0]),
    row("moments", X.astype("float16"), axes=[0, 1], keepdims=True),
    *(row(name, X, N[:, 0] % 2, num_segments=3) for name in ("segment_sum", "segment_max", "segment_min")),
    row("segment_prod", X, np.int32([0, 0, 2]), num_segments=3, sorted=True),
]

shaping = [
    row("append", X, Y, axis=1),
    row("append", X, Y),
    row("array_split", real(7, 2), 3),
    row("broadcast_to", X[:1], (3, 4)),
    row("concatenate", [X, Y], axis=1),
    row("concatenate", [X, N]),
    row("diag", X[0], k=1),
    row("diag", SQUARE[0]),
    row("diagflat", X, k=-1),
    row("diagonal", E3, offset=1, axis1=1, axis2=2),
    row("dsplit", E3, 2),
    row("hsplit", X, [1, 3]),
    row("vsplit", X, 3),
    row("split", X, 2, axis=1),
    row("split", X, [1, 3], axis=1),
    *(row(name, [X, Y]) for name in ("dstack", "hstack", "vstack")),
    row("stack", [X, Y], axis=1),
    row("expand_dims", X, 1),
    row("expand_dims", X, (0, 2)),
    row("flip", X),
    row("flip", X, axis=1),
    row("moveaxis", E3, 0, -1),
    row("pad", X, 1),
    row("pad", X, ((1, 2), (0, 1)), constant_values=3.0),
    row("pad", X, ((1, 1), (1, 1)), mode="reflect"),
    row("rearrange", E3, "a b (c d) -> (a c) d b", c=2),
    row("rearrange", E3, "a b c -> c b a"),
    row("repeat", X, 2, axis=1),
    row("repeat", X, np.int32([1, 0, 2]), axis=0),
    row("reshape", X, (2, -1)),
    row("reshape", X, -1),
    row("roll", X, 1),
    row("roll", X, 2, axis=1),
    row("rot90", X, k=1),
    row("rot90", E3, k=3, axes=(1, 2)),
    row("squeeze", X[:, :1]),
    row("squeeze", X[None, :, None], axis=0),
    row("swapaxes", E3, 0, 2),
    row("take", X, [1, 0], axis=1),
    row("take", X, N),
    row("take_along_axis", X, N % 3, axis=0),
    row("tile", X, (2, 1)),
    row("trace", E3, axis1=1, axis2=2),
    row("transpose", X),
    row("transpose", E3, (2, 0, 1)),
    row("tril", E3, k=-1),
    row("triu", E3, k=1),
    row("unravel_index", N, (3, 4)),
    row("unstack", X),
    row("unstack", X, axis=1),
    row("meshgrid", X[0], Y[1]),
    row("meshgrid", X[0], Y[1], indexing="ij"),
    row("depth_to_space", real(2, 3, 2, 8), 2),
    row("depth_to_space", real(2, 8, 3, 2), 2, data_format="channels_first"),
    row("space_to_depth", real(2, 4, 6, 3), 2),
    row("space_to_depth", real(2, 3, 4, 6), 2, data_format="channels_first"),
    row("unfold", real(2, 3, 6, 5), 2),
    row("unfold", real(2, 3, 7, 6), (3, 2), dilation=(1, 2), padding=(1, 0), stride=(2, 1)),
    row("fold", real(2, 12, 20), (6, 5), 2),
    row("fold", real(2, 18, 16), (7, 6), (3, 2), dilation=(1, 2), padding=(1, 0), stride=(2, 1)),
]

creation = [
    row("arange", 5),
    row("arange", 1, 7, 2),
    row("arange", 1.0, 2.0, 0.25),
    row("arange", 3, dtype="float16"),
    row("array", X),
    row("array", [1, 2.5], dtype="float16"),
    *(row(name, 7) for name in ("bartlett", "blackman", "hamming", "hanning")),
    row("kaiser", 7, 8.6),
    *(row(name, (2, 3)) for name in ("empty", "ones", "zeros")),
    *(row(name, (2, 3), dtype="int8") for name in ("empty", "ones", "zeros")),
    *(row(name, X, dtype="int32") for name in ("empty_like", "ones_like", "zeros_like")),
    row("empty_like", X),
    row("eye", 3),
    row("eye", 3, 4, k=1, dtype="int32"),
    row("full", (2, 2), 7),
    row("full_like", X, 2),
    row("full_like", N, 2.7),
    row("geomspace", 1.0, 100.0, num=5),
    row("identity", 3),
    row("linspace", 0.0, 1.0, num=5),
    row("linspace", X, Y, num=3, endpoint=False, retstep=True, axis=1),
    row("logspace", 0.0, 2.0, num=5, base=2.0),
    row("tri", 3, 4, k=1),
    row("vander", X[0]),
    row("vander", X[0], N=3, increasing=True),
]

products = [
    row("correlate", X[0], Y[0], mode="full"),
    row("correlate", X[0], Y[0, :2]),
    row("cross", real(4, 3), real(4, 3)),
    row("cross", real(3, 4), real(3, 4), axis=0),
    row("dot", X, Y.T),
    row("dot", E3, Y.T),
    row("einsum", "ij,kj->ik", X, Y),
    row("einsum", "ij,kj->ik", N.astype("int8"), M.astype("int8")),
    row("matmul", X, Y.T),
    row("matmul", N.astype("int8"), M.T.astype("int8")),
    row("matmul", E3, Y.T),
    row("tensordot", E3, Y.T, axes=1),
    row("tensordot", E3, E3, axes=[[0, 1], [0, 1]]),
    *(row(name, N, X) for name in MIXED if name not in ("matmul", "dot", "where")),
    *(row(name, X.astype("float16"), Y) for name in MIXED if name not in ("matmul", "dot", "where")),
    *(row(name, N, X.T) for name in ("matmul", "dot")),
    row("cdist", X, real(5, 4)),
]

linalg = [
    row("cholesky", POSITIVE),
    row("cholesky", POSITIVE, upper=True),
    row("cholesky_inverse", np.linalg.cholesky(POSITIVE[0])),
    row("cholesky_inverse", np.linalg.cholesky(POSITIVE[0]).T.copy(), upper=True),
    *(row(name, SQUARE) for name in ("det", "inv", "slogdet", "logdet", "lu_factor")),
    row("eigh", POSITIVE),
    row("eig", POSITIVE[0]),
    row("jvp", jnp.sin, (X,), (Y,)),
    row("jvp", lambda x: (x**2, x.sum()), (X,), (Y,), has_aux=True),
    row("lstsq", X[:, :2], Y[:, 0]),
    row("lstsq", X[:, :2], Y),
    row("matrix_rank", SQUARE),
    row("norm", X),
    row("norm", X, ord=1, axis=1, keepdims=True),
    row("norm", N, ord="fro", axis=(0, 1)),
    row("norm", X, ord=np.inf, axis=0),
    row("pinv", X),
    row("qr", X),
    row("qr", X.T, mode="complete"),
    row("solve", SQUARE[0], real(3)),
    row("solve", SQUARE, real(2, 3, 5)),
    row("solve_triangular", SQUARE, real(2, 3, 5)),
    row("solve_triangular", SQUARE[0], real(3), lower=True),
    row("svd", X),
    row("svd", X, full_matrices=False),
    row("svd", X, compute_uv=False),
]

PAIR = (real(2, 5, 9), real(2, 5, 9))
transforms = [
    row("extract_sequences", SIGNAL, 6, 4),
    *(row(name, (real(3, 4), real(3, 4))) for name in ("fft", "fft2", "ifft2")),
    row("rfft", SIGNAL),
    row("rfft", SIGNAL, fft_length=20),
    row("irfft", (real(2, 9), real(2, 9))),
    row("irfft", (real(2, 9), real(2, 9)), fft_length=15),
    row("stft", SIGNAL, 8, 4, 16),
    row("stft", SIGNAL, 8, 3, 9, window="hamming", center=False),
    row("stft", SIGNAL, 8, 4, 8, window=None),
    row("stft", SIGNAL, 8, 4, 10, window=unit(8)),
    row("istft", PAIR, 12, 4, 16),
    row("istft", PAIR, 16, 4, 16, length=20, window="hamming"),
    row("istft", PAIR, 16, 4, 16, center=False),
]

control = [
    row("associative_scan", jnp.add, X, reverse=True, axis=1),
    row("cond", np.bool_(True), lambda: jnp.ones(2), lambda: jnp.zeros(2)),
    row("fori_loop", 0, 3, lambda i, x: x * 2 + i, X),
    row("map", lambda x: {"a": x.sum(), "b": x * 2}, X),
    row("scan", lambda carry, x: (carry + x, carry * 2), X[0], Y),
    row("scan", lambda carry, x: (carry + 1, carry), 0, length=3, reverse=True, unroll=2),
    row("scatter", np.int32([[0], [2], [0]]), X, (5, 4)),
    *(
        row("scatter_update", X, [[0, 1], [2, 3]], np.float32([7, 8]), reduction=r)
        for r in (None, "add", "MUL")
    ),
    *(row("scatter_update", X, [[0], [2]], Y[:2], reduction=r) for r in ("max", "min")),
    row("slice", X, [1, 1], [2, -1]),
    row("slice_update", X, [1, 1], Y[:2, :2]),
    row("switch", 1, [lambda x: x + 1, lambda x: x * 2], X),
    row("switch", 7, [lambda x: x + 1, lambda x: x * 2], X),
    row("vectorized_map", lambda x: x @ x, X),
    row("while_loop", lambda i, x: i < 3, lambda i, x: (i + 1, x * 2), (0, X)),
    row("while_loop", lambda x: x.sum() < 1e9, lambda x: [x + 1], [X], maximum_iterations=4),
]

ROWS: list[Row] = [
    *elementwise,
    *reductions,
    *shaping,
    *creation,
    *products,
    *linalg,
    *transforms,
    *NETWORKS,
    *control,
]
