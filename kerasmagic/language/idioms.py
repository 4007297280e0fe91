"""Words of other libraries and of Python that people write in a cell, and what is written here in their place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from kerasmagic.foundation.errors import DefinitionError, Span
from kerasmagic.language.vocabulary import CallWords, Vocabulary, fold

_ONLY_DEFINED = "A cell defines the model; call its methods in a cell of Python below."
_NO_PYTHON = "A variable of the notebook comes in by braces, as in 'dense {units}'."
_STEPS: Mapping[str, str] = {
    "linear": "A layer of units is 'dense UNITS'; how many come in is known.",
    "fullyconnected": "A layer of units is 'dense UNITS'; how many come in is known.",
    "mlp": "Write 'dense UNITS relu -> dense UNITS'.",
    "feedforward": "Write 'dense UNITS relu -> dense UNITS'.",
    "globalavgpool": "Write 'gap'.",
    "globalaveragepool": "Write 'gap'.",
    "globalmaxpool": "Write 'gmp'.",
    "resize": "Write 'upsample 2', or 'resizing 32 32'.",
    "interpolate": "Write 'upsample 2', or 'resizing 32 32'.",
    "cat": "Tensors stand in a list in front: '[a, b] -> concat'.",
    "selfattention": "Write 'mha HEADS SIZE': behind one tensor it attends to itself.",
    "view": "Write 'flatten', or 'reshape 7x7x64'.",
    "unflatten": "Write 'reshape 7x7x64'.",
    "pool": "Write 'maxpool 2' or 'avgpool 2'.",
    "globalpool": "Write 'gap' for the mean, 'gmp' for the maximum.",
    "adaptiveavgpool": "Write 'gap' for the mean over all places.",
    "deconv": "Write 'convT FILTERS KERNEL_SIZE'.",
    "convtranspose": "Write 'convT FILTERS KERNEL_SIZE'.",
    "upsampling": "Write 'upsample 2'.",
    "norm": "Write 'bn' for batch, 'ln' for layer normalization.",
    "residual": "Name a tensor, 'x = ...', and add it with '+ x'; or define 'block residual(f):'.",
    "skip": "Name a tensor, 'x = ...', and add it with '+ x'.",
    "transformer": "Write its parts: 'mha HEADS SIZE', 'ln', 'dense UNITS gelu', '+ x'.",
    "fit": _ONLY_DEFINED,
    "train": _ONLY_DEFINED,
    "predict": _ONLY_DEFINED,
    "evaluate": _ONLY_DEFINED,
    "summary": _ONLY_DEFINED,
    "return": "The last line is what comes out; 'output x' names something else.",
    "print": _NO_PYTHON,
    "import": _NO_PYTHON,
    "from": _NO_PYTHON,
    "modeladd": "Each line is a layer: leave 'model.add' out.",
    "sequential": "Lines follow each other by themselves: leave it out.",
}
_ARGUMENTS: Mapping[str, tuple[str, ...]] = {
    "lr": ("learning_rate",),
    "p": ("rate", "padding"),
    "prob": ("rate",),
    "s": ("strides",),
    "k": ("kernel_size",),
    "dilation": ("dilation_rate",),
    "outfeatures": ("units",),
    "outchannels": ("filters",),
    "hiddensize": ("units",),
    "numclasses": ("units",),
    "act": ("activation",),
    "init": ("kernel_initializer",),
    "decay": ("weight_decay",),
    "inputshape": (),
    "inputdim": (),
    "infeatures": (),
    "inchannels": (),
}
_SIZES = frozenset(
    ("target_shape", "kernel_size", "pool_size", "strides", "size", "output_size", "dilation_rate")
)
_PYTHON = re.compile(
    r"(if|elif|else|while|with|def|class|import|from|return|print|try|assert|del)\b(?!\s*=[^=])"
)


def step_hint(name: str, vocabulary: Vocabulary) -> str | None:
    """Return what is written for a step of another library, or ``None``.

    >>> step_hint("nn.Linear", Vocabulary())
    "A layer of units is 'dense UNITS'; how many come in is known."
    """
    last = name.rpartition(".")[2]
    plain = re.sub(r"(?<=[a-z])[123]d$", "", fold(last))
    for key in (fold(name.replace(".", "")), plain):
        if key in _STEPS:
            return _STEPS[key]
    known = vocabulary.find_layer(last) or last in vocabulary.activations
    return f"Did you mean {last!r}?" if "." in name and known else None


def argument_hint(name: str, words: CallWords, vocabulary: Vocabulary) -> str | None:
    """Return the argument that another library calls ``name``, or how its value is written."""
    if fold(name) in _ARGUMENTS:
        targets = _ARGUMENTS[fold(name)]
        found = next((target for target in targets if words.parameter(target)), None)
        if found is not None:
            return f"Did you mean {found!r}?"
        return None if targets else "What comes in is known by itself: leave it out."
    if vocabulary.find("regularizer", name):
        return f"A regularizer is a word with brackets: '{name}(0.01)'."
    return None


def word_hint(word: str, written: str, vocabulary: Vocabulary, tensors: Iterable[str]) -> str | None:
    """Return what to do with a word that stands among the arguments of a step and is a step or a tensor."""
    if word in tensors:
        return f"Tensors stand in a list in front: '[{word}, ...] -> {written}'."
    layers = vocabulary.find_layer(word)
    if any(words.wraps for words in layers.values()):
        return f"It stands in front of the layer: '{word} {written} ...'."
    if not layers or fold(word) in map(fold, vocabulary.activations):
        return None
    return "A step of its own stands on the next line, or behind '->'."


def without_python(
    errors: Iterable[DefinitionError], text: str, first_line: int
) -> tuple[DefinitionError, ...]:
    """Return the errors, with one that says so for each line that is Python."""
    lines = text.split("\n")
    found: list[DefinitionError] = []
    for error in errors:
        number = -1 if error.span is None else error.span.line - first_line
        line = lines[number] if 0 <= number < len(lines) else ""
        match = _PYTHON.match(line.lstrip())
        found.append(error if match is None else _no_python(match[1], line, number + first_line))
    return tuple(found)


def _no_python(word: str, line: str, number: int) -> DefinitionError:
    start = len(line) - len(line.lstrip()) + 1
    hint = _STEPS.get(word) or _NO_PYTHON
    message = f"A definition has no {word!r}: its lines are layers, not Python."
    return DefinitionError(message, span=Span(number, start, number, start + len(word)), hint=hint)


def sizes_hint(name: str, before: object, extra: str) -> str | None:
    """Return how several sizes are written where they were written as several words.

    >>> sizes_hint("target_shape", 28, "28")
    "Several sizes are one word: '28x28'."
    """
    if name not in _SIZES or not isinstance(before, int) or not extra.isdigit():
        return None
    return f"Several sizes are one word: '{before}x{extra}'."
