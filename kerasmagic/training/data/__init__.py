"""From what a user passes to ``fit`` to batches of arrays."""

from kerasmagic.training.data.source import Source as Source
from kerasmagic.training.data.source import as_source as as_source
from kerasmagic.training.data.split import train_validation_split as train_validation_split
