"""Equinox as its examples write it: modules for one sample, `vmap` over the batch, `filter_jit` and optax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.peers import batches_of
from benchmarks.workloads import VOCABULARY, Workload


def make(workload: Workload) -> Equinox:
    """Build the workload's module and its optimizer."""
    return Equinox(workload)


class Mlp(eqx.Module):
    layers: list[eqx.nn.Linear]

    def __init__(self, *sizes: int, key: Any):
        keys = jax.random.split(key, len(sizes))
        self.layers = [
            eqx.nn.Linear(a, b, key=k) for a, b, k in zip(sizes, sizes[1:], keys[1:], strict=False)
        ]

    def __call__(self, x: Any, key: Any) -> Any:
        for layer in self.layers[:-1]:
            x = jax.nn.relu(layer(x))
        return self.layers[-1](x)


class Cnn(eqx.Module):
    first: eqx.nn.Conv2d
    second: eqx.nn.Conv2d
    pool: eqx.nn.MaxPool2d
    dropout: eqx.nn.Dropout
    head: eqx.nn.Linear

    def __init__(self, key: Any):
        first, second, head = jax.random.split(key, 3)
        self.first = eqx.nn.Conv2d(1, 32, 3, key=first)
        self.second = eqx.nn.Conv2d(32, 64, 3, key=second)
        self.pool = eqx.nn.MaxPool2d(2, 2)
        self.dropout = eqx.nn.Dropout(0.5)
        self.head = eqx.nn.Linear(1600, 10, key=head)

    def __call__(self, x: Any, key: Any) -> Any:
        x = jnp.moveaxis(x, -1, 0)
        for layer in (self.first, self.second):
            x = self.pool(jax.nn.relu(layer(x)))
        return self.head(self.dropout(x.reshape(-1), key=key))


class Lstm(eqx.Module):
    embedding: eqx.nn.Embedding
    cell: eqx.nn.LSTMCell
    dropout: eqx.nn.Dropout
    head: eqx.nn.Linear

    def __init__(self, key: Any):
        embedding, cell, head = jax.random.split(key, 3)
        self.embedding = eqx.nn.Embedding(VOCABULARY, 64, key=embedding)
        self.cell = eqx.nn.LSTMCell(64, 64, key=cell)
        self.dropout = eqx.nn.Dropout(0.2)
        self.head = eqx.nn.Linear(64, 2, key=head)

    def __call__(self, x: Any, key: Any) -> Any:
        inputs_key, state_key = (None, None) if key is None else jax.random.split(key)
        # One mask for all times, as in Keras.
        inputs = jax.vmap(self.embedding)(x) * self.dropout(jnp.ones(64), key=inputs_key)
        mask = self.dropout(jnp.ones(64), key=state_key)

        def step(state: Any, x: Any) -> Any:
            return self.cell(x, (state[0] * mask, state[1])), None

        (hidden, _), _ = jax.lax.scan(step, (jnp.zeros(64), jnp.zeros(64)), inputs)
        return self.head(hidden)


class Block(eqx.Module):
    attention: eqx.nn.MultiheadAttention
    norms: list[eqx.nn.LayerNorm]
    wide: eqx.nn.Linear
    narrow: eqx.nn.Linear
    dropout: eqx.nn.Dropout

    def __init__(self, key: Any):
        attention, wide, narrow = jax.random.split(key, 3)
        bias = dict.fromkeys(("use_query_bias", "use_key_bias", "use_value_bias", "use_output_bias"), True)
        self.attention = eqx.nn.MultiheadAttention(4, 128, dropout_p=0.1, key=attention, **bias)
        self.norms = [eqx.nn.LayerNorm(128) for _ in range(2)]
        self.wide = eqx.nn.Linear(128, 512, key=wide)
        self.narrow = eqx.nn.Linear(512, 128, key=narrow)
        self.dropout = eqx.nn.Dropout(0.1)

    def __call__(self, x: Any, key: Any) -> Any:
        keys = (None, None, None) if key is None else jax.random.split(key, 3)
        y = self.attention(x, x, x, key=keys[0])
        x = jax.vmap(self.norms[0])(x + self.dropout(y, key=keys[1]))
        y = jax.vmap(lambda x: self.narrow(jax.nn.relu(self.wide(x))))(x)
        return jax.vmap(self.norms[1])(x + self.dropout(y, key=keys[2]))


class Encoder(eqx.Module):
    tokens: eqx.nn.Embedding
    positions: eqx.nn.Embedding
    blocks: list[Block]
    head: eqx.nn.Linear

    def __init__(self, key: Any):
        tokens, positions, first, second, head = jax.random.split(key, 5)
        self.tokens = eqx.nn.Embedding(VOCABULARY, 128, key=tokens)
        self.positions = eqx.nn.Embedding(128, 128, key=positions)
        self.blocks = [Block(first), Block(second)]
        self.head = eqx.nn.Linear(128, 2, key=head)

    def __call__(self, x: Any, key: Any) -> Any:
        x = jax.vmap(self.tokens)(x) + self.positions.weight
        for block in self.blocks:
            key, now = (None, None) if key is None else jax.random.split(key)
            x = block(x, now)
        return self.head(x.mean(0))


MODELS: dict[str, Callable[[Any], eqx.Module]] = {
    "mlp": lambda key: Mlp(784, 128, 64, 10, key=key),
    "digits": lambda key: Mlp(64, 64, 10, key=key),
    "cnn": Cnn,
    "lstm": Lstm,
    "encoder": Encoder,
}
ADAM = optax.adam(1e-3)


@eqx.filter_jit(donate="all")
def _step(model: Any, slots: Any, key: Any, x: Any, y: Any) -> Any:
    key, now = jax.random.split(key)

    @eqx.filter_value_and_grad
    def loss_of(model: Any) -> Any:
        logits = jax.vmap(model)(x, jax.random.split(now, len(x)))
        return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean()

    loss, grads = loss_of(model)
    updates, slots = ADAM.update(grads, slots)
    return loss, eqx.apply_updates(model, updates), slots, key


@eqx.filter_jit
def _apply(model: Any, x: Any) -> Any:
    return jax.vmap(lambda x: model(x, None))(x)


class Equinox:
    """A module, the slots of its optimizer, and a key."""

    def __init__(self, workload: Workload):
        self.batch = workload.batch
        self.model: Any = MODELS[workload.name](jax.random.key(0))
        self.slots = ADAM.init(eqx.filter(self.model, eqx.is_inexact_array))
        self.key = jax.random.key(1)
        self.rng = np.random.default_rng(1)

    def fit(self, x: np.ndarray, y: np.ndarray, epochs: int) -> float:
        losses = []
        for _ in range(epochs):
            losses = []
            for chosen in batches_of(self.rng.permutation(len(x)), self.batch):
                loss, self.model, self.slots, self.key = _step(
                    self.model, self.slots, self.key, jnp.asarray(x[chosen]), jnp.asarray(y[chosen])
                )
                losses.append(loss)
        return float(jnp.mean(jnp.stack(losses)))

    def predict(self, x: np.ndarray, batch: int) -> np.ndarray:
        model = eqx.nn.inference_mode(self.model)
        return np.concatenate([np.asarray(_apply(model, x[i : i + batch])) for i in range(0, len(x), batch)])

    def dense_call(self) -> Callable[[], Any]:
        layer, x = eqx.nn.Linear(64, 64, key=jax.random.key(0)), jnp.ones(64)
        return lambda: layer(x)
