"""Every optimizer against Keras: ten steps from one start, the state's names and order, options, configs."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerasmagic import optimizers
from kerasmagic.core.scope import name_scope
from kerasmagic.core.variable import Variable
from kerasmagic.foundation.errors import InvalidArgument, UnexpectedArgument, UnknownName
from kerasmagic.foundation.registry import OPTIMIZERS

SHAPES = {"kernel": (3, 4), "bias": (4,), "embeddings": (5, 2), "scale": ()}
CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.5, "centered": True}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {}),
    ("AdamW", {"weight_decay": 0.1}),
    ("Adamax", {}),
    ("Nadam", {}),
    ("Adagrad", {}),
    ("Adadelta", {}),
    ("Ftrl", {}),
    ("Ftrl", {"l1_regularization_strength": 0.01, "l2_regularization_strength": 0.1, "beta": 0.1}),
    ("Ftrl", {"l2_shrinkage_regularization_strength": 0.1, "learning_rate_power": -0.3}),
    ("Lion", {}),
    ("Lamb", {}),
    ("Adafactor", {}),
    ("Adafactor", {"relative_step": False, "clip_threshold": 0.5}),
    ("Muon", {}),
    (
        "Muon",
        {"nesterov": False, "rms_rate": None, "exclude_embeddings": False, "exclude_layers": ["dense/k"]},
    ),
    ("ScheduleFreeAdamW", {}),
    ("ScheduleFreeAdamW", {"warmup_steps": 5}),
]
IDS = [f"{name}-{'-'.join(options)}" for name, options in CASES]
OPTIONS: list[dict[str, Any]] = [
    {"weight_decay": 0.05},
    {"clipnorm": 0.5},
    {"global_clipnorm": 0.5},
    {"clipvalue": 0.1},
    {"use_ema": True, "ema_momentum": 0.8},
    {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3},
    {"gradient_accumulation_steps": 3},
    {"gradient_accumulation_steps": 2, "use_ema": True, "ema_overwrite_frequency": 2, "weight_decay": 0.1},
    {"loss_scale_factor": 128.0},
]


def values(scale: float = 1.0, seed: int = 0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [np.asarray(scale * rng.normal(size=shape), "float32") for shape in SHAPES.values()]


def variables(scope: Callable[[str], Any], variable: Callable[..., Any]) -> list[Any]:
    with scope("dense"):
        return [variable(jnp.asarray(value), name=name) for name, value in zip(SHAPES, values(), strict=True)]


def run(optimizer: Any, trained: list[Any], steps: int = 10, scale: float = 1.0) -> list[list[np.ndarray]]:
    """Apply gradients that depend on the values; return values and state after each step."""
    seen = []
    for step in range(steps):
        noise = values(scale, seed=step + 1)
        grads = [n + 0.1 * scale * jnp.asarray(v.value) for n, v in zip(noise, trained, strict=True)]
        optimizer.apply(grads, trained)
        seen.append([np.asarray(v.value) for v in (*trained, *optimizer.variables)])
    return seen


def assert_same_run(keras: ModuleType, ours: Any, theirs: Any, rtol: float = 1e-6, **options: Any) -> None:
    mine = run(ours, variables(name_scope, Variable), **options)
    expected = run(theirs, variables(keras.name_scope, keras.Variable), **options)
    for step, (a, b) in enumerate(zip(mine, expected, strict=True)):
        for i, (x, y) in enumerate(zip(a, b, strict=True)):
            # An entry that cancels to near 0 keeps the rounding of the numbers it came from.
            floor = rtol * float(np.max(np.abs(y), initial=0.0))
            np.testing.assert_allclose(x, y, rtol=rtol, atol=floor, err_msg=f"step {step}, array {i}")


# Sums over an axis (norms, products of matrices) may be added up in another order.
TOLERANCE = {"Lamb": 2e-6, "Adafactor": 2e-6, "Muon": 2e-5, "ScheduleFreeAdamW": 5e-6}


@pytest.mark.parametrize("scale", [1.0, 1e-6], ids=["", "tiny-gradients"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_ten_steps_equal_keras(keras: ModuleType, name: str, options: dict[str, Any], scale: float) -> None:
    ours = getattr(optimizers, name)(learning_rate=0.01, **options)
    theirs = getattr(keras.optimizers, name)(learning_rate=0.01, **options)
    assert_same_run(keras, ours, theirs, TOLERANCE.get(name, 1e-6), scale=scale)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(o))
@pytest.mark.parametrize("name", ["SGD", "Adam", "Nadam"])
def test_ten_steps_with_common_options_equal_keras(
    keras: ModuleType, name: str, options: dict[str, Any]
) -> None:
    ours = getattr(optimizers, name)(learning_rate=0.01, **options)
    theirs = getattr(keras.optimizers, name)(learning_rate=0.01, **options)
    assert_same_run(keras, ours, theirs)


@pytest.mark.parametrize("options", [{}, OPTIONS[5] | OPTIONS[6]], ids=["plain", "averaged-accumulated"])
@pytest.mark.parametrize(("name", "own"), CASES, ids=IDS)
def test_state_is_laid_out_as_in_keras(
    keras: ModuleType, name: str, own: dict[str, Any], options: dict[str, Any]
) -> None:
    layouts = []
    for module, trained in (
        (optimizers, variables(name_scope, Variable)),
        (keras.optimizers, variables(keras.name_scope, keras.Variable)),
    ):
        optimizer = getattr(module, name)(**{**own, **options}, name="opt")
        optimizer.build(trained)
        layouts.append([(v.path.split("variable")[0], v.shape, v.dtype) for v in optimizer.variables])
        if module is optimizers:
            first = [np.asarray(v.value) for v in optimizer.variables]
        else:
            assert all(np.array_equal(a, v.value) for a, v in zip(first, optimizer.variables, strict=True))
    assert layouts[0] == layouts[1]


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_stateless_apply_is_apply(name: str, options: dict[str, Any]) -> None:
    stateful, pure = (getattr(optimizers, name)(learning_rate=0.01, **options) for _ in range(2))
    trained, others = variables(name_scope, Variable), variables(name_scope, Variable)
    pure.build(others)
    before = [np.asarray(v.value) for v in others]
    state = [v.value for v in pure.variables], [v.value for v in others]
    step = jax.jit(pure.stateless_apply)
    for seed in range(3):
        grads = values(seed=seed)
        stateful.apply(grads, trained)
        new, own = step(state[0], grads, state[1])
        state = own, new
    for a, b in zip((*trained, *stateful.variables), (*state[1], *state[0]), strict=True):
        np.testing.assert_allclose(a.numpy(), b, rtol=2e-4, atol=2e-6)
    assert all(np.array_equal(a, v.numpy()) for a, v in zip(before, others, strict=True))


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(o))
def test_options_work_under_jit(keras: ModuleType, options: dict[str, Any]) -> None:
    ends = []
    for module, trained in (
        (optimizers, variables(name_scope, Variable)),
        (keras.optimizers, variables(keras.name_scope, keras.Variable)),
    ):
        optimizer = module.Adam(learning_rate=0.01, **options)
        optimizer.build(trained)
        new, own = [v.value for v in trained], [v.value for v in optimizer.variables]
        step = jax.jit(optimizer.stateless_apply)
        for seed in range(7):
            new, own = step(own, values(seed=seed), new)
        ends.append((*new, *own))
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adam", "Adafactor"])
def test_schedules_drive_the_step_as_in_keras(keras: ModuleType, name: str) -> None:
    pair = []
    for module in (optimizers, keras.optimizers):
        schedule = module.schedules.ExponentialDecay(0.1, decay_steps=3, decay_rate=0.5)
        options = {"momentum": 0.9} if name in ("SGD", "RMSprop") else {}
        pair.append(getattr(module, name)(learning_rate=schedule, weight_decay=0.01, **options))
    assert_same_run(keras, *pair, rtol=3e-6)


def test_constraints_apply_after_each_update() -> None:
    w = Variable(jnp.array([1.0, -1.0]), name="w")
    w.constraint = lambda value: jnp.maximum(value, 0.0)
    optimizers.SGD(0.1).apply([jnp.array([1.0, 1.0])], [w])
    assert w.numpy().tolist() == pytest.approx([0.9, 0.0])


def test_some_variables_are_without_decay() -> None:
    kernel, bias, other = (Variable(jnp.ones(2), name=n) for n in ("kernel", "bias", "other"))
    optimizer = optimizers.SGD(0.5, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_list=[other], var_names=["bi"])
    optimizer.apply([jnp.zeros(2)] * 3, [kernel, bias, other])
    assert [float(v[0]) for v in (kernel, bias, other)] == [0.75, 1.0, 1.0]
    with pytest.raises(InvalidArgument, match="before the optimizer is built"):
        optimizer.exclude_from_weight_decay(var_names=["kernel"])


def test_averages_replace_the_variables_at_the_end() -> None:
    w = Variable(jnp.array([1.0]), name="w")
    optimizer = optimizers.SGD(1.0, use_ema=True, ema_momentum=0.5)
    for _ in range(2):
        optimizer.apply([jnp.array([1.0])], [w])
    assert w.numpy().tolist() == [-1.0]
    optimizer.finalize_variable_values([w])
    assert w.numpy().tolist() == [-0.5]


def test_the_learning_rate_can_be_changed() -> None:
    optimizer = optimizers.SGD(0.5)
    assert float(optimizer.learning_rate) == 0.5
    optimizer.learning_rate = 0.25
    assert float(optimizer.learning_rate) == 0.25
    assert optimizer.get_config()["learning_rate"] == 0.25
    optimizer.learning_rate = optimizers.schedules.CosineDecay(0.1, 10)
    assert [v.name for v in optimizer.variables] == ["iteration"]
    with pytest.raises(UnexpectedArgument, match="schedule"):
        optimizer.learning_rate = 0.1
    assert float(optimizers.SGD(lambda: 0.125).learning_rate) == 0.125


def test_missing_gradients_warn_and_none_at_all_raises() -> None:
    a, b = Variable(jnp.ones(1), name="a"), Variable(jnp.ones(1), name="b")
    optimizer = optimizers.SGD(0.5)
    with pytest.warns(UserWarning, match=r"\['b'\]"):
        optimizer.apply([jnp.ones(1), None], [a, b])
    assert (float(a[0]), float(b[0])) == (0.5, 1.0)
    with pytest.raises(InvalidArgument, match="No gradients"):
        optimizer.apply([None, None], [a, b])


def test_wrong_use_is_explained() -> None:
    a, b = Variable(jnp.ones(1), name="a"), Variable(jnp.ones(1), name="b")
    optimizer = optimizers.Adam()
    with pytest.raises(InvalidArgument, match="must be built"):
        optimizer.stateless_apply([], [], [])
    optimizer.build([a])
    with pytest.raises(InvalidArgument, match="Unknown variable: b"):
        optimizer.apply([jnp.ones(1)], [b])
    with pytest.raises(InvalidArgument, match="optimizer_variables"):
        optimizer.stateless_apply([0], [jnp.ones(1)], [a])
    for options, says in [
        ({"clipnorm": 1.0, "clipvalue": 1.0}, "Only one of"),
        ({"gradient_accumulation_steps": 1}, ">= 2"),
        ({"use_ema": True, "ema_momentum": 2.0}, "ema_momentum"),
        ({"use_ema": True, "ema_overwrite_frequency": 0.5}, "ema_overwrite_frequency"),
        ({"learning_rte": 0.1}, "not recognized"),
        ({"learning_rate": "fast"}, "learning_rate"),
    ]:
        with pytest.raises(InvalidArgument, match=says):
            optimizers.Adam(**options)
    with pytest.raises(InvalidArgument, match="momentum"):
        optimizers.SGD(momentum=2.0)
    with pytest.raises(InvalidArgument, match="weight_decay"):
        optimizers.AdamW(weight_decay=None)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_configs_go_to_keras_and_back(keras: ModuleType, name: str, options: dict[str, Any]) -> None:
    common = {"clipnorm": 1.0, "use_ema": True, "ema_momentum": 0.5, "gradient_accumulation_steps": 2}
    schedule = optimizers.schedules.CosineDecay(0.1, 100, warmup_target=0.2, warmup_steps=5)
    for rate in (0.25, schedule):
        ours = getattr(optimizers, name)(learning_rate=rate, **options, **common)
        theirs = keras.saving.deserialize_keras_object(optimizers.serialize(ours))
        assert type(theirs).__name__ == name
        back = keras.optimizers.serialize(theirs)
        assert optimizers.deserialize(back).get_config() == ours.get_config()
        assert back["config"].keys() <= ours.get_config().keys() | {"weight_decay"}


def test_state_goes_to_keras_and_back(keras: ModuleType) -> None:
    ours, theirs = optimizers.Adam(), keras.optimizers.Adam()
    run(ours, variables(name_scope, Variable), steps=3)
    theirs.build(variables(keras.name_scope, keras.Variable))
    store: dict[str, Any] = {}
    ours.save_own_variables(store)
    theirs.load_own_variables(store)
    again = optimizers.Adam()
    again.build(variables(name_scope, Variable))
    again.load_own_variables({str(i): v.numpy() for i, v in enumerate(theirs.variables)})
    assert int(again.iterations) == 3
    for a, b in zip(ours.variables, again.variables, strict=True):
        assert np.array_equal(a.numpy(), b.numpy())


def test_names_stand_for_what_they_stand_for_in_keras(keras: ModuleType) -> None:
    for name in ("adam", "Adam", "ADAM", "adamw", "RMSProp", "sgd", "lion"):
        assert type(optimizers.get(name)).__name__ == type(keras.optimizers.get(name)).__name__
    with pytest.raises(UnknownName, match="adam"):
        optimizers.get("adamm")
    with pytest.raises(InvalidArgument):
        optimizers.get(lambda: None)
    public = {n for n in dir(keras.optimizers) if n[0].isupper()}
    assert public <= set(OPTIMIZERS.public_names())


def test_loss_scaling_equals_keras(keras: ModuleType) -> None:
    ends = []
    for module, trained in (
        (optimizers, variables(name_scope, Variable)),
        (keras.optimizers, variables(keras.name_scope, keras.Variable)),
    ):
        optimizer = module.LossScaleOptimizer(module.Adam(0.01), initial_scale=4.0, dynamic_growth_steps=3)
        optimizer.build(trained)
        assert [v.name for v in optimizer.variables][:4] == [
            "iteration",
            "learning_rate",
            "step_counter",
            "dynamic_scale",
        ]
        new, own = [v.value for v in trained], [v.value for v in optimizer.variables]
        step = jax.jit(optimizer.stateless_apply)
        for seed in range(8):
            grads = values(seed=seed)
            new, own = step(own, [g * np.inf for g in grads] if seed == 4 else grads, new)
        ends.append((*new, *own))
    for a, b in zip(*ends, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-6)


def test_loss_scaling_works_step_by_step() -> None:
    w = Variable(jnp.array([1.0]), name="w")
    optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(1.0), initial_scale=2.0, dynamic_growth_steps=1)
    optimizer.apply([jnp.array([1.0])], [w])
    assert (float(w[0]), float(optimizer.dynamic_scale.value), int(optimizer.iterations.value)) == (
        0.5,
        4.0,
        1,
    )
    optimizer.apply([jnp.array([jnp.nan])], [w])
    assert (float(w[0]), float(optimizer.dynamic_scale.value), int(optimizer.iterations.value)) == (
        0.5,
        2.0,
        1,
    )


def test_loss_scaling_skips_steps_that_are_not_finite() -> None:
    w = Variable(jnp.array([1.0]), name="w")
    optimizer = optimizers.LossScaleOptimizer(optimizers.SGD(1.0), initial_scale=4.0)
    assert float(optimizer.scale_loss(2.0)) == 8.0
    optimizer.build([w])
    step = jax.jit(optimizer.stateless_apply)
    new, own = step([v.value for v in optimizer.variables], [jnp.array([jnp.inf])], [w.value])
    names = [v.name for v in optimizer.variables]
    assert (float(new[0][0]), float(own[names.index("dynamic_scale")])) == (1.0, 2.0)
    new, own = step(own, [jnp.array([1.0])], new)
    assert (float(new[0][0]), int(own[names.index("step_counter")])) == (0.5, 1)
    with pytest.raises(InvalidArgument, match="inner_optimizer"):
        optimizers.LossScaleOptimizer(optimizers.SGD(), clipnorm=1.0)


def test_loss_scaling_goes_to_keras_and_back(keras: ModuleType) -> None:
    ours = optimizers.LossScaleOptimizer(optimizers.Adam(0.5), dynamic_growth_steps=7)
    back = keras.optimizers.serialize(keras.optimizers.deserialize(optimizers.serialize(ours)))
    assert optimizers.deserialize(back).get_config() == ours.get_config()


def test_several_optimizers_equal_keras(keras: ModuleType) -> None:
    pair = []
    for module in (optimizers, keras.optimizers):
        chosen = module.OptimizerMap(module.Adam(0.01), {"dense/b.*": module.SGD(0.1, momentum=0.5)})
        pair.append(module.MultiOptimizer(chosen))
    assert_same_run(keras, *pair)
    again = optimizers.deserialize(optimizers.serialize(pair[0]))
    assert [type(o).__name__ for o in again.optimizers] == ["SGD", "Adam"]
    with pytest.raises(AttributeError, match="no learning rate"):
        pair[0].learning_rate


def test_optimizers_may_be_written_as_in_keras() -> None:
    class Heavy(optimizers.Optimizer):
        def __init__(self, learning_rate: Any = 0.1, drag: float = 0.5, **kwargs: Any):
            super().__init__(learning_rate, **kwargs)
            self.drag = drag

        def build(self, variables: Any) -> None:
            if self.built:
                return
            super().build(variables)
            self.speeds = self.add_optimizer_variables(variables, "speed")

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            speed = self.speeds[self._get_variable_index(variable)]
            self.assign(speed, self.drag * speed - learning_rate * gradient)
            self.assign_add(variable, speed)

    w = Variable(jnp.array([1.0]), name="w")
    optimizer = Heavy(1.0)
    for _ in range(2):
        optimizer.apply([jnp.array([1.0])], [w])
    assert w.numpy().tolist() == [-1.5]
    assert [v.name for v in optimizer.variables] == ["iteration", "learning_rate", "w_speed"]
    assert Heavy.from_config(optimizer.get_config()).drag == 0.5
    new, _ = optimizer.stateless_apply([v.value for v in optimizer.variables], [jnp.ones(1)], [w.value])
    assert new[0].tolist() == [-3.25]


def test_variables_that_are_their_own_gradient_are_overwritten(keras: ModuleType) -> None:
    for options in ({}, {"gradient_accumulation_steps": 2}):
        pair = []
        for module, trained in (
            (optimizers, variables(name_scope, Variable)),
            (keras.optimizers, variables(keras.name_scope, keras.Variable)),
        ):
            trained[1].overwrite_with_gradient = True
            optimizer = module.Adam(0.01, **options)
            pair.append(run(optimizer, trained, steps=4))
        for a, b in zip(*([x for step in steps for x in step] for steps in pair), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
