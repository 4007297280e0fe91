"""Functions of arrays that take symbolic tensors and variables too: ``keras.ops``.

Three hundred names: each module says in ``__all__`` which of them are its own.
"""

from __future__ import annotations

from types import ModuleType

from kerasmagic.core.addresses import class_name, place
from kerasmagic.foundation.registry import OPERATIONS
from kerasmagic.ops import core, math
from kerasmagic.ops import image as image
from kerasmagic.ops import linalg as linalg
from kerasmagic.ops import nn as nn
from kerasmagic.ops import numpy as numpy
from kerasmagic.ops.core import *  # noqa: F403
from kerasmagic.ops.linalg import *  # noqa: F403
from kerasmagic.ops.math import *  # noqa: F403
from kerasmagic.ops.nn import *  # noqa: F403
from kerasmagic.ops.numpy import *  # noqa: F403

# Where Keras keeps a function in another module than its neighbours.
_MODULES = {"logsumexp": "math", "rearrange": "einops"}


def _place(module: ModuleType) -> None:
    """Give the operations of a module the addresses by which files name them; aliases are read too."""
    known = OPERATIONS.public_names().values()
    own_name = module.__name__.rpartition(".")[2]
    for name in module.__all__:
        function = getattr(module, name)
        if function in known:
            where = f"keras.src.ops.{_MODULES.get(name, own_name)}"
            place(function, where, class_name(name))
            place(function, where)
            # Such as `abs` of `absolute`: texts and lookups know every name.
            OPERATIONS.add(function, name)


for _each in (core, image, linalg, math, nn, numpy):
    _place(_each)
