"""Every public name of `keras` and its small modules is here, or listed as absent with the reason.

The folders with families of their own (`layers`, `ops`, ...) have such a test beside their other ones.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest

import kerasmagic

OWN_TEST = "a family of its own, later than the layer library"
TRAINING = "belongs to training, not to the layer library"
ONE_BACKEND = "there is one backend"

ABSENT: dict[str, dict[str, str]] = {
    "": {
        **dict.fromkeys(["applications", "datasets", "preprocessing", "distribution"], OWN_TEST),
        "distillation": "training one model by another is out of scope",
        "visualization": "pictures of images are out of scope; models are shown by the widgets",
        "wrappers": "wraps another framework",
        "legacy": "names of Keras 2",
        "src": "the implementation of Keras",
    },
    "backend": {},
    "config": {
        **dict.fromkeys(["is_nnx_enabled", "set_backend"], ONE_BACKEND),
        **dict.fromkeys(
            [
                *(
                    "disable_interactive_logging",
                    "enable_interactive_logging",
                    "is_interactive_logging_enabled",
                ),
                *("max_epochs", "max_steps_per_epoch", "set_max_epochs", "set_max_steps_per_epoch"),
            ],
            TRAINING,
        ),
        **dict.fromkeys(
            ["disable_traceback_filtering", "enable_traceback_filtering", "is_traceback_filtering_enabled"],
            "tracebacks are not cut; what a notebook shows of an error is up to the magics",
        ),
        "enable_unsafe_deserialization": "nothing that executes code is ever read",
    },
    "dtype_policies": {},
    "mixed_precision": {},
    "quantizers": dict.fromkeys(
        ["AWQConfig", "GPTQConfig"],
        "they calibrate a language model on a tokenized text, which is out of scope",
    ),
    "tree": {},
}


def public(module: Any) -> set[str]:
    return {name for name in dir(module) if not name.startswith("_")}


@pytest.mark.parametrize("name", ABSENT)
def test_every_name_is_present_or_absent_with_a_reason(name: str, keras: ModuleType) -> None:
    theirs, ours = (getattr(library, name) if name else library for library in (keras, kerasmagic))
    assert public(theirs) - public(ours) == set(ABSENT[name]), "present now, or missing without a reason"


@pytest.mark.parametrize("name", [name for name in ABSENT if name])
def test_the_small_modules_are_callable_alike(name: str, keras: ModuleType) -> None:
    theirs, ours = getattr(keras, name), getattr(kerasmagic, name)
    for each in public(theirs) - set(ABSENT[name]):
        assert callable(getattr(ours, each)) == callable(getattr(theirs, each)), each
        assert isinstance(getattr(ours, each), type) == isinstance(getattr(theirs, each), type), each
