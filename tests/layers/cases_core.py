"""Rows of the core layers: dense, embedding, structural, reshaping, activations."""

from __future__ import annotations

from tests.layers.case import Case, nested

L2 = {"class_name": "L2", "config": {"l2": 0.01}, "module": "keras.regularizers", "registered_name": None}
MAX_NORM = {
    "class_name": "MaxNorm",
    "config": {"max_value": 2, "axis": 0},
    "module": "keras.constraints",
    "registered_name": None,
}

DENSE: list[Case] = [
    Case("Dense", {"units": 4}, (3, 5)),
    Case("Dense", {"units": 4, "use_bias": False, "activation": "relu"}, (2, 3, 5), open_axes=(0, 1)),
    Case("Dense", {"units": 2, "activation": "tanh"}, (2, 3, 5), mask=True),
    Case(
        "Dense",
        {"units": 3, "kernel_regularizer": "l2", "bias_regularizer": L2, "activity_regularizer": "l1"},
        (4, 5),
    ),
    Case("Dense", {"units": 3, "kernel_constraint": MAX_NORM, "bias_constraint": "non_neg"}, (4, 5)),
    Case("Dense", {"units": 3, "kernel_initializer": "he_normal", "bias_initializer": "ones"}, (2, 2, 2, 5)),
    Case("Dense", {"units": 6, "lora_rank": 2}, (3, 5)),
    Case("EinsumDense", {"equation": "ab,bc->ac", "output_shape": 6}, (3, 5)),
    Case("EinsumDense", {"equation": "ab,bc->ac", "output_shape": [6], "bias_axes": "c"}, (3, 5)),
    Case(
        "EinsumDense",
        {"equation": "abc,cd->abd", "output_shape": [None, 6], "bias_axes": "d", "activation": "relu"},
        (2, 3, 5),
        open_axes=(0, 1),
    ),
    Case(
        "EinsumDense", {"equation": "abc,cde->abde", "output_shape": [3, 2, 4], "bias_axes": "de"}, (2, 3, 5)
    ),
    Case(
        "EinsumDense", {"equation": "abc,cde->abde", "output_shape": [3, 2, 4], "bias_axes": "bd"}, (2, 3, 5)
    ),
    # Keras gives the axes of a left ellipsis in reverse order in the symbolic shape: equal sizes hide that.
    Case("EinsumDense", {"equation": "...x,xy->...y", "output_shape": 4, "bias_axes": "y"}, (2, 3, 3, 5)),
    Case("EinsumDense", {"equation": "ab...,bc->ac...", "output_shape": 4, "bias_axes": "c"}, (2, 5, 3)),
    Case(
        "EinsumDense",
        {"equation": "abcd,cde->abe", "output_shape": [None, 4]},
        (2, 3, 2, 5),
        open_axes=(0, 1),
    ),
    Case(
        "EinsumDense",
        {"equation": "abc,cde->abde", "output_shape": [3, 2, 4], "lora_rank": 2, "lora_alpha": 4},
        (2, 3, 5),
    ),
    Case(
        "EinsumDense",
        {
            "equation": "ab,bc->ac",
            "output_shape": 6,
            "bias_axes": "c",
            "kernel_initializer": "he_normal",
            "bias_initializer": "ones",
            "kernel_regularizer": "l2",
            "bias_regularizer": L2,
            "activity_regularizer": "l2",
            "kernel_constraint": MAX_NORM,
            "bias_constraint": "non_neg",
        },
        (3, 5),
    ),
]

NOT_CAST = (
    "embeddings do not cast their inputs: scores of float32 vectors are float32, Keras' symbolic ones are not"
)
VECTORS = {
    "embeddings_initializer": "he_normal",
    "embeddings_regularizer": "l2",
    "embeddings_constraint": MAX_NORM,
}
EMBEDDING: list[Case] = [
    Case("Embedding", {"input_dim": 10, "output_dim": 4}, (2, 5), dtype="int32", open_axes=(0, 1)),
    Case("Embedding", {"input_dim": 10, "output_dim": 4, "mask_zero": True}, (3, 6), dtype="int32", high=4),
    Case("Embedding", {"input_dim": 10, "output_dim": 3, **VECTORS}, (4,), dtype="int32"),
    Case("Embedding", {"input_dim": 10, "output_dim": 6, "lora_rank": 2}, (2, 5), dtype="int32"),
    Case("Embedding", {"input_dim": 10, "output_dim": 6, "input_length": 5}, (2, 5), dtype="int32"),
    Case(
        "Embedding", {"input_dim": 10, "output_dim": 6, "activity_regularizer": "l2"}, (2, 5), dtype="int32"
    ),
    Case("ReversibleEmbedding", {"input_dim": 10, "output_dim": 4}, (2, 5), dtype="int32"),
    Case("ReversibleEmbedding", {"input_dim": 10, "output_dim": 4, **VECTORS}, (2, 5), dtype="int32"),
    Case(
        "ReversibleEmbedding",
        {"input_dim": 10, "output_dim": 4, "mask_zero": True},
        (2, 5),
        dtype="int32",
        high=3,
    ),
    Case(
        "ReversibleEmbedding",
        {"input_dim": 10, "output_dim": 4},
        (2, 5, 4),
        call={"reverse": True},
        note=NOT_CAST,
        skip=frozenset({"mixed_precision"}),
    ),
    Case(
        "ReversibleEmbedding",
        {"input_dim": 10, "output_dim": 4, "tie_weights": False, "logit_soft_cap": 2.0},
        (2, 5, 4),
        call={"reverse": True},
        note=NOT_CAST,
        skip=frozenset({"mixed_precision"}),
    ),
    Case(
        "ReversibleEmbedding",
        {"input_dim": 10, "output_dim": 4, "reverse_dtype": "float32"},
        (2, 5, 4),
        call={"reverse": True},
        note=NOT_CAST,
        skip=frozenset({"mixed_precision"}),
    ),
]

