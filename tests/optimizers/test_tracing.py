"""Inside a trace variables of one shape share one trace of the update: the numbers are those of the plain path."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerasmagic import constraints, optimizers
from kerasmagic.core.variable import Variable

SHAPES = {"kernel": (3, 4), "twin": (3, 4), "bias": (4,), "twin_bias": (4,), "half": (4,), "scale": ()}


def made(name: str, options: dict[str, Any]) -> tuple[Any, list[Variable]]:
    rng = np.random.default_rng(0)
    variables = [
        Variable(rng.normal(size=s), dtype="bfloat16" if n == "half" else "float32", name=n)
        for n, s in SHAPES.items()
    ]
    variables[1].constraint = constraints.NonNeg()
    optimizer = getattr(optimizers, name)(0.01, **options)
    if optimizer.weight_decay is not None:
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build(variables)
    return optimizer, variables


def gradients(step: int, variables: list[Variable]) -> list[Any]:
    rng = np.random.default_rng(step + 1)
    return [jnp.asarray(rng.normal(size=v.shape), v.dtype) for v in variables]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"momentum": 0.9}),
        ("Adam", {}),
        ("AdamW", {"weight_decay": 0.1, "clipnorm": 0.5}),
        ("Nadam", {"use_ema": True}),
        ("Lion", {}),
        ("Lamb", {"gradient_accumulation_steps": 2}),
        ("Adafactor", {}),
        ("Muon", {}),
    ],
)
def test_a_traced_step_gives_the_numbers_of_a_plain_one(name: str, options: dict[str, Any]) -> None:
    optimizer, variables = made(name, options)
    traced = jax.jit(optimizer.stateless_apply)
    values, state = [v.value for v in variables], [v.value for v in optimizer.variables]
    values, state = jax.tree.map(lambda x: jnp.array(x, copy=True), (values, state))
    for step in range(4):
        grads = gradients(step, variables)
        values, state = traced(state, grads, values)
        optimizer.apply(grads, variables)
    for variable, value in zip([*variables, *optimizer.variables], [*values, *state], strict=True):
        # A product and a sum may be rounded once where they are compiled together.
        limit = 2e-2 if variable.dtype == "bfloat16" else 2e-5
        np.testing.assert_allclose(
            np.asarray(value, "float64"),
            np.asarray(variable.numpy(), "float64"),
            rtol=limit,
            atol=limit / 10,
            err_msg=variable.name,
        )


class Counting(optimizers.Optimizer):
    """Counts how often its rule is run."""

    rate, calls = 1.0, 0

    def update(
        self, gradient: Any, value: Any, slots: dict[str, Any], step: Any, learning_rate: Any
    ) -> tuple[Any, dict[str, Any]]:
        self.__dict__["calls"] = self.calls + 1
        return value - self.rate * gradient, slots


def test_the_rule_is_traced_once_for_each_form_of_a_variable() -> None:
    variables = [Variable(jnp.ones(shape)) for shape in ((2, 3), (2, 3), (3,), (2, 3), (3,))]
    optimizer = Counting(0.1)
    optimizer.build(variables)
    given = [v.value for v in optimizer.variables], [v.value for v in variables], [v.value for v in variables]
    new, _ = jax.jit(lambda *x: optimizer.stateless_apply(*x))(*given)
    assert (optimizer.calls, float(new[0].sum())) == (2, 0.0)
    # What another trace has left does not hold: the rule may have changed.
    optimizer.rate = 2.0
    new, _ = jax.jit(lambda *x: optimizer.stateless_apply(*x))(*given)
    assert (optimizer.calls, new[2].tolist()) == (4, [-1.0] * 3)
    # Nothing is compiled where nothing is traced.
    optimizer.apply(given[1], variables)
    assert optimizer.calls == 9
