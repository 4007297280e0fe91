"""Every mistake that can be made in Keras, too: what we say is at its place, complete, and short."""

from __future__ import annotations

import re

import pytest

from tests.language.keras_says import Case, keras_message, marked, our_report, read

CASES = read()
LINES, LETTERS = 6, 420

_WORD = re.compile(r"[A-Za-z_][\w.]*|\d+(?:\.\d+)?")
_SHAPE = re.compile(r"\((?:None|\d+)(?:, (?:None|\d+))*,?\)")
# What the program imports and calls in every case says nothing about the mistake.
_SCAFFOLD = frozenset(
    _WORD.findall(
        "keras layers Input Model Sequential np zeros fit evaluate predict verbose compile x m in be is of a y "
        "name None True False units call self super class def shape dtype build return"
    )
)
_EXPECTATION = re.compile(
    r"must|takes?\b|needs?\b|Write|Did you mean|should|expected|requires?|twice|true or false| or '|Add |Give"
    r"|Pass|[Cc]ount|has no|does not (?:fit|support)|whole numbers|gives (?:\d|numbers)|are for|runs"
    r"|(?:Its|The) \w+ are|there is no sample|\d+ samples"
)


def facts(case: Case) -> set[str]:
    """Return what Keras' message tells about this program: words and numbers of it, and shapes."""
    said = case.theirs.partition(": ")[2].split("Arguments received by")[0].replace("Input 0", "")
    if "could not be deserialized" in said:
        said = said.rpartition("Exception encountered:")[2]
    shapes = {shape.replace("None", "batch") for shape in _SHAPE.findall(said)}
    written = set(_WORD.findall(f"{case.keras}\n{case.then}")) - _SCAFFOLD
    words = {word for word in _WORD.findall(_SHAPE.sub("", said)) if word in written}
    return {fact for fact in words | shapes if fact not in case.unsaid.split("\n")}


def holds(report: str, fact: str) -> bool:
    """Say whether a report tells a fact; a layer by any of its names."""
    plain = re.sub(r"[_ ]", "", report).lower().replace("none", "batch")
    return re.sub(r"[_ ]", "", fact).lower() in plain


@pytest.mark.parametrize("case", CASES, ids=[case.title for case in CASES])
def test_what_we_say(case: Case) -> None:
    report = our_report(case)
    assert report == case.ours
    assert marked(report) == case.marks != ""
    lines = report.split("\n")
    assert len(lines) <= LINES
    assert len(lines[-1]) <= LETTERS
    assert _EXPECTATION.search(lines[-1])
    assert [fact for fact in sorted(facts(case)) if not holds(report, fact)] == []


def test_there_are_enough_of_every_kind() -> None:
    assert len(CASES) >= 80
    assert sum(bool(case.then) for case in CASES) >= 20
    # Where Keras accepts a mistake without a word there is nothing to compare with.
    assert sum(bool(case.theirs) for case in CASES) >= 100


def test_a_way_out_is_named_mostly() -> None:
    # Two blanks are between what is wrong and what to do.
    assert sum("  " in case.ours.split("\n")[-1] for case in CASES) > len(CASES) / 2


def test_we_are_nearer_to_the_place_and_shorter() -> None:
    spoken = [case for case in CASES if case.theirs]
    assert not any(re.search(r"line \d", case.theirs) for case in spoken)
    longest = max(len(case.ours.split("\n")) for case in CASES)
    assert longest < max(len(case.theirs.split("\n")) for case in spoken)


def _plain(message: str) -> list[str]:
    """Return the words of a message: Keras numbers its layers and prints sets in any order."""
    return sorted(re.findall(r"\w+", re.sub(r"_\d+\b|keras_tensor\w*", "", message).split("config=")[0]))


@pytest.mark.slow
def test_the_messages_of_keras_are_those_of_today(keras) -> None:
    changed = [case.title for case in CASES if _plain(keras_message(case, keras)) != _plain(case.theirs)]
    assert changed == []
