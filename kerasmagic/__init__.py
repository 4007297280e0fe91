"""kerasmagic: neural networks in a notebook, written as text and shown as they learn.

``%load_ext kerasmagic`` gives the cell magics ``%%layer`` and ``%%model``;
``import kerasmagic as keras`` gives the Keras 3 API on JAX.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kerasmagic.foundation.collector import no_collection as _no_collection

with _no_collection(stays=True):
    # Brings JAX and nearly all of the package.
    from kerasmagic import models as models

from kerasmagic import activations as activations
from kerasmagic import backend as backend
from kerasmagic import callbacks as callbacks
from kerasmagic import config as config
from kerasmagic import constraints as constraints
from kerasmagic import dtype_policies as dtype_policies
from kerasmagic import export as export
from kerasmagic import initializers as initializers
from kerasmagic import layers as layers
from kerasmagic import losses as losses
from kerasmagic import metrics as metrics
from kerasmagic import mixed_precision as mixed_precision
from kerasmagic import ops as ops
from kerasmagic import optimizers as optimizers
from kerasmagic import quantizers as quantizers
from kerasmagic import random as random
from kerasmagic import regularizers as regularizers
from kerasmagic import saving as saving
from kerasmagic import tree as tree
from kerasmagic import utils as utils
from kerasmagic.constraints import Constraint as Constraint
from kerasmagic.core.compile_cache import use_compile_cache as _use_compile_cache
from kerasmagic.core.devices import device as device
from kerasmagic.core.dtype_policy import DTypePolicy as DTypePolicy
from kerasmagic.core.dtype_policy import FloatDTypePolicy as FloatDTypePolicy
from kerasmagic.core.input_spec import InputSpec as InputSpec
from kerasmagic.core.layer import Layer as Layer
from kerasmagic.core.memory import keep_freed_memory as _keep_freed_memory
from kerasmagic.core.remat import RematScope as RematScope
from kerasmagic.core.remat import remat as remat
from kerasmagic.core.scope import StatelessScope as StatelessScope
from kerasmagic.core.scope import SymbolicScope as SymbolicScope
from kerasmagic.core.scope import name_scope as name_scope
from kerasmagic.core.symbolic import KerasTensor as KerasTensor
from kerasmagic.core.symbolic import Operation as Operation
from kerasmagic.core.tuning import start_tuning as _start_tuning
from kerasmagic.core.variable import Variable as Variable
from kerasmagic.foundation.views import offer as _offer
from kerasmagic.foundation.views import view as _view
from kerasmagic.initializers import Initializer as Initializer
from kerasmagic.layers import Input as Input
from kerasmagic.losses import Loss as Loss
from kerasmagic.metrics import Metric as Metric
from kerasmagic.models import Model as Model
from kerasmagic.models import Sequential as Sequential
from kerasmagic.models.function import Function as Function
from kerasmagic.optimizers import Optimizer as Optimizer
from kerasmagic.quantizers import Quantizer as Quantizer
from kerasmagic.regularizers import Regularizer as Regularizer

if TYPE_CHECKING:
    from kerasmagic.assembly import define as define
    from kerasmagic.assembly import load as load

__version__ = "0.1.0"

_keep_freed_memory()
_use_compile_cache()
_start_tuning()

# What reads and writes text takes a third of the time of all imports here: it comes with its first use.
_LATER = {"define": "kerasmagic.assembly:define", "load": "kerasmagic.assembly:load"}
_offer(
    **_LATER,
    to_text="kerasmagic.assembly:to_text",
    to_python="kerasmagic.assembly:to_python",
    layer_to_python="kerasmagic.assembly.to_python:layer_to_python",
    read_definition="kerasmagic.assembly.layer:read_definition",
)
_offer(model_table="kerasmagic.magics.table:show", editor="kerasmagic.magics.editor:editor")
# How notebooks show objects, and the figures of them.
_offer(
    model="kerasmagic.magics.table:bundle",
    layer="kerasmagic.widgets.reprs:layer",
    variable="kerasmagic.widgets.reprs:variable",
    history="kerasmagic.widgets.reprs:history",
    plot_history="kerasmagic.widgets.plots:plot_history",
    plot_model="kerasmagic.widgets.plots:plot_model",
    weights="kerasmagic.widgets.looks:weights",
    activations="kerasmagic.widgets.looks:activations",
    kernels="kerasmagic.widgets.looks:kernels",
    attention="kerasmagic.widgets.looks:attention",
)


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _view(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})


def editor(text: str | None = None, name: str = "model") -> Any:
    """Return an editor for a model in which shapes and errors follow the typing; a notebook shows it.

    Ctrl-Enter, or its button, builds the model and binds it to ``name`` in the notebook.

    Args:
        text: What to begin with: the lines of a ``%%model`` cell.
        name: The name of the model.

    Returns:
        A widget; its ``text`` is what was typed, its ``model`` what was last built, or ``None``.

    Raises:
        InvalidArgument: If ``name`` cannot be the name of a variable.

    Example:

    >>> editor("input 4\\ndense 2").text
    'input 4\\ndense 2'
    """
    return _view("editor")(text, name)


def version() -> str:
    """Return the version of kerasmagic."""
    return __version__


def load_ipython_extension(ipython: Any) -> None:
    """Register the magics: what ``%load_ext kerasmagic`` calls."""
    from kerasmagic import magics

    magics.load(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """Take the magics away again: what ``%unload_ext kerasmagic`` calls."""
    from kerasmagic import magics

    magics.unload(ipython)
