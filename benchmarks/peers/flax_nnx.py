"""Flax NNX as its guides write it: modules, `nnx.Optimizer`, `nnx.jit` with its arguments cached."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from benchmarks.peers import batches_of
from benchmarks.workloads import VOCABULARY, Workload


def make(workload: Workload) -> FlaxNnx:
    """Build the workload's module and its optimizer."""
    return FlaxNnx(workload)


class Mlp(nnx.Module):
    def __init__(self, *sizes: int, rngs: nnx.Rngs):
        self.layers = nnx.List([nnx.Linear(a, b, rngs=rngs) for a, b in itertools.pairwise(sizes)])

    def __call__(self, x: Any) -> Any:
        for layer in self.layers[:-1]:
            x = nnx.relu(layer(x))
        return self.layers[-1](x)


class Cnn(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.first = nnx.Conv(1, 32, (3, 3), padding="VALID", rngs=rngs)
        self.second = nnx.Conv(32, 64, (3, 3), padding="VALID", rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(1600, 10, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        for layer in (self.first, self.second):
            x = nnx.max_pool(nnx.relu(layer(x)), (2, 2), (2, 2))
        return self.head(self.dropout(x.reshape(len(x), -1)))


class Lstm(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.embedding = nnx.Embed(VOCABULARY, 64, rngs=rngs)
        self.inputs = nnx.Dropout(0.2, broadcast_dims=(1,), rngs=rngs)
        # NNX has no recurrent dropout: this peer does a little less work.
        self.rnn = nnx.RNN(nnx.OptimizedLSTMCell(64, 64, rngs=rngs), return_carry=True)
        self.head = nnx.Linear(64, 2, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        (_, hidden), _ = self.rnn(self.inputs(self.embedding(x)))
        return self.head(hidden)


class Block(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.attention = nnx.MultiHeadAttention(4, 128, dropout_rate=0.1, decode=False, rngs=rngs)
        self.first = nnx.LayerNorm(128, rngs=rngs)
        self.wide = nnx.Linear(128, 512, rngs=rngs)
        self.narrow = nnx.Linear(512, 128, rngs=rngs)
        self.second = nnx.LayerNorm(128, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = self.first(x + self.dropout(self.attention(x)))
        return self.second(x + self.dropout(self.narrow(nnx.relu(self.wide(x)))))


class Encoder(nnx.Module):
    def __init__(self, rngs: nnx.Rngs):
        self.tokens = nnx.Embed(VOCABULARY, 128, rngs=rngs)
        self.positions = nnx.Embed(128, 128, rngs=rngs)
        self.blocks = nnx.List([Block(rngs) for _ in range(2)])
        self.head = nnx.Linear(128, 2, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        x = self.tokens(x) + self.positions(jnp.arange(128))
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(1))


MODELS: dict[str, Callable[[nnx.Rngs], nnx.Module]] = {
    "mlp": lambda rngs: Mlp(784, 128, 64, 10, rngs=rngs),
    "digits": lambda rngs: Mlp(64, 64, 10, rngs=rngs),
    "cnn": Cnn,
    "lstm": Lstm,
    "encoder": Encoder,
}


@nnx.jit
def _step(model: nnx.Module, optimizer: nnx.Optimizer, x: Any, y: Any) -> Any:
    def loss_of(model: Any) -> Any:
        return optax.softmax_cross_entropy_with_integer_labels(model(x), y).mean()

    loss, grads = nnx.value_and_grad(loss_of)(model)
    optimizer.update(model, grads)
    return loss


@nnx.jit
def _apply(model: Any, x: Any) -> Any:
    return model(x)


class FlaxNnx:
    """A module in its training form, and a view of it in its other form."""

    def __init__(self, workload: Workload):
        self.batch = workload.batch
        self.model = MODELS[workload.name](nnx.Rngs(0))
        self.model.train()
        self.optimizer = nnx.Optimizer(self.model, optax.adam(1e-3), wrt=nnx.Param)
        self.step = nnx.cached_partial(_step, self.model, self.optimizer)
        self.rng = np.random.default_rng(1)

    def fit(self, x: np.ndarray, y: np.ndarray, epochs: int) -> float:
        losses = []
        for _ in range(epochs):
            losses = []
            for chosen in batches_of(self.rng.permutation(len(x)), self.batch):
                losses.append(self.step(x[chosen], y[chosen]))
        return float(jnp.mean(jnp.stack(losses)))

    def predict(self, x: np.ndarray, batch: int) -> np.ndarray:
        model = nnx.view(self.model, deterministic=True)
        apply = nnx.cached_partial(_apply, model)
        return np.concatenate([np.asarray(apply(x[i : i + batch])) for i in range(0, len(x), batch)])

    def dense_call(self) -> Callable[[], Any]:
        layer, x = nnx.Linear(64, 64, rngs=nnx.Rngs(0)), jax.numpy.ones((1, 64))
        return lambda: layer(x)