STRUCTURAL: list[Case] = [
    Case("Identity", {}, (2, 3)),
    Case("Identity", {}, (2, 3, 4), mask=True),
    Case("Masking", {}, (2, 3, 4)),
    Case(
        "Masking",
        {"mask_value": 2.0},
        (2, 5, 1),
        dtype="int32",
        high=3,
        note="Keras' symbolic output of integers is float32, its values are integers",
        skip=frozenset({"shape", "mixed_precision"}),
    ),
]

RESHAPING: list[Case] = [
    Case("Flatten", {}, (2, 3, 4)),
    Case("Flatten", {}, (3,)),
    Case("Flatten", {"data_format": "channels_first"}, (2, 3, 4, 5)),
    Case("Flatten", {}, (2, 3, 4), open_axes=(0, 1)),
    Case("Reshape", {"target_shape": [4, 3]}, (2, 3, 4)),
    Case("Reshape", {"target_shape": [2, -1, 3]}, (2, 12)),
    Case("Reshape", {"target_shape": [-1, 2]}, (2, 3, 4), open_axes=(0, 1)),
    Case("Reshape", {"target_shape": [-1, 6]}, (2, 3, 4), open_axes=(0, 1)),
    Case("Reshape", {"target_shape": [6, 2]}, (2, 3, 4), dtype="int32", open_axes=(0, 1)),
    Case("Permute", {"dims": [2, 1]}, (2, 3, 4), open_axes=(0, 1)),
    Case("Permute", {"dims": [3, 1, 2]}, (2, 3, 4, 5)),
    Case("RepeatVector", {"n": 3}, (2, 4), open_axes=(0, 1)),
]

ACTIVATIONS: list[Case] = [
    Case("Activation", {"activation": "relu"}, (2, 3)),
    Case("Activation", {"activation": "tanh"}, (2, 3, 4), mask=True),
    Case("Activation", {"activation": "softmax"}, (2, 3, 4)),
    Case("ReLU", {}, (2, 5)),
    Case("ReLU", {"max_value": 0.8, "negative_slope": 0.2, "threshold": 0.1}, (4, 5)),
    Case("ReLU", {"max_value": 6}, (4, 5), mask=True),
    Case("LeakyReLU", {}, (4, 5)),
    Case("LeakyReLU", {"negative_slope": 0.1}, (4, 5)),
    Case("LeakyReLU", {"alpha": 0.1}, (4, 5)),
    Case("ELU", {}, (4, 5)),
    Case("ELU", {"alpha": 0.5}, (4, 5)),
    Case("PReLU", {}, (4, 5)),
    Case("PReLU", {"shared_axes": [1, 2], "alpha_initializer": "ones"}, (2, 3, 4, 5), open_axes=(0, 1, 2)),
    Case("PReLU", {"shared_axes": 1, "alpha_regularizer": "l2", "alpha_constraint": "non_neg"}, (2, 3, 4)),
    Case("Softmax", {}, (4, 5)),
    Case("Softmax", {"axis": 1}, (2, 3, 4), open_axes=(0, 1)),
    Case("Softmax", {"axis": [1, 2]}, (2, 3, 4)),
    Case("Softmax", {}, (4, 5), mask=True),
]

WRAPPERS: list[Case] = [
    Case("SpectralNormalization", {"layer": nested("Dense", units=3)}, (4, 5)),
    Case(
        "SpectralNormalization",
        {"layer": nested("Dense", units=3, activation="relu"), "power_iterations": 3},
        (4, 5),
        call={"training": True},
    ),
    Case(
        "SpectralNormalization",
        {"layer": nested("Conv2D", filters=3, kernel_size=2)},
        (2, 4, 4, 3),
        call={"training": True},
    ),
]

CASES = DENSE + EMBEDDING + STRUCTURAL + RESHAPING + ACTIVATIONS + WRAPPERS
