"""``keras.callbacks``: what is told of a run while it goes on."""

from __future__ import annotations

from kerasmagic.callbacks.backup import BackupAndRestore as BackupAndRestore
from kerasmagic.callbacks.callback import Callback as Callback
from kerasmagic.callbacks.callback import CallbackList as CallbackList
from kerasmagic.callbacks.callback import History as History
from kerasmagic.callbacks.checkpoint import ModelCheckpoint as ModelCheckpoint
from kerasmagic.callbacks.control import LambdaCallback as LambdaCallback
from kerasmagic.callbacks.control import LearningRateScheduler as LearningRateScheduler
from kerasmagic.callbacks.control import SwapEMAWeights as SwapEMAWeights
from kerasmagic.callbacks.control import TerminateOnNaN as TerminateOnNaN
from kerasmagic.callbacks.intervention import Intervention as Intervention
from kerasmagic.callbacks.monitor import EarlyStopping as EarlyStopping
from kerasmagic.callbacks.monitor import ReduceLROnPlateau as ReduceLROnPlateau
from kerasmagic.callbacks.orbax import OrbaxCheckpoint as OrbaxCheckpoint
from kerasmagic.callbacks.remote import RemoteMonitor as RemoteMonitor
from kerasmagic.callbacks.tensorboard import TensorBoard as TensorBoard
from kerasmagic.callbacks.text import CSVLogger as CSVLogger
from kerasmagic.callbacks.text import ProgbarLogger as ProgbarLogger
