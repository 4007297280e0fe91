"""Mistakes in a cell beside the same mistakes in Keras Python: ``keras_says.txt`` holds what each says.

``python -m tests.language.keras_says`` runs every cell and every program again and writes the file anew: the
cell, what runs after it, the Keras program, what our report marks, our report, and the message of Keras.
"""

from __future__ import annotations

import dataclasses
import os
import re
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import kerasmagic as km
from kerasmagic.foundation.errors import KerasMagicError

FILE = Path(__file__).parent / "keras_says.txt"
_CASE = "=" * 80 + "\n"
_FIELDS = ("cell", "then", "keras", "marks", "ours", "theirs", "unsaid")
_COLOUR = re.compile(r"\x1b\[\d*m")


@dataclasses.dataclass(frozen=True)
class Case:
    """One mistake.

    Attributes:
        title: What was done wrong.
        cell: The definition of ``m``.
        then: Python that uses ``m`` after it, or nothing.
        keras: The same in Keras, where ``then`` runs after it, too.
        marks: The line of the cell that our report shows, a colon, and what stands above its caret.
        ours: The report.
        theirs: The class and the message of the error of Keras; empty where it accepts the mistake.
        unsaid: Facts of Keras' message that our report leaves out on purpose, one a line.
    """

    title: str
    cell: str
    then: str = ""
    keras: str = ""
    marks: str = ""
    ours: str = ""
    theirs: str = ""
    unsaid: str = ""


def read() -> list[Case]:
    """Return the cases of the file."""
    _, *texts = FILE.read_text(encoding="utf-8").split(_CASE)
    return [_case(text) for text in texts]


def _case(text: str) -> Case:
    title, *parts = re.split(r"^--- (\w+)\n", text, flags=re.MULTILINE)
    fields = dict(zip(parts[::2], parts[1::2], strict=True))
    return Case(title.strip(), **{name: value.rstrip("\n") for name, value in fields.items()})


def write(cases: list[Case]) -> None:
    """Write the file."""
    head = f"{__doc__.splitlines()[0]}\n" if __doc__ else ""
    FILE.write_text(head + "".join(map(_text, cases)), encoding="utf-8")


def _text(case: Case) -> str:
    parts = [f"--- {name}\n{value}\n" for name in _FIELDS if (value := getattr(case, name))]
    return f"{_CASE}{case.title}\n{''.join(parts)}"


def our_report(case: Case) -> str:
    """Return what we say about a case, or nothing where we accept it."""
    try:
        model = km.define(case.cell, name="m")
        exec(case.then, {"m": model, "np": np})
    except KerasMagicError as error:
        return "\n".join([str(error), *getattr(error, "__notes__", ())])
    return ""


def marked(report: str) -> str:
    """Return the line that a report is about and the text above its caret."""
    place = re.search(r"line (\d+)\n(.*)\n( *)(\^+)$", report, flags=re.MULTILINE)
    if place is None:
        return ""
    number, source, blanks, carets = place.groups()
    return f"{number}: {source[len(blanks) : len(blanks) + len(carets)]}"


def keras_message(case: Case, keras: Any) -> str:
    """Return what Keras says about a case, or nothing where it accepts it."""
    names = {name: getattr(keras, name) for name in ("layers", "Input", "Model", "Sequential")}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(f"{case.keras}\n{case.then}", {"keras": keras, "np": np, **names})
    except Exception as error:
        return f"{type(error).__name__}: {_COLOUR.sub('', str(error)).strip()}"
    return ""


def main() -> None:
    """Run everything again."""
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    cases = []
    for case in read():
        ours = our_report(case)
        theirs = keras_message(case, keras)
        cases.append(dataclasses.replace(case, ours=ours, theirs=theirs, marks=case.marks or marked(ours)))
        if cases[-1].marks != marked(ours):
            print(f"{case.title}: {marked(ours)!r} is marked, not {case.marks!r}", file=sys.stderr)
    write(cases)


if __name__ == "__main__":
    main()
