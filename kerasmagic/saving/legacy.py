"""Reading ``.h5`` files of Keras 1 to 3: whole models, and weights by order or by name.

The config is brought into today's form and then read like any other, under the
same rules: whatever a ``.keras`` file may not do, an ``.h5`` file may not either.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.saving.config import compile_model, explained, from_json, model_from_config
from kerasmagic.saving.hdf5 import File, Spec

_RENAMED = {"Model": "Functional", "Policy": "DTypePolicy", "BatchNormalizationV1": "BatchNormalization"}
# What layers took once; it is left out where it says what they do anyway.
_GONE = {"time_major": (False,), "implementation": (0, 1, 2), "batch_input_shape": None, "input_dtype": None}


def read(path: Path, custom_objects: Mapping[str, Any] | None, compile: bool, safe_mode: bool) -> Any:
    """Make the model that a file holds.

    Raises:
        InvalidArgument: If the file is damaged, or holds no model.
        UnknownName: If it names a class that is neither public nor registered.
    """
    with path.open("rb") as handle, File(handle) as file:
        text = file.text(file.root, "model_config")
        if text is None:
            raise InvalidArgument(
                f"{path} holds no model: there is no `model_config`.",
                hint="If it holds weights alone, build the model and call its `load_weights`.",
            )
        with explained():
            config = _modern(from_json(_bytes(text), "model_config"))
        model = model_from_config(config, custom_objects, compile, safe_mode)
        load_weights(file, model)
        training = file.text(file.root, "training_config") if compile else None
        if training is not None:
            settings = _compile_settings(from_json(_bytes(training), "training_config"))
            compile_model(model, lambda: model.compile(**settings), custom_objects)
            _load_optimizer(file, model)
    return model


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", errors="replace")


def _compile_settings(training: Mapping[str, Any]) -> dict[str, Any]:
    settings = {key: training.get(key) for key in ("loss", "loss_weights", "metrics", "weighted_metrics")}
    optimizer = dict(training.get("optimizer_config") or {})
    inner = dict(optimizer.get("config") or {})
    if "lr" in inner:
        inner["learning_rate"] = inner.pop("lr")
    if not inner.get("decay", 0):
        inner.pop("decay", None)
    return {**settings, "optimizer": {**optimizer, "config": inner} if optimizer else "rmsprop"}


# ---- the config


def _modern(config: Any) -> Any:
    """Return a config of any age in today's form."""
    if isinstance(config, list):
        return [_modern(item) for item in config]
    if not isinstance(config, Mapping):
        return config
    name, inner = config.get("class_name"), config.get("config")
    name = _RENAMED.get(name, name) if isinstance(name, str) else name
    if name == "Sequential" and isinstance(inner, (list, Mapping)):
        inner = _sequential(inner)
    elif name is not None and isinstance(inner, Mapping):
        inner = _nodes(inner) if "input_layers" in inner else _arguments(name, inner)
    made = {key: _modern(value) for key, value in config.items() if key not in ("class_name", "config")}
    if "class_name" in config:
        made["class_name"] = name
    return {**made, "config": _modern(inner)} if "config" in config else made


def _arguments(name: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in config.items() if not _is_gone(key, value)}
    if name == "InputLayer" and "batch_input_shape" in config:
        kept["batch_shape"] = config["batch_input_shape"]
    return kept


def _is_gone(key: str, value: Any) -> bool:
    return key in _GONE and (_GONE[key] is None or value in _GONE[key])


def _sequential(config: Any) -> dict[str, Any]:
    # Keras 1 wrote the layers alone.
    made: dict[str, Any] = {"layers": config} if isinstance(config, list) else dict(config)
    layers = list(made.get("layers") or [])
    first = layers[0] if layers and isinstance(layers[0], Mapping) else {}
    shape = made.pop("build_input_shape", None) or (first.get("config") or {}).get("batch_input_shape")
    if first and first.get("class_name") != "InputLayer" and shape is not None:
        layers.insert(0, {"class_name": "InputLayer", "config": {"batch_shape": shape}})
    return {**made, "layers": layers}


