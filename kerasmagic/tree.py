"""Nested structures of tensors; ``keras.tree``."""

from kerasmagic.core.tree import assert_same_structure as assert_same_structure
from kerasmagic.core.tree import flatten as flatten
from kerasmagic.core.tree import is_nested as is_nested
from kerasmagic.core.tree import lists_to_tuples as lists_to_tuples
from kerasmagic.core.tree import map_shapes as map_shape_structure  # noqa: F401
from kerasmagic.core.tree import map_structure as map_structure
from kerasmagic.core.tree import pack_sequence_as as pack_sequence_as
from kerasmagic.core.tree_paths import MAP_TO_NONE as MAP_TO_NONE
from kerasmagic.core.tree_paths import assert_same_paths as assert_same_paths
from kerasmagic.core.tree_paths import flatten_with_path as flatten_with_path
from kerasmagic.core.tree_paths import map_structure_up_to as map_structure_up_to
from kerasmagic.core.tree_paths import traverse as traverse
