"""Warnings: each from made-up numbers that deserve it, and none from those of healthy runs."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from kerasmagic.training import advice
from kerasmagic.training.advice import Adviser, Culprit, Look

NAMES = ("net/first/kernel", "net/first/bias", "net/second/kernel")


def look(step: int, **changes) -> Look:
    """A healthy look at two layers: all weights move a little."""
    values = {
        "step": step,
        "names": NAMES,
        "kernels": np.array([True, False, True]),
        "largest": np.array([0.3, 0.01, 0.4]),
        "distance": np.array([0.02, 0.5, 0.03]),
        "still": np.array([0.0, np.nan, 0.0]),
        "units": np.array([32, 1, 16]),
    }
    return Look(**{**values, **changes})


def causes(looks) -> list[str]:
    adviser = Adviser()
    return [one.cause for each in looks for one in adviser.looked(each)]


def test_a_healthy_run_hears_nothing():
    random = np.random.default_rng(0)
    adviser = Adviser()
    heard = []
    for step in range(0, 20_000, 100):
        fading = 1.0 / (1 + step / 1000)
        heard += adviser.looked(
            look(
                step,
                largest=np.array([0.3, 0.01, 0.4]) * (1 + step / 2000) * random.uniform(0.9, 1.1, 3),
                distance=np.array([0.02, 0.5, 0.03]) * fading * random.uniform(0.3, 1.7, 3),
                still=np.array([random.uniform(0, 0.1), np.nan, 0.0]),
                slopes=random.lognormal(0, 1.5, 3) * fading,
                dead={"first": (random.uniform(0, 0.3), 32)},
            )
        )
        heard += adviser.lost(2.3 * fading * random.uniform(0.7, 1.5), step)
        heard += adviser.waited(0.2 * step / 100, step / 100, step)
    assert heard == []


def test_a_first_look_and_looks_close_together_say_nothing():
    still = np.array([1.0, np.nan, 1.0])
    nothing = {"distance": np.zeros(3), "still": still}
    assert causes([look(0, distance=np.full(3, np.nan), still=np.full(3, np.nan))]) == []
    assert causes([look(step, **nothing) for step in range(20)]) == []


def test_weights_that_grow_a_thousandfold_explode():
    looks = [look(100 * i, largest=np.array([0.3, 0.01, 0.4 * 10.0**i])) for i in range(6)]
    adviser = Adviser()
    (found,) = [one for each in looks for one in adviser.looked(each)]
    assert found.cause == "exploding"
    assert "'net/second/kernel'" in found.text
    assert "0.4" in found.text
    assert "learning rate" in found.remedy


@pytest.mark.parametrize("first", [0.0, 1e-9])
def test_weights_that_begin_at_zero_may_grow(first):
    assert causes([look(0, largest=np.full(3, first)), *[look(100 * i) for i in range(1, 6)]]) == []


def test_gradients_explode():
    sizes = [1.0, 2.0, 0.5, 1.0, 5000.0, 9000.0]
    looks = [look(100 * i, slopes=np.array([0.1, 0.1, size])) for i, size in enumerate(sizes)]
    assert causes(looks) == ["exploding"]
    assert causes(looks[:-1]) == []


def test_a_loss_explodes():
    adviser = Adviser()
    heard = [
        one for step, loss in enumerate([2.3, 1.1, 9.0, 80.0, 400.0]) for one in adviser.lost(loss, step)
    ]
    assert [one.text for one in heard] == ["The loss explodes: it began at 2.3 and is now 400."]


@pytest.mark.parametrize(
    "losses", [[1e-6, 1e-4, 1e-3, 1e-3], [-500.0, -490.0, -495.0], [2.3, 900.0, 2.0, 1.0, 3.0]]
)
def test_a_loss_may_jump(losses):
    adviser = Adviser()
    assert [one for loss in losses for one in adviser.lost(loss, 0)] == []


def test_a_layer_that_no_gradient_reaches():
    stuck = np.array([0.0, 0.5, 0.03])
    looks = [look(100 * i, distance=stuck) for i in range(5)]
    adviser = Adviser()
    (found,) = [one for each in looks for one in adviser.looked(each)]
    assert found.text == "The gradients vanish: 'net/first/kernel' no longer learns."


def test_nothing_vanishes_when_nothing_learns():
    # The learning rate is 0, or has decayed to almost nothing.
    assert causes([look(100 * i, distance=np.zeros(3)) for i in range(5)]) == []
    assert causes([look(100 * i, distance=np.array([1e-8, 1e-7, 1e-7])) for i in range(5)]) == []


def test_gradients_vanish():
    looks = [look(100 * i, slopes=np.array([1e-12, 1e-12, 0.5])) for i in range(3)]
    assert causes(looks) == ["vanishing"]


def test_dead_units_by_weights_that_rest():
    still = np.array([0.5, np.nan, 0.0])
    adviser = Adviser()
    (found,) = [one for i in range(4) for one in adviser.looked(look(100 * i, still=still))]
    assert found.text == "'net/first' has dead units: about 50 % of 32 do nothing any more."


def test_units_that_rest_once_or_in_a_resting_layer_are_not_dead():
    once = [look(100 * i, still=np.array([0.9 * (i == 2), np.nan, 0.0])) for i in range(5)]
    resting = [look(100 * i, still=np.full(3, 1.0), distance=np.full(3, 1e-6)) for i in range(5)]
    assert causes(once) == causes(resting) == []


def test_dead_units_by_outputs():
    looks = [look(i, dead={"conv": (0.75, 64), "small": (1.0, 2)}) for i in range(2)]
    adviser = Adviser()
    (found,) = [one for each in looks for one in adviser.looked(each)]
    assert "'conv' has dead units: about 75 % of 64" in found.text


def epochs(training, validation) -> list:
    adviser = Adviser()
    return [
        one
        for step, (loss, val_loss) in enumerate(zip(training, validation, strict=True))
        for one in adviser.epoch_ended({"loss": loss, "val_loss": val_loss}, step)
    ]


def test_overfitting_is_heard_once():
    training = [1.0 / (i + 1) for i in range(30)]
    validation = [abs(i - 6) * 0.05 + 0.5 for i in range(30)]
    (found,) = epochs(training, validation)
    assert found.text.startswith(
        "The model overfits: the validation loss rises since epoch 7, from 0.5 to 0.75"
    )
    assert found.step == 11


@pytest.mark.parametrize("seed", range(20))
def test_noise_is_not_overfitting(seed):
    random = np.random.default_rng(seed)
    falling = 1.0 / np.sqrt(np.arange(60) + 1.0)
    training = falling * random.uniform(0.97, 1.03, 60)
    assert epochs(training, (falling + 0.2) * random.uniform(0.9, 1.1, 60)) == []
    flat = np.maximum(falling, 0.3) + 0.2
    assert epochs(training, flat * random.uniform(0.95, 1.05, 60)) == []


def test_both_losses_rising_is_not_overfitting():
    rising = [0.5 + 0.1 * i for i in range(12)]
    assert epochs(rising, rising) == []


def test_epochs_without_validation_or_with_nan_say_nothing():
    adviser = Adviser()
    assert [one for _ in range(10) for one in adviser.epoch_ended({"loss": 1.0}, 0)] == []
    assert epochs([math.nan] * 10, [math.nan] * 10) == []


def test_a_device_that_waits():
    adviser = Adviser()
    heard = [one for i in range(40) for one in adviser.waited(0.2 * i, 0.25 * i, 10 * i)]
    assert [one.text for one in heard] == [
        "The input pipeline is too slow: 80 % of the time goes into waiting for data."
    ]


def test_a_slow_start_is_not_a_stalled_pipeline():
    adviser = Adviser()
    heard = [one for i in range(200) for one in adviser.waited(3.0 + 0.01 * i, 3.0 + 0.25 * i, i)]
    assert heard == []


@pytest.mark.parametrize("found", list(advice._ORIGINS))
def test_a_loss_that_is_no_number_is_heard_first_and_ends_the_rest(found):
    adviser = Adviser()
    (one,) = adviser.not_finite(math.inf, Culprit(found, "net/first"), 7)
    assert one.text.startswith("The loss is infinite: ")
    assert one.remedy.endswith((".", "lost."))
    assert ("'net/first'" in one.text) == ("{name}" in advice._ORIGINS[found][0])
    assert adviser.not_finite(math.nan, None, 8) == []
    huge = look(100, largest=np.full(3, 1e30))
    assert adviser.looked(look(0)) == adviser.looked(huge) == []


def test_new_variables_begin_a_new_story():
    other = look(200, names=("a", "b", "c"), largest=np.full(3, 1e9))
    assert causes([look(0), look(100), other, dataclasses.replace(other, step=300)]) == []
