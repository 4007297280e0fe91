"""Functions of arrays that take symbolic tensors and variables too: ``keras.ops``.

Three hundred names: each module says in ``__all__`` which of them are its own.
"""

from __future__ import annotations

from kerasmagic.ops import image as image
from kerasmagic.ops import linalg as linalg
from kerasmagic.ops import nn as nn
from kerasmagic.ops import numpy as numpy
from kerasmagic.ops.core import *  # noqa: F403
from kerasmagic.ops.linalg import *  # noqa: F403
from kerasmagic.ops.math import *  # noqa: F403
from kerasmagic.ops.nn import *  # noqa: F403
from kerasmagic.ops.numpy import *  # noqa: F403
