"""Small helpers around models and data; ``keras.utils``."""

from kerasmagic.foundation.registry import custom_object_scope as custom_object_scope
from kerasmagic.foundation.registry import get_custom_objects as get_custom_objects
from kerasmagic.foundation.registry import get_registered_name as get_registered_name
from kerasmagic.foundation.registry import get_registered_object as get_registered_object
from kerasmagic.foundation.registry import register_keras_serializable as register_keras_serializable
from kerasmagic.saving import deserialize_keras_object as deserialize_keras_object
from kerasmagic.saving import serialize_keras_object as serialize_keras_object
from kerasmagic.utils.labels import normalize as normalize
from kerasmagic.utils.labels import to_categorical as to_categorical
from kerasmagic.utils.session import clear_session as clear_session
from kerasmagic.utils.session import set_random_seed as set_random_seed
