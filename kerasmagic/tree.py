"""Nested structures of tensors; ``keras.tree``."""

from kerasmagic.core.tree import assert_same_structure as assert_same_structure
from kerasmagic.core.tree import flatten as flatten
from kerasmagic.core.tree import is_nested as is_nested
from kerasmagic.core.tree import lists_to_tuples as lists_to_tuples
from kerasmagic.core.tree import map_structure as map_structure
from kerasmagic.core.tree import pack_sequence_as as pack_sequence_as
