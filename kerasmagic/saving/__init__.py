"""Files that come and go between us and Keras; ``keras.saving``."""

from kerasmagic.core.serialization import deserialize_keras_object as deserialize_keras_object
from kerasmagic.core.serialization import serialize_keras_object as serialize_keras_object
from kerasmagic.foundation.registry import custom_object_scope as custom_object_scope
from kerasmagic.foundation.registry import get_custom_objects as get_custom_objects
from kerasmagic.foundation.registry import get_registered_name as get_registered_name
from kerasmagic.foundation.registry import get_registered_object as get_registered_object
from kerasmagic.foundation.registry import register_keras_serializable as register_keras_serializable
from kerasmagic.saving.api import load_model as load_model
from kerasmagic.saving.api import load_weights as load_weights
from kerasmagic.saving.api import save_model as save_model
from kerasmagic.saving.api import save_weights as save_weights

CustomObjectScope = custom_object_scope
