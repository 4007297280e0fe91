"""Between text and library: definitions become layers and models."""

from kerasmagic.assembly.layer import DefinedLayer as DefinedLayer
from kerasmagic.assembly.layer import define_layer as define_layer
from kerasmagic.assembly.model import build_model as build_model
from kerasmagic.assembly.model import define as define
from kerasmagic.assembly.vocabulary import own_layers as own_layers
from kerasmagic.assembly.vocabulary import vocabulary as vocabulary
