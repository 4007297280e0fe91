"""The help of a word: how it is written, what it takes, an example with its shapes, and what Keras' name does."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from kerasmagic.assembly.preview import shape_after, spelled, typical_step
from kerasmagic.assembly.vocabulary import own_layers
from kerasmagic.core.layer import Layer
from kerasmagic.core.symbolic import KerasTensor
from kerasmagic.foundation import registry
from kerasmagic.language.completion import LAYER_LINES, MODEL_LINES
from kerasmagic.language.vocabulary import CallWords, Vocabulary

_KINDS: Mapping[str, Any] = {
    "optimizer": registry.OPTIMIZERS,
    "loss": registry.LOSSES,
    "metric": registry.METRICS,
    "initializer": registry.INITIALIZERS,
    "regularizer": registry.REGULARIZERS,
    "constraint": registry.CONSTRAINTS,
    "schedule": registry.SCHEDULES,
}
_USE: Mapping[str, str] = {
    "optimizer": "compile {}, mse",
    "loss": "compile adam, {}",
    "metric": "compile adam, mse, {}",
    "initializer": "dense 64 kernel_initializer={}",
    "regularizer": "dense 64 kernel_regularizer={}",
    "constraint": "dense 64 kernel_constraint={}",
    "schedule": "compile sgd learning_rate={}(...), mse",
}
_TAKES: Mapping[str, str] = {
    "activation": "an activation, as relu",
    "initializer": "an initializer, as he_normal",
    "regularizer": "a regularizer, as l2(1e-4)",
    "constraint": "a constraint, as max_norm(2)",
    "dtype": "a dtype, as bfloat16",
    "layer": "a layer",
    "schedule": "a number or a schedule",
    "text": "a word",
}
_LINES: Mapping[str, str] = {
    "input": "input image 28x28x1\ninput tokens time int32",
    "output": "output a, b",
    "compile": "compile adam 1e-3, sparse_categorical_crossentropy, accuracy",
    "for": "for f in 64, 128, 256:\n    conv f 3 same relu",
    "block": "block residual(f):\n    conv f 3 same relu -> conv f 3 same\n    + in\nresidual 64",
    "layer": "layer shared = dense 64 relu\na -> shared\nb -> shared",
    "model": "model encoder:\n    input 784\n    dense 32 relu\nencoder",
    "weight": "weight kernel (n, units) glorot_uniform",
    "state": "state count () zeros",
}
_INPUTS: tuple[tuple[Any, ...], ...] = (
    (None, 10, 8),
    (None, 32, 32, 8),
    (None, 16),
    (None, 8, 8, 8, 8),
)


def explain(
    word: str, vocabulary: Vocabulary, namespace: Mapping[str, Any], *, step: str | None = None, x: Any = None
) -> str | None:
    """Return the help of a word of a cell, or ``None`` for one that means nothing.

    Args:
        word: The word.
        vocabulary: The words there are.
        namespace: The variables of the notebook, for its own layers.
        step: The step whose argument the word is, if it is one.
        x: The tensor that flows in, if it is known: the example shows what becomes of it.

    Example:

    >>> from kerasmagic.assembly import vocabulary
    >>> print(explain("strides", vocabulary(), {}, step="conv"))
    strides: an argument of Conv2D; 1 if not given.
    Written 'strides=...', or '/2'.
    """
    found = _argument(word, step, vocabulary) if step else None
    if found is not None:
        return found
    layers = vocabulary.find_layer(word)
    if layers and (word not in vocabulary.activations or word in vocabulary.layers):
        return _layer(word, layers, vocabulary, namespace, x)
    if word in vocabulary.activations:
        return _activation(word)
    lines = {**LAYER_LINES, **MODEL_LINES}
    if word in lines:
        return f"{word}: {lines[word]}.\n\nExample:\n\n{_indented(_LINES[word])}"
    if word.startswith("ops.") and word[4:] in vocabulary.operations:
        return _described(word, registry.OPERATIONS.find(word[4:]), "a function of what flows in")
    for kind, family in _KINDS.items():
        words = vocabulary.find(kind, word)
        if words is not None:
            head = [
                f"{word}: {_an(kind)}.",
                *_table(words),
                "",
                "Example:",
                "",
                f"    {_USE[kind].format(word)}",
            ]
            target = family.find(word) if word in family else None
            return "\n".join([*head, *_documented(target)])
    return None


def _an(kind: str) -> str:
    return f"an {kind}" if kind[0].lower() in "aeio" else f"a {kind}"


# ---- layers


def _layer(
    word: str, layers: Mapping[int | None, CallWords], vocabulary: Vocabulary, namespace: Any, x: Any
) -> str:
    words = _likely(layers, x)
    own = own_layers(namespace)
    if isinstance(own.get(word), Layer):
        kind = type(own[word]).__name__
        return f"{word}\n\n{_an(kind)[0].upper()}{_an(kind)[1:]} of this notebook; each use of it is the same layer."
    names = " or ".join(each.name for each in layers.values())
    by_rank = ", by the rank of what flows in" if len(layers) > 1 else ""
    parts = [_form(word, words), "", f"Keras' {names}{by_rank}." if word != words.name else f"{names}."]
    parts += [*_example(word, words, vocabulary, namespace, x), "", "Arguments:", "", *_table(words)]
    for each in sorted(layers.values(), key=lambda each: each is not words):
        target = own.get(each.name) or registry.LAYERS.find(each.name)
        cls = target if isinstance(target, type) else type(target)
        parts += ["", f"{each.name}{signature_of(cls)}", *_documented(cls, whole=each is words)]
    return "\n".join(parts)


def _likely(layers: Mapping[int | None, CallWords], x: Any) -> CallWords:
    rank = x.ndim - 2 if isinstance(x, KerasTensor) else 2
    return layers.get(rank) or layers.get(2) or next(iter(layers.values()))


def _form(word: str, words: CallWords) -> str:
    """Return how a step is written: ``conv FILTERS KERNEL_SIZE [arguments]``."""
    needed = [p.name.upper() for p in words.parameters if p.required]
    optional = any(not p.required for p in words.parameters)
    return " ".join([word, *needed, *(["[ARGUMENTS]"] if optional else [])])


def _table(words: CallWords) -> list[str]:
    """Return a line for each argument: its name, what it takes, what it is if not given."""
    names = [p.name for p in (*words.parameters, *words.call)]
    width = max(map(len, names), default=0)
    return [f"    {p.name:<{width}}  {_meaning(words, p)}" for p in (*words.parameters, *words.call)]


def _meaning(words: CallWords, parameter: Any) -> str:
    name = parameter.name
    fixed = words.words_for(name)
    role = words.role(name)
    default = "needed" if parameter.required else f"{written(parameter.default)} if not given"
    if role == "boolean":
        return f"true or false; {default}"
    takes = " or ".join(fixed) if fixed else _TAKES.get(role or "", "")
    return f"{takes}; {default}" if takes else default


def written(value: Any) -> str:
    """Return a default as one writes it in a cell.

    >>> written((2, 2)), written(True), written(None), written("valid")
    ('2x2', 'true', 'none', 'valid')
    """
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, tuple) and len(value) > 1 and all(type(size) is int and size > 0 for size in value):
        return "x".join(map(str, value))
    return str(value)


def _example(word: str, words: CallWords, vocabulary: Vocabulary, namespace: Any, x: Any) -> list[str]:
    for tensor in _inputs(words, x):
        step = typical_step(word, words, tensor.ndim)
        shape = None if step is None else shape_after(tensor, step, vocabulary, namespace)
        if shape is not None:
            return ["", "Example:", "", f"    {step}", f"    {spelled(tensor)} -> {shape}"]
    return []


def _inputs(words: CallWords, x: Any) -> Iterator[KerasTensor]:
    if isinstance(x, KerasTensor):
        yield x
    layer = registry.LAYERS.find(words.name) if words.name in registry.LAYERS else None
    rank = getattr(layer, "rank", None)
    wanted = [shape for shape in _INPUTS if isinstance(rank, int) and len(shape) == rank + 2]
    yield from (KerasTensor(shape, "float32") for shape in (*wanted, *_INPUTS))


def _argument(word: str, step: str, vocabulary: Vocabulary) -> str | None:
    """Return the help of an argument's name in the step that it stands in."""
    layers = vocabulary.find_layer(step)
    words = _likely(layers, None) if layers else None
    for kind in _KINDS if words is None else ():
        words = words or vocabulary.find(kind, step)
    parameter = None if words is None else words.parameter(word)
    if words is None or parameter is None:
        return None
    lines = [f"{word}: an argument of {words.name}; {_meaning(words, parameter)}."]
    if words.role(word) == "boolean":
        lines.append(f"Written '{word}', or '!{word}' for false.")
    else:
        lines.append(f"Written '{word}=...'{', or ' + repr('/2') if word == 'strides' else ''}.")
    return "\n".join(lines)


