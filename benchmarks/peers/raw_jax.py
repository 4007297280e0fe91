"""JAX by hand: pure functions, one jitted step with donated buffers, a straightforward Adam."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.peers import batches_of
from benchmarks.workloads import VOCABULARY, Workload


def make(workload: Workload) -> RawJax:
    """Draw the parameters of the workload's model."""
    return RawJax(workload)


class _Draw:
    def __init__(self, seed: int = 0):
        self.rng = np.random.default_rng(seed)

    def dense(self, inputs: int, outputs: int) -> dict[str, np.ndarray]:
        return {"w": self.glorot((inputs, outputs), inputs, outputs), "b": np.zeros(outputs, np.float32)}

    def conv(self, inputs: int, outputs: int) -> dict[str, np.ndarray]:
        kernel = self.glorot((3, 3, inputs, outputs), 9 * inputs, 9 * outputs)
        return {"w": kernel, "b": np.zeros(outputs, np.float32)}

    def glorot(self, shape: tuple[int, ...], fan_in: int, fan_out: int) -> np.ndarray:
        limit = (6 / (fan_in + fan_out)) ** 0.5
        return self.rng.uniform(-limit, limit, shape).astype(np.float32)

    def embedding(self, rows: int, dim: int) -> np.ndarray:
        return self.rng.uniform(-0.05, 0.05, (rows, dim)).astype(np.float32)


def _dense(p: Any, x: Any) -> Any:
    return x @ p["w"] + p["b"]


def _dropout(key: Any, x: Any, rate: float) -> Any:
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)


def _mlp_parameters(draw: _Draw, *sizes: int) -> list[Any]:
    return [draw.dense(a, b) for a, b in itertools.pairwise(sizes)]


def _mlp(p: Any, x: Any, key: Any, training: bool) -> Any:
    for layer in p[:-1]:
        x = jax.nn.relu(_dense(layer, x))
    return _dense(p[-1], x)


def _cnn_parameters(draw: _Draw) -> dict[str, Any]:
    return {"first": draw.conv(1, 32), "second": draw.conv(32, 64), "head": draw.dense(1600, 10)}


