"""Models as StableHLO artifacts: files that run with jax alone.

An artifact is what ``jax.export`` serializes: the program with the weights in it, for any batch size.
``jax.export.deserialize(bytearray(Path("model.stablehlo").read_bytes())).call(x)`` runs it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from jax import export as jax_export

from kerasmagic.core import tree
from kerasmagic.core.input_spec import InputSpec
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.saving.atomic import replacing

PLATFORMS = ("cpu", "cuda", "tpu")
_ELSEWHERE = {
    "tf_saved_model": "needs TensorFlow",
    "onnx": "needs tf2onnx and TensorFlow",
    "openvino": "needs OpenVINO and TensorFlow",
    "litert": "needs LiteRT",
    "torch": "needs a torch backend",
}


def export_model(
    model: Any,
    filepath: str | os.PathLike[str],
    format: str = "stablehlo",
    input_signature: Any = None,
    platforms: Sequence[str] = PLATFORMS,
) -> None:
    """Write ``model`` as a function of its inputs, without what only training needs.

    Args:
        model: A built model.
        filepath: The file to write.
        format: ``"stablehlo"``.
        input_signature: Shapes and dtypes of the inputs, as ``InputSpec`` or ``KerasTensor`` in the structure
            of the inputs; those of a functional or sequential model when ``None``.
        platforms: The kinds of devices that it must run on.

    Raises:
        InvalidArgument: If the format is another one, or the inputs are not known.
    """
    if format != "stablehlo":
        reason = _ELSEWHERE.get(format, "is not known")
        raise InvalidArgument(
            f"kerasmagic exports format='stablehlo'. Received: format={format!r}, which {reason}. "
            "A `.keras` file loads in Keras, which has the other formats."
        )
    signature = _signature(model) if input_signature is None else input_signature
    arguments = signature if isinstance(signature, (list, tuple)) and len(signature) == 1 else [signature]
    _write(Path(filepath), _inference(model), [_specs(one) for one in arguments], platforms)


class ExportArchive:
    """Several functions as artifacts in one directory, ``<name>.stablehlo`` each.

    Example:

    >>> import tempfile
    >>> import jax, numpy as np, kerasmagic as keras
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> archive = ExportArchive()
    >>> archive.track(model)
    >>> serve = archive.add_endpoint("serve", model.call, [keras.InputSpec(shape=(None, 3), dtype="float32")])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     archive.write_out(folder)
    ...     loaded = jax.export.deserialize(bytearray((Path(folder) / "serve.stablehlo").read_bytes()))
    >>> loaded.call(np.ones((5, 3), "float32")).shape
    (5, 2)
    """

    def __init__(self) -> None:
        self._tracked: list[Any] = []
        self._endpoints: dict[str, tuple[Callable[..., Any], list[Any]]] = {}

    def track(self, resource: Any) -> None:
        """Take note of a layer or model; its weights become constants of the functions that use it.

        Raises:
            InvalidArgument: If it is not built.
        """
        if not getattr(resource, "built", True):
            raise InvalidArgument(
                "The layer provided has not yet been built. It must be built before export."
            )
        self._tracked.append(resource)

    def add_endpoint(
        self, name: str, fn: Callable[..., Any], input_signature: Any = None
    ) -> Callable[..., Any]:
        """Add a function of arrays under ``name`` and return it.

        Args:
            name: The name of its file.
            fn: The function.
            input_signature: One ``InputSpec``, or a structure of them, for each argument.

        Raises:
            InvalidArgument: If the name is taken or no file name, or no signature is given.
        """
        if name in self._endpoints or not name.isidentifier():
            raise InvalidArgument(
                f"An endpoint needs a name of its own that can be a file's. Received: {name!r}"
            )
        if not input_signature:
            raise InvalidArgument(
                f"The endpoint {name!r} needs an `input_signature`: one `InputSpec` per argument."
            )
        self._endpoints[name] = (fn, [_specs(one) for one in input_signature])
        return fn

    def write_out(
        self, filepath: str | os.PathLike[str], platforms: Sequence[str] = PLATFORMS, verbose: bool = True
    ) -> None:
        """Write each function to ``<name>.stablehlo`` in the directory ``filepath``.

        Raises:
            InvalidArgument: If there is no function.
        """
        if not self._endpoints:
            raise InvalidArgument("No endpoints have been set yet. Call `add_endpoint()`.")
        Path(filepath).mkdir(parents=True, exist_ok=True)
        for name, (function, specs) in self._endpoints.items():
            _write(Path(filepath) / f"{name}.stablehlo", function, specs, platforms)


def _inference(model: Any) -> Callable[..., Any]:
    options = {"training": False} if model._call_has_training else {}
    trainable = [v.stored() for v in model.trainable_variables]
    non_trainable = [v.stored() for v in model.non_trainable_variables]

    def infer(*inputs: Any) -> Any:
        return model.stateless_call(trainable, non_trainable, *inputs, **options)[0]

    return infer


def _signature(model: Any) -> Any:
    try:
        return [model.input]
    except AttributeError:
        raise InvalidArgument(
            f"The inputs of {model.name!r} are not known: pass `input_signature`, or give the model an `Input`."
        ) from None


def _specs(signature: Any) -> Any:
    return tree.map_structure(_spec, signature)


def _spec(x: Any) -> jax.ShapeDtypeStruct:
    if isinstance(x, InputSpec):
        if x.shape is None:
            raise InvalidArgument(f"An `InputSpec` for export needs a shape. Received: {x}")
        x = KerasTensor(x.shape, x.dtype or "float32")
    return x.spec if isinstance(x, KerasTensor) else KerasTensor(x.shape, x.dtype).spec


def _write(path: Path, function: Callable[..., Any], specs: list[Any], platforms: Sequence[str]) -> None:
    exported = jax_export.export(jax.jit(function), platforms=list(platforms))(*specs)
    with replacing(path) as file:
        file.write(exported.serialize())