def _nodes(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of a graph whose calls were once lists of ``[layer, node, tensor, arguments]``."""
    layers = config.get("layers")
    if not isinstance(layers, list):
        raise InvalidArgument("The config of the model lists no layers.")
    names = {layer.get("name") for layer in layers if isinstance(layer, Mapping)}
    made = []
    for layer in layers:
        calls = layer.get("inbound_nodes") or []
        made.append({**layer, "inbound_nodes": [_node(call, names) for call in calls]})
    return {**config, "layers": made}


def _node(call: Any, names: set[Any]) -> Any:
    if isinstance(call, Mapping):
        return call
    calls = [call] if _is_place(call, names) else call
    if not isinstance(calls, list) or not all(_is_place(item, names) for item in calls):
        raise InvalidArgument(f"The config holds a call that is none: {call!r}.")
    tensors = [_tensor(item) for item in calls]
    options = calls[0][3] if len(calls[0]) > 3 and isinstance(calls[0][3], Mapping) else {}
    kwargs = {key: _tensor(value) if _is_place(value, names) else value for key, value in options.items()}
    return {"args": [tensors if len(tensors) > 1 else tensors[0]], "kwargs": kwargs}


def _is_place(value: Any, names: set[Any]) -> bool:
    return (
        isinstance(value, list)
        and len(value) >= 3
        and isinstance(value[0], str)
        and value[0] in names
        and all(isinstance(number, int) for number in value[1:3])
    )


def _tensor(place: list[Any]) -> dict[str, Any]:
    return {"class_name": "__keras_tensor__", "config": {"keras_history": place[:3]}}


# ---- the weights


def load_weights(file: File, model: Any, skip_mismatch: bool = False, by_name: bool = False) -> list[str]:
    """Set the weights of a model from an open file; return what was skipped.

    Raises:
        InvalidArgument: If they do not fit; then none was changed.
    """
    root = file.group("model_weights") or file.root
    names = file.texts(root, "layer_names")
    if not names and root is file.root:
        raise InvalidArgument("The file holds no weights of a model: it has no `layer_names`.")
    pairs = _by_name(model, names) if by_name else _in_order(file, root, model, names)
    plan: list[tuple[Any, np.ndarray]] = []
    problems: list[str] = []
    for layer, name in [*pairs, *_top(file, root, model)]:
        try:
            plan += _layer_values(file, root, layer, name)
        except InvalidArgument as error:
            problems.append(error.message)
    if problems and not skip_mismatch:
        raise InvalidArgument("The weights do not fit the model. " + " ".join(problems[:5]))
    for variable, value in plan:
        variable.assign(value)
    return problems


def _weights(layer: Any) -> list[Any]:
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _by_name(model: Any, names: list[str]) -> list[tuple[Any, str]]:
    return [(layer, layer.name) for layer in model.layers if layer.name in set(names) and _weights(layer)]


def _in_order(file: File, root: Any, model: Any, names: list[str]) -> list[tuple[Any, str]]:
    layers = [layer for layer in model.layers if _weights(layer)]
    kept = [name for name in names if _weight_names(file, root, name)]
    if len(layers) != len(kept):
        raise InvalidArgument(
            f"The weights do not fit the model: it has {len(layers)} layers with weights, the file {len(kept)}."
        )
    return list(zip(layers, kept, strict=True))


def _top(file: File, root: Any, model: Any) -> list[tuple[Any, str]]:
    """Return the model itself, if the file holds weights that are directly its own."""
    name = "top_level_model_weights"
    return (
        [(_Own(model), name)]
        if file.group(name, root) is not None and _weight_names(file, root, name)
        else []
    )


class _Own:
    """The variables of a model that are no layer's."""

    def __init__(self, model: Any):
        own = {id(v) for v in model._own_variables()}
        self.name = model.name
        self.trainable_weights = [v for v in model.trainable_weights if id(v) in own]
        self.non_trainable_weights = [v for v in model.non_trainable_weights if id(v) in own]


def _weight_names(file: File, root: Any, name: str) -> list[str]:
    group = file.group(name, root)
    if group is None:
        raise InvalidArgument(f"The file names the layer {name!r} and has no weights of it.")
    return file.texts(group, "weight_names")


def _layer_values(file: File, root: Any, layer: Any, name: str) -> list[tuple[Any, np.ndarray]]:
    weights, names = _weights(layer), _weight_names(file, root, name)
    if len(weights) != len(names):
        raise InvalidArgument(
            f"Layer {layer.name!r} expects {len(weights)} weights, but {name!r} in the file has {len(names)}."
        )
    group = file.group(name, root)
    return [
        (w, file.read(group, n, Spec(w.shape, w.dtype), f"Layer {layer.name!r}: weight {w.name!r}"))
        for w, n in zip(weights, names, strict=True)
    ]


def _load_optimizer(file: File, model: Any) -> None:
    """Set the state of the optimizer, where it is stored as today's optimizers keep it."""
    group = file.group("optimizer_weights")
    optimizer = getattr(model, "optimizer", None)
    if group is None or optimizer is None:
        return
    optimizer.build(model.trainable_variables)
    names, variables = file.texts(group, "weight_names"), optimizer.variables
    try:
        if len(names) != len(variables):
            raise InvalidArgument(f"it keeps {len(variables)} variables, the file {len(names)}")
        values = [
            file.read(group, n, Spec(v.shape, v.dtype), f"{v.name!r}")
            for n, v in zip(names, variables, strict=True)
        ]
    except InvalidArgument as error:
        warnings.warn(
            f"The state of the optimizer could not be loaded: {error.message}. It starts afresh.",
            stacklevel=4,
        )
        return
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
