"""The base of models: a layer that is trained, saved and summarized as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kerasmagic import saving
from kerasmagic.core.layer import Layer
from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.foundation.errors import InvalidArgument, UnknownName, did_you_mean
from kerasmagic.foundation.views import displayed, view
from kerasmagic.models import exporting, looks
from kerasmagic.models import state_tree as state_trees
from kerasmagic.models import summary as summaries
from kerasmagic.models.kernels import kernels
from kerasmagic.models.rows import Row, rows, table_rows
from kerasmagic.quantizers.apply import quantize_layers
from kerasmagic.training.control import at_rest
from kerasmagic.training.trainer import Trainer


class Model(Trainer):
    """A layer that learns.

    Made in one of three ways: ``Model(inputs, outputs)`` from symbolic tensors,
    ``Sequential([...])`` from a stack of layers, or by subclassing with ``call``.

    Args:
        inputs: A structure of symbolic tensors.
        outputs: A structure of symbolic tensors made from them.
        name: Its name.

    Example:

    >>> import kerasmagic as keras
    >>> inputs = keras.Input((4,))
    >>> model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    >>> model.count_params(), model.output_shape
    (10, (None, 2))
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and (len(args) >= 2 or "outputs" in kwargs or {"inputs", "outputs"} <= set(kwargs)):
            return Model._functional_class.__new__(Model._functional_class, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    # `functional.py` builds on this file and names itself here.
    _functional_class: Any = None

    def __init__(self, *args: Any, **kwargs: Any):
        functional = self._functional_class
        if args and functional is not None and not isinstance(self, functional):
            # A subclass that calls `super().__init__(inputs, outputs)` is a graph by inheritance.
            _inject_base(type(self), functional)
            self.__class__ = type(self)
            functional.__init__(self, *args, **kwargs)
            return
        super().__init__(*args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the outputs; overridden by models that are no graphs."""
        raise NotImplementedError(
            f"Model {type(self).__name__} does not have a `call()` method implemented. "
            "Implement it, or make the model from `inputs` and `outputs`."
        )

    def _check_inputs(self, x: Any) -> None:
        graph = getattr(self, "_graph", None)
        for operation, values in () if graph is None else graph.fed(x):
            operation._refuse_data(values)

    @property
    def _call_has_training(self) -> bool:
        parameters = self._call_signature.parameters
        return "training" in parameters or "training" in self._call_context_args

    @property
    def layers(self) -> list[Layer]:
        """The layers directly inside the model."""
        return list(self._flatten_layers(include_self=False, recursive=False))

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by its name or its place.

        Raises:
            InvalidArgument: If not exactly one of the two is given, or the place does not exist.
            UnknownName: If no layer has the name.
        """
        if (name is None) == (index is None):
            raise InvalidArgument("Provide either a layer name or layer index at `get_layer`, and not both.")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise InvalidArgument(
                    f"Was asked to retrieve layer at index {index} but model has {len(layers)} layers."
                )
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in layers]
        raise UnknownName(
            f"No such layer: {name}. Existing layers are: {names}.", hint=did_you_mean(str(name), names)
        )

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print the layers with their output shapes and numbers of parameters.

        Args:
            line_length: The width of the table.
            positions: Where each column ends, as shares of the width.
            print_fn: Takes the text instead of standard output.
            expand_nested: Whether to list the layers of models inside.
            show_trainable: Whether to mark the layers that training changes.
            layer_range: First and last layer name to list; patterns are matched at the beginning.
        """
        text = summaries.text(self, line_length, positions, expand_nested, show_trainable, layer_range)
        if print_fn is None:
            summaries.show(text)
        else:
            print_fn(text)

    _repr_mimebundle_ = displayed("model")

    def show(self, batch: int | None = None) -> None:
        """Show the layers with their shapes, multiply-adds and memory: a table that follows the batch size.

        A notebook shows the table and the graph; elsewhere the table is printed.

        Args:
            batch: The batch size to begin with; 32 if it is not said.

        Raises:
            InvalidArgument: If ``batch`` is no positive integer.

        Example:

        >>> import os
        >>> import kerasmagic as keras
        >>> os.environ["KERASMAGIC_MEMORY_LIMIT"] = "1G"  # what training may use is of the machine otherwise
        >>> keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="scores")], name="tiny").show(batch=8)
        tiny
        layer   kind   output shape  type     parameters  multiply-adds
        scores  Dense  (batch, 2)    float32          10              8
        <BLANKLINE>
        trainable      10
        non-trainable   0
        memory         40 B
        multiply-adds  8 a sample
        training step  544 B at batch 8 = parameters 40 B + gradients 40 B + Adam 80 B + for backward 384 B
        limit          batch <= 1,048,576 fits in 1.0 GiB
        >>> del os.environ["KERASMAGIC_MEMORY_LIMIT"]
        """
        view("model_table")(self, batch)

    def plot(
        self, *, axes: Any = None, figsize: tuple[float, float] | None = None, shapes: bool = True
    ) -> Any:
        """Return a drawing of the model as a matplotlib figure, which a notebook shows and ``savefig`` writes.

        Layers are boxes, and what is repeated is drawn once. Nothing has to be installed for it.

        Args:
            axes: Where to draw instead: matplotlib axes.
            figsize: Width and height of the figure in inches; as large as the letters need when ``None``.
            shapes: Whether boxes name the shape of what comes out of them, without the batch.

        Returns:
            A ``matplotlib.figure.Figure``.

        Example:

        >>> import kerasmagic as keras
        >>> x = inputs = keras.Input((4,))
        >>> x = keras.layers.add([keras.layers.Dense(4)(x), x])
        >>> figure = keras.Model(inputs, x).plot()
        >>> [text.get_text() for text in figure.axes[0].texts]
        ['InputLayer', '4', 'Dense', '4', 'Add', '4']
        """
        return view("plot_model")(table_rows(self), self.name, axes=axes, figsize=figsize, shapes=shapes)

    def show_weights(self, layer: Any = None) -> looks.Weights:
        """Return the weights in numbers and histograms: a table that a notebook shows, by layer.

        Args:
            layer: A layer inside the model, its name or its path; all when ``None``.

        Returns:
            A sequence with ``name``, ``shape``, ``mean``, ``std``, ``low``, ``high``, ``zeros``, ``bad`` and
            ``histogram`` for each weight, also found by its path.

        Raises:
            UnknownName: If there is no such layer.

        Example:

        >>> import kerasmagic as keras
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="scores")], name="tiny")
        >>> model.show_weights("scores")["tiny/scores/bias"].zeros
        1.0
        """
        return looks.weights(self, layer)

    def show_activations(self, x: Any, layers: Any = None) -> looks.Activations:
        """Return what the layers return for a batch, in numbers and histograms, with the share of dead units.

        Computed as in ``predict``, in one program; only the numbers leave the device.

        Args:
            x: A batch of inputs ``(batch, ...)``, as for ``predict``.
            layers: Layers inside the model or their names; all when ``None``.

        Returns:
            A sequence with ``name``, ``kind``, ``shape``, ``mean``, ``std``, ``low``, ``high``, ``zeros``, ``dead``,
            ``dead_units``, ``bad`` and ``histogram`` for each output, also found by the layer's name.

        Raises:
            UnknownName: If there is no such layer.
            InvalidArgument: If none of the layers returns anything that can be seen from outside.

        Example:

        >>> import numpy as np, kerasmagic as keras
        >>> layer = keras.layers.Dense(2, "relu", kernel_initializer="ones", name="hidden")
        >>> seen = keras.Sequential([keras.Input((4,)), layer]).show_activations(-np.ones((8, 4)))
        >>> seen["hidden"].dead, seen["hidden"].dead_units, seen["hidden"].shape
        (1.0, (0, 1), (8, 2))
        """
        return looks.activations(self, x, layers)

    def show_kernels(self, layer: Any, most: int = 64) -> looks.Kernels:
        """Return the kernel of a layer as pictures: a convolution's one by one, any other's as a matrix.

        Args:
            layer: A layer inside the model, its name or its path.
            most: The number of pictures at most.

        Returns:
            An object with ``tiles`` ``(n, h, w)`` or ``(n, h, w, 3)``, ``shape``, ``count`` and ``largest``.

        Raises:
            UnknownName: If there is no such layer.
            InvalidArgument: If it has no kernel.

        Example:

        >>> import kerasmagic as keras
        >>> layer = keras.layers.Conv2D(8, 3, kernel_initializer="ones", name="conv")
        >>> keras.Sequential([keras.Input((28, 28, 1)), layer]).show_kernels("conv")
        Kernel of 'conv' (3, 3, 1, 8): a picture for each filter, all shown, largest absolute weight 1
        """
        return kernels(self, layer, most)

    def show_attention(self, x: Any, layer: Any = None, sample: int = 0) -> looks.Attention:
        """Return where the attention layers look, for one sample of a batch: a picture for each head.

        Args:
            x: A batch of inputs ``(batch, ...)``, as for ``predict``.
            layer: Layers inside the model or their names; all that have attention when ``None``.
            sample: The place of the sample in the batch.

        Returns:
            A mapping from names to maps with ``weights (heads, queries, keys)`` and ``entropy (heads,)``.

        Raises:
            UnknownName: If there is no such layer.
            InvalidArgument: If none of the layers has attention, or the batch has no such sample.

        Example:

        >>> import numpy as np, kerasmagic as keras
        >>> x = keras.Input((5, 3))
        >>> model = keras.Model(x, keras.layers.MultiHeadAttention(2, 4, name="look")(x, x))
        >>> model.show_attention(np.ones((1, 5, 3)))["look"].weights.shape
        (2, 5, 5)
        """
        return looks.attention(self, x, layer, sample)

    def rows(self, expand_nested: bool = True) -> list[Row]:
        """Return one row per layer, for tables."""
        return rows(self, expand_nested)

    @at_rest
    def save(self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any) -> None:
        """Write the model to a ``.keras`` file: architecture, weights and optimizer."""
        saving.save_model(self, filepath, overwrite=overwrite, zipped=zipped, **kwargs)

    @at_rest
    def save_weights(
        self, filepath: Any, overwrite: bool = True, max_shard_size: float | None = None
    ) -> None:
        """Write the weights to a ``.weights.h5``, ``.weights.json`` or ``.safetensors`` file."""
        saving.save_weights(self, filepath, overwrite=overwrite, max_shard_size=max_shard_size)

    def export(
        self,
        filepath: Any,
        format: str = "stablehlo",
        verbose: bool | None = None,
        input_signature: Any = None,
        **kwargs: Any,
    ) -> None:
        """Write the model as a StableHLO artifact, which runs with jax alone.

        Args:
            filepath: The file to write; ``jax.export.deserialize(bytearray(its bytes)).call(inputs)`` runs it.
            format: ``"stablehlo"``.
            verbose: Accepted for compatibility.
            input_signature: Shapes and dtypes of the inputs, where the model does not know them.
            kwargs: ``platforms``, the kinds of devices that it must run on.

        Raises:
            InvalidArgument: If the format is another one, or the inputs are not known.
        """
        exporting.export_model(self, filepath, format, input_signature, **kwargs)

    def get_state_tree(self, value_format: str = "backend_tensor") -> dict[str, Any]:
        """Return the values of all variables as nested dicts.

        Args:
            value_format: ``"backend_tensor"`` for JAX arrays or ``"numpy_array"``.

        Returns:
            ``trainable_variables``, ``non_trainable_variables``, ``optimizer_variables`` and
            ``metrics_variables``, each a dict of dicts by the parts of the variables' paths.

        Raises:
            InvalidArgument: If the format is unknown, or two variables have the same path.
        """
        return state_trees.get_state_tree(self, value_format)

    def set_state_tree(self, state_tree: Mapping[str, Any]) -> None:
        """Assign values in the form of ``get_state_tree``; what is not there stays as it is.

        Raises:
            UnknownName: If a kind of variables is not one of the four.
        """
        state_trees.set_state_tree(self, state_tree)

    def to_json(self, **kwargs: Any) -> str:
        """Return the architecture as JSON text; ``kwargs`` are those of ``json.dumps``."""
        return json.dumps(serialize_keras_object(self), **kwargs)

    def to_text(self) -> str:
        """Return the definition of the model: the lines of a ``%%model`` cell.

        Raises:
            NotSerializable: If the language cannot say something in it.

        Example:

        >>> import kerasmagic as keras
        >>> print(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).to_text(), end="")
        Sequential
        input 4
        dense 2
        """
        return view("to_text")(self)

    def to_python(self) -> str:
        """Return Python that builds the same model under Keras; a layer of one's own is written with its class.

        Raises:
            NotSerializable: If something in it cannot be written.

        Example:

        >>> import kerasmagic as keras
        >>> print(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]).to_python().splitlines()[0])
        import keras
        """
        return view("to_python")(self)

    def quantize(
        self, mode: Any = None, config: Any = None, filters: Any = None, *, type_check: bool = True
    ) -> None:
        """Keep the weights of all layers that can do so in few bits; warn of the others.

        Args:
            mode: ``"int8"``, ``"int4"`` or ``"float8"``; may be ``None`` if there is a config.
            config: A ``keras.quantizers.QuantizationConfig``.
            filters: Which layers: a pattern that is looked for in the name, several of them, or a predicate.
            type_check: Whether subclasses of the library's layers are left alone.

        Raises:
            InvalidArgument: If the arguments contradict each other, or a layer is not built or is quantized.

        Example:

        >>> import kerasmagic as keras
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="scores")])
        >>> model.quantize("int8", filters="scores")
        >>> model.get_layer("scores").kernel.dtype
        'int8'
        """
        layers = self._flatten_layers(include_self=False)
        if quantize_layers(list(layers), mode, config, filters, type_check):
            self._programs.clear()

    @at_rest
    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Set the weights from a file that holds weights, or a whole model."""
        saving.load_weights(self, filepath, skip_mismatch=skip_mismatch, **kwargs)


def model_from_json(json_string: str, custom_objects: Any = None) -> Any:
    """Return the model that ``to_json`` described, with new weights.

    Args:
        json_string: The text.
        custom_objects: Classes and functions of the user's by name.

    Raises:
        InvalidArgument: If the text is no JSON or describes no model.
    """
    try:
        config = json.loads(json_string)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"The text is no JSON: {error}") from None
    model = deserialize_keras_object(config, custom_objects=custom_objects)
    if not isinstance(model, Model):
        raise InvalidArgument(f"The text describes no model but a {type(model).__name__}.")
    return model


def _inject_base(cls: type, functional: type) -> None:
    """Put ``functional`` in the place of ``Model`` among the bases of ``cls``."""
    if cls in (object, Layer) or issubclass(cls, functional):
        return
    cls.__bases__ = tuple(functional if base is Model else base for base in cls.__bases__)
    for base in cls.__bases__:
        _inject_base(base, functional)
