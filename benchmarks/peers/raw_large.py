"""The large models in JAX by hand: float32 parameters, bfloat16 arithmetic, one jitted step with donated buffers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.peers import batches_of
from benchmarks.peers.keras_large import STAGES
from benchmarks.peers.raw_jax import adam

HALF = jnp.bfloat16


class _Draw:
    def __init__(self, seed: int = 0):
        self.rng = np.random.default_rng(seed)

    def kernel(self, *shape: int) -> np.ndarray:
        fans = np.prod(shape[:-2]) * (shape[-2] + shape[-1])
        limit = (6 / fans) ** 0.5
        return self.rng.uniform(-limit, limit, shape).astype(np.float32)

    def dense(self, inputs: int, outputs: int) -> dict[str, np.ndarray]:
        return {"w": self.kernel(inputs, outputs), "b": np.zeros(outputs, np.float32)}

    def normalization(self, width: int) -> dict[str, np.ndarray]:
        return {"scale": np.ones(width, np.float32), "shift": np.zeros(width, np.float32)}

    def convolution(self, window: int, inputs: int, outputs: int) -> dict[str, Any]:
        return {"w": self.kernel(window, window, inputs, outputs), "norm": self.normalization(outputs)}


def _dense(p: Any, x: Any) -> Any:
    return x @ p["w"].astype(x.dtype) + p["b"].astype(x.dtype)


def _layer_norm(p: Any, x: Any) -> Any:
    wide = x.astype(jnp.float32)
    mean = wide.mean(-1, keepdims=True)
    wide = (wide - mean) * lax.rsqrt(wide.var(-1, keepdims=True) + 1e-3)
    return (wide * p["scale"] + p["shift"]).astype(x.dtype)


def _gpt_parameters(draw: _Draw, size: Any) -> dict[str, Any]:
    def block() -> dict[str, Any]:
        return {
            "first": draw.normalization(size.width),
            "qkv": draw.dense(size.width, 3 * size.width),
            "out": draw.dense(size.width, size.width),
            "second": draw.normalization(size.width),
            "wide": draw.dense(size.width, 4 * size.width),
            "narrow": draw.dense(4 * size.width, size.width),
        }

    return {
        "tokens": draw.rng.uniform(-0.05, 0.05, (size.vocabulary, size.width)).astype(np.float32),
        "positions": draw.rng.uniform(-0.05, 0.05, (size.time, size.width)).astype(np.float32),
        "blocks": [block() for _ in range(size.blocks)],
        "last": draw.normalization(size.width),
        "head": draw.kernel(size.width, size.vocabulary),
    }


def _gpt(p: Any, statistics: Any, x: Any, size: Any, fused: bool = True) -> tuple[Any, Any]:
    implementation = "cudnn" if fused and jax.default_backend() == "gpu" else "xla"
    x = p["tokens"][x].astype(HALF) + p["positions"].astype(HALF)
    for block in p["blocks"]:
        heads = _dense(block["qkv"], _layer_norm(block["first"], x))
        query, key, value = jnp.split(heads.reshape(*x.shape[:2], size.heads, -1), 3, axis=-1)
        mixed = jax.nn.dot_product_attention(query, key, value, is_causal=True, implementation=implementation)
        x = x + _dense(block["out"], mixed.reshape(x.shape))
        y = jax.nn.gelu(_dense(block["wide"], _layer_norm(block["second"], x)), approximate=False)
        x = x + _dense(block["narrow"], y)
    return (_layer_norm(p["last"], x) @ p["head"].astype(HALF)).astype(jnp.float32), statistics


def _resnet_parameters(draw: _Draw, size: Any) -> dict[str, Any]:
    blocks, channels = [], size.filters
    for stage, count in enumerate(STAGES):
        filters = size.filters * 2**stage
        for block in range(count):
            widened = {"skip": draw.convolution(1, channels, 4 * filters)} if not block else {}
            parts = [
                draw.convolution(1, channels, filters),
                draw.convolution(3, filters, filters),
                draw.convolution(1, filters, 4 * filters),
            ]
            blocks.append({"parts": parts, **widened})
            channels = 4 * filters
    stem = draw.convolution(7, 3, size.filters)
    return {"stem": stem, "blocks": blocks, "head": draw.dense(channels, size.classes)}


def _resnet(p: Any, statistics: Any, x: Any, size: Any, fused: bool = True) -> tuple[Any, Any]:
    following = []
    running = iter(statistics)

    def convolved(p: Any, x: Any, stride: int = 1, activate: bool = True) -> Any:
        kernel = p["w"].astype(HALF)
        x = lax.conv_general_dilated(
            x, kernel, (stride,) * 2, "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        wide = x.astype(jnp.float32)
        mean, variance = wide.mean((0, 1, 2)), wide.var((0, 1, 2))
        following.append(
            jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, next(running), (mean, variance))
        )
        scale = lax.rsqrt(variance + 1e-5) * p["norm"]["scale"]
        x = (wide * scale + (p["norm"]["shift"] - mean * scale)).astype(HALF)
        return jax.nn.relu(x) if activate else x

    x = convolved(p["stem"], x.astype(HALF), 2)
    x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME")
    strides = [
        2 if stage and not block else 1 for stage, count in enumerate(STAGES) for block in range(count)
    ]
    for block, stride in zip(p["blocks"], strides, strict=True):
        first, second, third = block["parts"]
        y = convolved(third, convolved(second, convolved(first, x), stride), activate=False)
        x = convolved(block["skip"], x, stride, activate=False) if "skip" in block else x
        x = jax.nn.relu(x + y)
    return _dense(p["head"], x.mean((1, 2))).astype(jnp.float32), following


def _statistics(p: Any) -> list[Any]:
    """Return the running mean and variance of every batch normalization, in the order of its use."""
    convolutions = [p["stem"]]
    for block in p["blocks"]:
        convolutions += [*block["parts"], *([block["skip"]] if "skip" in block else [])]
    return [(jnp.zeros_like(c["norm"]["shift"]), jnp.ones_like(c["norm"]["scale"])) for c in convolutions]


MODELS: dict[str, tuple[Callable[..., Any], Callable[..., Any], Callable[[Any], Any]]] = {
    "gpt": (_gpt_parameters, _gpt, lambda p: []),
    "resnet50": (_resnet_parameters, _resnet, _statistics),
}


class RawLarge:
    """Parameters and a step.

    Args:
        name: ``"gpt"`` or ``"resnet50"``.
        size: How large it is, a ``benchmarks.large.Size``.
    """

    def __init__(self, name: str, size: Any):
        parameters, model, statistics = MODELS[name]
        p = jax.tree.map(jnp.asarray, parameters(_Draw(), size))
        zeros = functools.partial(jax.tree.map, jnp.zeros_like)
        self.state = (jnp.zeros(()), p, zeros(p), zeros(p), statistics(p))
        self.rng = np.random.default_rng(1)

        def loss_of(p: Any, statistics: Any, x: Any, y: Any) -> Any:
            logits, statistics = model(p, statistics, x, size)
            logits = jax.nn.log_softmax(logits)
            return -jnp.take_along_axis(logits, y[..., None], axis=-1).mean(), statistics

        @functools.partial(jax.jit, donate_argnums=0)
        def step(state: Any, x: Any, y: Any) -> Any:
            count, p, m, v, statistics = state
            (loss, statistics), grads = jax.value_and_grad(loss_of, has_aux=True)(p, statistics, x, y)
            return loss, (count + 1, *adam(count + 1, p, grads, m, v), statistics)

        self.step = step

    def fit(self, x: np.ndarray, y: np.ndarray, batch: int) -> float:
        losses = []
        for chosen in batches_of(self.rng.permutation(len(x)), batch):
            loss, self.state = self.step(self.state, x[chosen], y[chosen])
            losses.append(loss)
        return float(jnp.mean(jnp.stack(losses)))


def forward_flops(name: str, size: Any) -> float:
    """Return the arithmetic of one sample's way through a model, as XLA counts it; nothing is computed."""
    parameters, model, statistics = MODELS[name]
    p = jax.eval_shape(lambda: jax.tree.map(jnp.asarray, parameters(_Draw(), size)))
    known = jax.eval_shape(statistics, p)
    x = (
        jax.ShapeDtypeStruct((1, size.time), jnp.int32)
        if name == "gpt"
        else jax.ShapeDtypeStruct((1, size.image, size.image, 3), jnp.float32)
    )
    lowered = jax.jit(functools.partial(model, size=size, fused=False)).lower(p, known, x)
    costs: Any = lowered.cost_analysis()
    return float(costs["flops"])
