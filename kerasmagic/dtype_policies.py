"""Dtype policies; ``keras.dtype_policies``."""

from kerasmagic.core.dtype_policy import DTypePolicy as DTypePolicy
from kerasmagic.core.dtype_policy import get as get
from kerasmagic.core.serialization import deserialize_keras_object as deserialize
from kerasmagic.core.serialization import serialize_keras_object as serialize

__all__ = ["DTypePolicy", "deserialize", "get", "serialize"]
