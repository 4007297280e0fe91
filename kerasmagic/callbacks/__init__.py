"""What is called during a run; ``keras.callbacks``."""

from kerasmagic.callbacks.callback import Callback as Callback
from kerasmagic.callbacks.callback_list import CallbackList as CallbackList
from kerasmagic.callbacks.history import History as History
