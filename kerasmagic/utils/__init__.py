"""Small helpers around models and data; ``keras.utils``."""

from kerasmagic.core import symbolic as _symbolic
from kerasmagic.core.dtypes import standardize_dtype as standardize_dtype
from kerasmagic.foundation.registry import custom_object_scope as custom_object_scope
from kerasmagic.foundation.registry import get_custom_objects as get_custom_objects
from kerasmagic.foundation.registry import get_registered_name as get_registered_name
from kerasmagic.foundation.registry import get_registered_object as get_registered_object
from kerasmagic.foundation.registry import register_keras_serializable as register_keras_serializable
from kerasmagic.saving import deserialize_keras_object as deserialize_keras_object
from kerasmagic.saving import serialize_keras_object as serialize_keras_object
from kerasmagic.training.data.py_dataset import PyDataset as PyDataset
from kerasmagic.utils import bounding_boxes as bounding_boxes
from kerasmagic.utils.batches import get_source_inputs as get_source_inputs
from kerasmagic.utils.batches import pack_x_y_sample_weight as pack_x_y_sample_weight
from kerasmagic.utils.batches import pad_sequences as pad_sequences
from kerasmagic.utils.batches import unpack_x_y_sample_weight as unpack_x_y_sample_weight
from kerasmagic.utils.labels import normalize as normalize
from kerasmagic.utils.labels import to_categorical as to_categorical
from kerasmagic.utils.progbar import Progbar as Progbar
from kerasmagic.utils.session import clear_session as clear_session
from kerasmagic.utils.session import set_random_seed as set_random_seed

CustomObjectScope = custom_object_scope
Sequence = PyDataset
is_keras_tensor = _symbolic.is_symbolic
