"""``define``: a text becomes a model, in plain Python; ``load``: a ``.km`` file does."""

from __future__ import annotations

import contextlib
import gc
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from kerasmagic.assembly.layer import DefinedLayer, define_layer
from kerasmagic.assembly.model import build_model
from kerasmagic.assembly.record import remember
from kerasmagic.assembly.sections import Section, split_sections
from kerasmagic.assembly.values import LayersOnly
from kerasmagic.assembly.vocabulary import vocabulary
from kerasmagic.foundation.errors import DefinitionError, InvalidArgument
from kerasmagic.language.check import read_model
from kerasmagic.language.report import RefusedText


def define(
    text: str, namespace: Mapping[str, Any] | None = None, *, name: str | None = None, first_line: int = 1
) -> Any:
    """Make a model from its definition.

    Args:
        text: The definition: the lines of a ``%%model`` cell; or several definitions, each below its
            ``%%layer NAME`` or ``%%model NAME`` line.
        namespace: Variables for ``{...}`` and layers of one's own; without it ``{...}`` is refused.
        name: The model's name; that of its ``%%model`` line when ``None``.
        first_line: The number of the first line, for messages.

    Returns:
        The model, compiled if the text says how; where the text defines layers only, the last layer class.

    Raises:
        DefinitionError: With the place of every mistake.

    Example:

    >>> model = define('''
    ... input 8x8x1
    ... conv 4 3 relu -> flatten -> dense 10 softmax
    ... ''')
    >>> model.output_shape
    (None, 10)
    """
    try:
        with _nothing_collected():
            return _defined(text, namespace, name, first_line)
    except DefinitionError as error:
        raise RefusedText(error, text, name or "define", first_line) from error


def load(path: Any, namespace: Mapping[str, Any] | None = None) -> Any:
    """Make a model from a ``.km`` file, which holds what ``define`` takes.

    Args:
        path: The file; UTF-8 text. The model is called like the file unless a ``%%model`` line names it.
        namespace: Variables for ``{...}`` and layers of one's own; without it ``{...}`` is refused.

    Raises:
        InvalidArgument: If the file's name does not end in ``.km``.
        DefinitionError: With the place of every mistake.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder) / "tiny.km"
    ...     _ = file.write_text("input 4\\ndense 2")
    ...     load(file).name
    'tiny'
    """
    file = pathlib.Path(path)
    if file.suffix != ".km":
        raise InvalidArgument(
            f"`load` reads definitions, whose files end in '.km'. Received: {file.name!r}",
            hint="A trained model is read by `saving.load_model`."
            if file.suffix in (".keras", ".h5")
            else None,
        )
    text = file.read_text(encoding="utf-8")
    try:
        return _defined(text, namespace, None, 1, called=file.stem)
    except DefinitionError as error:
        raise RefusedText(error, text, file.name, 1) from error


@contextlib.contextmanager
def _nothing_collected() -> Iterator[None]:
    """Put off the search for garbage: all that is made here stays, and looking through it takes a fifth longer."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _defined(
    text: str,
    namespace: Mapping[str, Any] | None,
    name: str | None,
    first_line: int,
    called: str | None = None,
) -> Any:
    sections = split_sections(text, first_line)
    models = [section for section in sections if section.kind == "%%model"]
    if len(models) > 1:
        place = models[1].first_line
        raise DefinitionError(f"There is a second '%%model' on line {place}; a text defines one model.")
    own: dict[str, Any] = {}
    known = namespace
    for section in sections:
        if section.kind == "%%layer":
            made = _layer(section, known)
            own[made.__name__] = made
            known = {**namespace, **own} if namespace is not None else LayersOnly(own)
    if not models:
        return next(reversed(own.values()))
    model = models[0]
    definition = read_model(model.body, vocabulary(known), first_line=model.first_line + 1)
    built = build_model(definition, known, name or model.header or called)
    remember(built, text, known, own, first_line)
    return built


def _layer(section: Section, known: Mapping[str, Any] | None) -> type[DefinedLayer]:
    """Return the layer of a section; one of that name that reads the same is that layer."""
    text = f"{section.header}\n{section.body}"
    before = (known or {}).get(section.header.partition("(")[0].strip())
    if (
        isinstance(before, type)
        and issubclass(before, DefinedLayer)
        and before.definition_text.strip() == text.strip()
    ):
        return before
    return define_layer(
        section.header,
        section.body,
        known,
        first_line=section.first_line,
        header_column=section.header_column,
    )
