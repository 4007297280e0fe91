"""The process-wide settings; ``keras.config``."""

from kerasmagic.core.dtype_policy import dtype_policy as dtype_policy
from kerasmagic.core.dtype_policy import set_dtype_policy as set_dtype_policy
from kerasmagic.core.tuning import disable_tuning as disable_tuning
from kerasmagic.core.tuning import enable_tuning as enable_tuning
from kerasmagic.core.tuning import is_tuning_enabled as is_tuning_enabled
from kerasmagic.foundation.config import backend as backend
from kerasmagic.foundation.config import disable_flash_attention as disable_flash_attention
from kerasmagic.foundation.config import enable_flash_attention as enable_flash_attention
from kerasmagic.foundation.config import epsilon as epsilon
from kerasmagic.foundation.config import floatx as floatx
from kerasmagic.foundation.config import image_data_format as image_data_format
from kerasmagic.foundation.config import is_flash_attention_enabled as is_flash_attention_enabled
from kerasmagic.foundation.config import set_epsilon as set_epsilon
from kerasmagic.foundation.config import set_floatx as set_floatx
from kerasmagic.foundation.config import set_image_data_format as set_image_data_format