def _cnn(p: Any, x: Any, key: Any, training: bool) -> Any:
    for layer in (p["first"], p["second"]):
        x = jax.lax.conv_general_dilated(
            x, layer["w"], (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(x + layer["b"])
        x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    x = x.reshape(len(x), -1)
    return _dense(p["head"], _dropout(key, x, 0.5) if training else x)


def _lstm_parameters(draw: _Draw) -> dict[str, Any]:
    bias = np.zeros(256, np.float32)
    bias[64:128] = 1
    return {
        "embedding": draw.embedding(VOCABULARY, 64),
        "kernel": draw.glorot((64, 256), 64, 256),
        "recurrent": draw.glorot((64, 256), 64, 256),
        "bias": bias,
        "head": draw.dense(64, 2),
    }


def _lstm(p: Any, x: Any, key: Any, training: bool) -> Any:
    x = p["embedding"][x]
    state_mask = jnp.ones((len(x), 64))
    if training:
        inputs_key, state_key = jax.random.split(key)
        # One mask for all times, as in Keras.
        x = x * _dropout(inputs_key, jnp.ones((len(x), 1, 64)), 0.2)
        state_mask = _dropout(state_key, state_mask, 0.2)

    def step(carry: Any, inputs: Any) -> Any:
        h, c = carry
        gates = inputs + (h * state_mask) @ p["recurrent"]
        i, f, g, o = jnp.split(gates, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

    zeros = jnp.zeros((len(x), 64))
    projected = jnp.swapaxes(x @ p["kernel"] + p["bias"], 0, 1)
    (h, _), _ = jax.lax.scan(step, (zeros, zeros), projected)
    return _dense(p["head"], h)


def _encoder_parameters(draw: _Draw) -> dict[str, Any]:
    def norm() -> dict[str, np.ndarray]:
        return {"scale": np.ones(128, np.float32), "shift": np.zeros(128, np.float32)}

    def block() -> dict[str, Any]:
        names = ("query", "key", "value", "out")
        return {
            **{name: draw.dense(128, 128) for name in names},
            "first": norm(),
            "wide": draw.dense(128, 512),
            "narrow": draw.dense(512, 128),
            "second": norm(),
        }

    return {
        "tokens": draw.embedding(VOCABULARY, 128),
        "positions": draw.embedding(128, 128),
        "blocks": [block() for _ in range(2)],
        "head": draw.dense(128, 2),
    }


def _normalize(p: Any, x: Any) -> Any:
    mean = x.mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-6) * p["scale"] + p["shift"]


def _encoder(p: Any, x: Any, key: Any, training: bool) -> Any:
    def drop(x: Any) -> Any:
        nonlocal key
        if not training:
            return x
        key, now = jax.random.split(key)
        return _dropout(now, x, 0.1)

    x = p["tokens"][x] + p["positions"]
    for block in p["blocks"]:
        query, keys, value = (
            _dense(block[name], x).reshape(*x.shape[:2], 4, 32) for name in ("query", "key", "value")
        )
        scores = jnp.einsum("bqhd,bkhd->bhqk", query, keys) / 32**0.5
        weights = drop(jax.nn.softmax(scores))
        mixed = jnp.einsum("bhqk,bkhd->bqhd", weights, value).reshape(x.shape)
        x = _normalize(block["first"], x + drop(_dense(block["out"], mixed)))
        y = _dense(block["narrow"], jax.nn.relu(_dense(block["wide"], x)))
        x = _normalize(block["second"], x + drop(y))
    return _dense(p["head"], x.mean(1))


MODELS: dict[str, tuple[Callable[[_Draw], Any], Callable[..., Any]]] = {
    "mlp": (lambda draw: _mlp_parameters(draw, 784, 128, 64, 10), _mlp),
    "digits": (lambda draw: _mlp_parameters(draw, 64, 64, 10), _mlp),
    "cnn": (_cnn_parameters, _cnn),
    "lstm": (_lstm_parameters, _lstm),
    "encoder": (_encoder_parameters, _encoder),
}


def adam(step: Any, p: Any, grads: Any, m: Any, v: Any, rate: float = 1e-3) -> tuple[Any, Any, Any]:
    """Kingma and Ba, 2015, https://arxiv.org/abs/1412.6980, with the rate corrected as in its section 2."""
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
    rate = rate * jnp.sqrt(1 - 0.999**step) / (1 - 0.9**step)
    p = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-7), p, m, v)
    return p, m, v


class RawJax:
    """A model's parameters and its two programs."""

    def __init__(self, workload: Workload):
        parameters, model = MODELS[workload.name]
        self.batch = workload.batch
        p = jax.tree.map(jnp.asarray, parameters(_Draw()))
        zeros = functools.partial(jax.tree.map, jnp.zeros_like)
        self.state = (jnp.zeros(()), jax.random.key(0), p, zeros(p), zeros(p))
        self.rng = np.random.default_rng(1)

        def loss_of(p: Any, x: Any, y: Any, key: Any) -> Any:
            logits = jax.nn.log_softmax(model(p, x, key, True))
            return -jnp.take_along_axis(logits, y[:, None], axis=1).mean()

        @functools.partial(jax.jit, donate_argnums=0)
        def step(state: Any, x: Any, y: Any) -> Any:
            count, key, p, m, v = state
            key, now = jax.random.split(key)
            loss, grads = jax.value_and_grad(loss_of)(p, x, y, now)
            return loss, (count + 1, key, *adam(count + 1, p, grads, m, v))

        self.step = step
        self.apply = jax.jit(lambda p, x: model(p, x, None, False))

    def fit(self, x: np.ndarray, y: np.ndarray, epochs: int) -> float:
        losses = []
        for _ in range(epochs):
            losses = []
            for chosen in batches_of(self.rng.permutation(len(x)), self.batch):
                loss, self.state = self.step(self.state, x[chosen], y[chosen])
                losses.append(loss)
        return float(jnp.mean(jnp.stack(losses)))

    def predict(self, x: np.ndarray, batch: int) -> np.ndarray:
        parts = [self.apply(self.state[2], x[i : i + batch]) for i in range(0, len(x), batch)]
        return np.concatenate([np.asarray(part) for part in parts])

    def dense_call(self) -> Callable[[], Any]:
        p, x = jax.tree.map(jnp.asarray, _Draw().dense(64, 64)), jnp.ones((1, 64))
        return lambda: _dense(p, x)
