"""Settings and types under the names they had first; ``keras.backend``."""

from kerasmagic.core.dtypes import is_float_dtype as is_float_dtype
from kerasmagic.core.dtypes import is_int_dtype as is_int_dtype
from kerasmagic.core.dtypes import result_type as result_type
from kerasmagic.core.dtypes import standardize_dtype as standardize_dtype
from kerasmagic.core.symbolic import is_symbolic as is_keras_tensor  # noqa: F401
from kerasmagic.foundation.config import backend as backend
from kerasmagic.foundation.config import epsilon as epsilon
from kerasmagic.foundation.config import floatx as floatx
from kerasmagic.foundation.config import image_data_format as image_data_format
from kerasmagic.foundation.config import set_epsilon as set_epsilon
from kerasmagic.foundation.config import set_floatx as set_floatx
from kerasmagic.foundation.config import set_image_data_format as set_image_data_format
from kerasmagic.foundation.naming import get_uid as get_uid
from kerasmagic.utils.session import clear_session as clear_session