# ---- other words


def _activation(word: str) -> str:
    text = f"{word}: an activation, as a step of its own or as a word behind a layer."
    example = f"dense 64 {word}\ndense 64 -> {word}"
    target = registry.ACTIVATIONS.find(word)
    return "\n".join([text, "", "Example:", "", _indented(example), *_documented(target)])


def _described(word: str, target: Any, what: str) -> str:
    return "\n".join([f"{word}{signature_of(target)}: {what}.", *_documented(target)])


def signature_of(target: Any) -> str:
    """Return the parameters of something with their defaults and without their types.

    >>> signature_of(lambda x, rate=0.5: x)
    '(x, rate=0.5)'
    """
    try:
        found = inspect.signature(target)
    except (TypeError, ValueError):
        return "(...)"
    own = [p.replace(annotation=p.empty) for p in found.parameters.values()]
    return str(found.replace(parameters=own, return_annotation=found.empty))


def _documented(target: Any, *, whole: bool = True) -> list[str]:
    """Return the documentation of something of the library, without its example in Python."""
    text = inspect.getdoc(target) or "" if target is not None else ""
    for end in ("\nExample:", "\nRaises:", "\n>>> ", *(() if whole else ("\n\n",))):
        text = text.partition(end)[0]
    return ["", text.strip()] if text.strip() else []


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.split("\n"))
