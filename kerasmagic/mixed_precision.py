"""The older names of dtype policies and loss scaling; ``keras.mixed_precision``."""

from kerasmagic.core.dtype_policy import DTypePolicy as DTypePolicy
from kerasmagic.core.dtype_policy import dtype_policy as dtype_policy
from kerasmagic.core.dtype_policy import set_dtype_policy as set_dtype_policy
from kerasmagic.optimizers import LossScaleOptimizer as LossScaleOptimizer

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy
