"""Preprocessing layers: what is done to data before it is learned from."""

from kerasmagic.layers.preprocessing.category_encoding import CategoryEncoding as CategoryEncoding
from kerasmagic.layers.preprocessing.discretization import Discretization as Discretization
from kerasmagic.layers.preprocessing.normalization import Normalization as Normalization
from kerasmagic.layers.preprocessing.pipeline import Pipeline as Pipeline
from kerasmagic.layers.preprocessing.rescaling import Rescaling as Rescaling
from kerasmagic.layers.preprocessing.spectrogram import MelSpectrogram as MelSpectrogram
from kerasmagic.layers.preprocessing.spectrogram import STFTSpectrogram as STFTSpectrogram
