"""Quantizing all layers of a model that can be."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from kerasmagic.foundation.errors import InvalidArgument
from kerasmagic.quantizers.configs import resolve_config


def quantize_layers(
    layers: Iterable[Any],
    mode: Any = None,
    config: Any = None,
    filters: str | Iterable[str] | Callable[[Any], bool] | None = None,
    type_check: bool = True,
) -> bool:
    """Quantize each of the layers that has none inside; warn of those that cannot be.

    Args:
        layers: The layers.
        mode: A quantization mode; may be ``None`` if there is a config.
        config: A ``QuantizationConfig``.
        filters: Which layers: a pattern that is looked for in the name, several of them, or a predicate.
        type_check: Whether subclasses of the library's layers are left alone.

    Returns:
        Whether any layer was quantized.

    Raises:
        InvalidArgument: If the arguments contradict each other, or a layer is not built or is quantized.
    """
    wanted = _predicate(filters)
    config = resolve_config(mode, config)
    changed = False
    for layer in layers:
        if not wanted(layer) or len(list(layer._flatten_layers())) > 1:
            continue
        try:
            layer.quantize(config.mode, type_check=type_check, config=config)
            changed = True
        except NotImplementedError as error:
            warnings.warn(str(error), stacklevel=3)
    return changed


def _predicate(filters: Any) -> Callable[[Any], bool]:
    if filters is None:
        return lambda layer: True
    if callable(filters):
        return lambda layer: bool(filters(layer))
    if not isinstance(filters, (str, list, tuple)):
        raise InvalidArgument(
            "The `filters` argument must be a regex string, a list of regex strings, or a callable. "
            f"Received: {type(filters)}"
        )
    patterns = [filters] if isinstance(filters, str) else list(filters)
    return lambda layer: any(re.search(pattern, layer.name) for pattern in patterns)
