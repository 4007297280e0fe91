"""What layers and models do once the language is there: point at the line that data does not fit."""

from __future__ import annotations

from typing import Any

from kerasmagic.assembly.blame import pointing
from kerasmagic.assembly.layer import DefinedLayer
from kerasmagic.assembly.python_source import Source
from kerasmagic.models import Model


def _class_to_python(cls: Any) -> str:
    """Return the ``keras.layers.Layer`` subclass that a person would have written, with its imports.

    Raises:
        NotSerializable: If a line of the definition cannot be written.
    """
    source = Source()
    source.address(cls)
    return "\n".join(source.head()).rstrip() + "\n"


# The library stands below the language and knows nothing of it, so its classes get this here.
for _name in ("fit", "evaluate", "predict", "train_on_batch", "__call__"):
    setattr(Model, _name, pointing(getattr(Model, _name)))
DefinedLayer.to_python = classmethod(_class_to_python)  # type: ignore[attr-defined]
