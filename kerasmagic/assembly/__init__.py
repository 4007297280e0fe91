"""Between text and library: definitions become layers and models, and those become text again."""

from kerasmagic.assembly import methods as methods
from kerasmagic.assembly.define import define as define
from kerasmagic.assembly.define import load as load
from kerasmagic.assembly.keeping import difference as difference
from kerasmagic.assembly.keeping import keep_weights as keep_weights
from kerasmagic.assembly.layer import DefinedLayer as DefinedLayer
from kerasmagic.assembly.layer import define_layer as define_layer
from kerasmagic.assembly.model import build_model as build_model
from kerasmagic.assembly.record import record_of as record_of
from kerasmagic.assembly.to_python import to_python as to_python
from kerasmagic.assembly.to_text import to_text as to_text
from kerasmagic.assembly.trial import try_layer as try_layer
from kerasmagic.assembly.vocabulary import own_layers as own_layers
from kerasmagic.assembly.vocabulary import vocabulary as vocabulary
