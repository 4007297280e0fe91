"""Preprocessing layers: what is done to data before it is learned from."""

from kerasmagic.layers.preprocessing.normalization import Normalization as Normalization
from kerasmagic.layers.preprocessing.rescaling import Rescaling as Rescaling
