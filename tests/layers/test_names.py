"""Every public name of `keras.layers` is here, or listed as absent with the reason."""

from __future__ import annotations

import inspect
from types import ModuleType
from typing import Any

import pytest

from kerasmagic import layers
from kerasmagic.core.layer import Layer
from kerasmagic.foundation.registry import LAYERS
from tests.layers.cases import CASES
from tests.tools import public_names

FOREIGN = "wraps another framework"
LATER = "the rest of preprocessing, and augmentation, come later"

ABSENT: dict[str, str] = {
    **dict.fromkeys(["TFSMLayer", "TorchModuleWrapper"], FOREIGN),
    **dict.fromkeys(
        [
            *("HashedCrossing", "Hashing", "IntegerLookup", "StringLookup", "TextVectorization"),
            *("Resizing", "CenterCrop", "MaxNumBoundingBoxes"),
            *("AugMix", "ContrastLimitedAdaptiveHistogramEqualization", "CutMix", "MixUp", "RandAugment"),
            *("RandomCrop", "RandomElasticTransform", "RandomErasing", "RandomPerspective", "RandomShear"),
        ],
        LATER,
    ),
}

WITHOUT_ROW = {
    "InputLayer": "takes no input: tests/layers/test_core.py",
    **dict.fromkeys(["SimpleRNNCell", "LSTMCell", "GRUCell", "StackedRNNCells"], "shown inside of RNN"),
    **dict.fromkeys(["FlaxLayer", "JaxLayer"], "a function is no plain data: tests/layers/test_jax_layer.py"),
    "Lambda": "a function is no plain data: tests/layers/test_core.py",
    "Layer": "abstract: tests/core",
    "Pipeline": "its layers are no arguments of plain data: tests/layers/test_augmentation.py",
    "Wrapper": "abstract: tests/layers/test_core.py",
}
"""Public classes that no row of the conformance table can show."""


def test_every_name_is_present_or_absent_with_a_reason(keras: ModuleType) -> None:
    public_names.check(layers, keras.layers, ABSENT)


def test_aliases_are_the_same_class(keras: ModuleType) -> None:
    def groups(module: Any, names: list[str]) -> set[frozenset[str]]:
        objects = [getattr(module, name) for name in names]
        return {frozenset(n for n, o in zip(names, objects, strict=True) if o is each) for each in objects}

    names = sorted(public_names.of(keras.layers) - set(ABSENT))
    assert groups(layers, names) == groups(keras.layers, names)


def test_arguments_have_the_names_order_and_defaults_of_keras(keras: ModuleType) -> None:
    def same_everywhere(default: Any) -> Any:
        """Return 2 for (2, 2): one number stands for all axes."""
        while isinstance(default, (list, tuple)) and default and len({*map(str, default)}) == 1:
            default = default[0]
        return default

    def arguments(obj: Any) -> list[tuple[str, Any]]:
        found = inspect.signature(obj.__init__ if isinstance(obj, type) else obj).parameters.values()
        named = [p for p in found if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and p.name != "self"]
        return [(p.name, same_everywhere(p.default)) for p in named]

    def passes_positions_on(obj: Any) -> bool:
        found = inspect.signature(obj.__init__ if isinstance(obj, type) else obj).parameters.values()
        return any(p.kind is p.VAR_POSITIONAL for p in found)

    different = {}
    for name in sorted(
        public_names.of(keras.layers) - set(ABSENT) - {"Layer", "InputSpec", "serialize", "deserialize"}
    ):
        theirs = arguments(getattr(keras.layers, name))
        # Keras takes some of the last ones by keyword only, through `**kwargs`.
        ours = arguments(getattr(layers, name))[: len(theirs)]
        if passes_positions_on(getattr(layers, name)):
            theirs = theirs[: len(ours)]
        if ours != theirs:
            different[name] = (ours, theirs)
    assert not different


@pytest.mark.parametrize("name", sorted(LAYERS.public_names()))
def test_every_layer_has_a_row(name: str) -> None:
    assert (name in WITHOUT_ROW) != any(case.layer == name for case in CASES)
    assert issubclass(LAYERS.find(name), Layer)
