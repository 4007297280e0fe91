"""What can stand at a place of a cell: the words that fit, each with what it means.

Nothing is parsed as a whole: a cell that is being written is wrong most of the time.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable

from kerasmagic.language.readings import TABLE_ROLES
from kerasmagic.language.vocabulary import CallWords, Vocabulary, fold

_WORD_BEFORE = re.compile(r"[\w.]*$")
_STEP = re.compile(r"[^\W\d][\w.]*")
MODEL_LINES = {
    "input": "an input: name, shape, dtype",
    "inputs": "how the inputs are handed over: 'left=a, right=b'",
    "output": "the outputs, by name, or as a dict: 'digit=a, sign=b'",
    "compile": "optimizer, loss, metrics",
    "for": "repeat the indented lines for each value",
    "block": "name some lines, to be used as a step",
    "layer": "name one layer, to be used in several places",
    "model": "name a model inside this one",
    "Sequential": "a stack of layers, not a graph",
}
LAYER_LINES = {
    "input": "an input and the names of its dimensions",
    "weight": "a weight: name, shape, initializer",
    "state": "a weight that training leaves alone",
}


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the cursor is.

    Attributes:
        word: The part of a word before it.
        step: The step whose arguments stand here, or ``None`` where a step begins.
        kind: ``"step"``, ``"argument"``, ``"value"``, ``"compile"``, or ``"python"`` inside braces.
        parameter: The argument that a value is for.
        part: The number of commas before it on a ``compile`` line.
        starts_line: Whether nothing stands before the word.
    """

    word: str
    kind: str
    step: str | None = None
    parameter: str | None = None
    part: int = 0
    starts_line: bool = False


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A word that fits and what it means."""

    text: str
    meaning: str


def place_of(line: str) -> Place | None:
    """Return what stands at the end of ``line``, or ``None`` where nothing is completed: text and comments.

    Example:

    >>> place_of("conv 16 3 -> ma").kind, place_of("conv 16 3 sa").step, place_of("dense 3 activation=re").parameter
    ('step', 'conv', 'activation')
    """
    bare = re.sub(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'", '""', line)
    if "#" in bare or '"' * 3 in bare or "'" in bare or bare.count('"') % 2:
        return None
    match = _WORD_BEFORE.search(bare)
    word = match.group() if match else ""
    before = bare[: len(bare) - len(word)]
    if bare.count("{") > bare.count("}"):
        return Place(word, "python")
    if re.match(r"\s*compile\b", before):
        return _in_compile(before, word)
    segment = re.split(r"->|(?:^|(?<=\s))[+*-](?=\s)|\bin\b(?=\s*$)", before)[-1]
    segment = (
        re.sub(r"^\s*[\w, ]+=(?!=)\s(?=\s*)", "", segment)
        if re.match(r"\s*[\w, ]+\s=\s", segment)
        else segment
    )
    opened = max(segment.rfind("["), -1)
    if opened > segment.rfind("]"):
        segment = re.split(r"[\[,]", segment)[-1]
    segment = segment.lstrip(" \t(")
    if not segment.strip():
        return Place(word, "step", starts_line=not before.strip())
    found = _STEP.match(segment)
    if found is None:
        return None
    given = re.search(r"([^\W\d]\w*)=$", before)
    if given is not None:
        return Place(word, "value", found.group(), given.group(1))
    return Place(word, "argument", found.group())


def _in_compile(before: str, word: str) -> Place:
    inside = before.split("compile", 1)[1]
    part = inside.split(",")[-1]
    name = re.search(r"([^\W\d]\w*)=$", before)
    first = _STEP.match(part.strip())
    commas = inside.count(",")
    if first is None or name is not None:
        return Place(word, "compile", parameter=name.group(1) if name else None, part=commas)
    return Place(word, "argument", first.group(), part=commas)


def candidates(
    place: Place,
    vocabulary: Vocabulary,
    tensors: Iterable[str] = (),
    *,
    values: Iterable[str] = (),
    layer: bool = False,
) -> list[Candidate]:
    """Return the words that fit at a place and begin with what is written there.

    Args:
        place: The place.
        vocabulary: The words there are.
        tensors: Names of tensors, blocks and named layers of the cell.
        values: Names of values: parameters, what a loop runs over; inside braces those of the notebook.
        layer: Whether the cell is a ``%%layer``.
    """
    if place.kind == "python":
        found = [Candidate(name, "a variable of the notebook") for name in values]
    elif place.kind == "step":
        found = _steps(place, vocabulary, tensors, layer)
    elif place.kind == "compile":
        found = _goals(place, vocabulary)
    else:
        found = [Candidate(name, "a value of this cell") for name in values]
        found += _arguments(place, vocabulary, tensors)
        if layer and words_of(place.step or "", vocabulary) is None:
            found += [Candidate(name, "defined in this cell") for name in tensors]
    seen: dict[str, Candidate] = {}
    for each in found:
        if each.text.lower().startswith(place.word.lower()):
            seen.setdefault(each.text, each)
    return list(seen.values())


def _steps(place: Place, vocabulary: Vocabulary, tensors: Iterable[str], layer: bool) -> list[Candidate]:
    found = [Candidate(name, "defined in this cell") for name in tensors]
    if place.starts_line:
        found += [Candidate(n, m) for n, m in (LAYER_LINES if layer else MODEL_LINES).items()]
    if place.word.startswith("ops."):
        return found + [Candidate(f"ops.{name}", "an operation") for name in vocabulary.operations]
    for name, ranks in vocabulary.generics.items():
        found.append(Candidate(name, " or ".join(ranks.values())))
    found += [Candidate(alias, target) for alias, target in vocabulary.aliases.items()]
    for name in vocabulary.layers:
        short = name.lower() if not place.word[:1].isupper() else name
        if short.lower().startswith(place.word.lower()):
            public = vocabulary.layers[name].name
            found.append(Candidate(short, "layer" if public.lower() == short.lower() else public))
    return found + [Candidate(name, "activation") for name in sorted(vocabulary.activations)]


def _goals(place: Place, vocabulary: Vocabulary) -> list[Candidate]:
    kind = {"loss": "loss", "metrics": "metric", "optimizer": "optimizer"}.get(place.parameter or "")
    kind = kind or ("optimizer", "loss", "metric")[min(place.part, 2)]
    plain = _plain(vocabulary.table(kind))
    return [Candidate(name, kind) for name in plain]


def _plain(names: Iterable[str]) -> list[str]:
    """Return each name once: in small letters where it can be written so."""
    every = list(names)
    folded = {fold(name) for name in every if name.islower()}
    return [name for name in every if name.islower() or fold(name) not in folded]


def words_of(step: str, vocabulary: Vocabulary) -> CallWords | None:
    """Return what a step takes; of a name for several ranks, the usual one."""
    found = vocabulary.find_layer(step)
    if found:
        return found.get(2) or next(iter(found.values()))
    if step.startswith("ops.") and step[4:] in vocabulary.operations:
        return vocabulary.operations[step[4:]]
    return next((w for kind in ("optimizer", "loss", "metric") if (w := vocabulary.find(kind, step))), None)


def _arguments(place: Place, vocabulary: Vocabulary, tensors: Iterable[str]) -> list[Candidate]:
    if place.step == "input":
        return [Candidate(name, "dtype") for name in sorted(vocabulary.dtypes)]
    if place.step in ("weight", "state"):
        return [Candidate(name, "initializer") for name in _plain(vocabulary.initializers)]
    if place.step == "output":
        return [Candidate(name, "defined in this cell") for name in tensors]
    words = words_of(place.step or "", vocabulary)
    if words is None:
        return []
    if place.kind == "value":
        return _values(words, place.parameter or "", vocabulary, tensors)
    found: list[Candidate] = []
    for parameter in words.parameters:
        found += [Candidate(word, parameter.name) for word in words.words_for(parameter.name)]
    if words.with_role("activation"):
        found += [Candidate(name, "activation") for name in sorted(vocabulary.activations)]
    for parameter in (*words.parameters, *words.call):
        boolean = words.role(parameter.name) == "boolean"
        text = parameter.name if boolean else f"{parameter.name}="
        found.append(Candidate(text, _meaning(parameter)))
    if words.target("initializer"):
        found += [Candidate(n, "initializer") for n in _plain(vocabulary.initializers)]
    return found


def _meaning(parameter: object) -> str:
    required = getattr(parameter, "required", False)
    return (
        "argument, needed" if required else f"argument, {getattr(parameter, 'default', None)!r} if not given"
    )


def _values(words: CallWords, name: str, vocabulary: Vocabulary, tensors: Iterable[str]) -> list[Candidate]:
    role = words.role(name)
    if words.in_call(name) and role != "boolean":
        return [Candidate(tensor, "tensor") for tensor in tensors]
    fixed = [Candidate(word, name) for word in words.words_for(name)]
    if role == "boolean":
        return [Candidate("true", name), Candidate("false", name)]
    if role == "activation":
        return [Candidate(each, role) for each in sorted(vocabulary.activations)]
    if role == "dtype":
        return [Candidate(each, role) for each in sorted(vocabulary.dtypes)]
    if role in TABLE_ROLES:
        return [Candidate(each, role) for each in _plain(vocabulary.table(role))]
    return fixed


_NAMES = (
    re.compile(r"^\s*input\s+([^\W\d]\w*)\s+\S", re.MULTILINE),
    re.compile(r"^\s*(?:block|layer|model)\s+([^\W\d]\w*)", re.MULTILINE),
    re.compile(r"^\s*(?:weight|state)\s+([^\W\d]\w*)", re.MULTILINE),
)


def names_in(text: str) -> list[str]:
    """Return the names that the lines of a cell give to tensors, blocks, layers and weights.

    Example:

    >>> names_in("input image 8x8x1\\nx = conv 3 3\\nh, c = lstm 4")
    ['x', 'h', 'c', 'image']
    """
    found: dict[str, None] = {}
    for match in re.finditer(r"^\s*((?:[^\W\d]\w*\s*,\s*)*[^\W\d]\w*)\s*:?=[^=]", text, re.MULTILINE):
        found.update(dict.fromkeys(part.strip() for part in match.group(1).split(",")))
    for pattern in _NAMES:
        found.update(dict.fromkeys(pattern.findall(text)))
    return list(found)


_VALUES = (
    re.compile(r"^\s*for\s+((?:[^\W\d]\w*\s*,?\s*)+?)\s+in\b", re.MULTILINE),
    re.compile(r"^\s*block\s+\w+\s*\(([^)\n]*)", re.MULTILINE),
    re.compile(r"^%%layer\s+\w+\s*\(([^)\n]*)"),
    re.compile(r"^\s*input\s+(?:\w+\s+)?\(([^)\n]*)", re.MULTILINE),
)


def values_in(text: str) -> list[str]:
    """Return the names that a cell gives to values: of loops, of blocks, of a layer and its dimensions.

    Example:

    >>> values_in("for f in 1, 2:\\n    conv f 3\\nblock r(g, k=3):\\n    relu")
    ['f', 'g', 'k']
    >>> values_in("%%layer L(units=3)\\ninput (..., n)")
    ['units', 'n']
    """
    found: dict[str, None] = {}
    for pattern in _VALUES:
        for match in pattern.finditer(text):
            names = (part.partition("=")[0].strip() for part in match.group(1).split(","))
            found.update(dict.fromkeys(name for name in names if name.isidentifier()))
    return list(found)
