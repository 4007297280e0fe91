"""The operations that NumPy has too: ``keras.ops.numpy``."""

from __future__ import annotations

from kerasmagic.ops import creation, elementwise, products, reductions, shaping
from kerasmagic.ops.creation import *  # noqa: F403
from kerasmagic.ops.elementwise import *  # noqa: F403
from kerasmagic.ops.products import *  # noqa: F403
from kerasmagic.ops.reductions import *  # noqa: F403
from kerasmagic.ops.shaping import *  # noqa: F403

__all__: list[str] = []
__all__ += creation.__all__
__all__ += elementwise.__all__
__all__ += products.__all__
__all__ += reductions.__all__
__all__ += shaping.__all__
