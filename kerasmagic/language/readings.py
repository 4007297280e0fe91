"""What a bare word can mean for a layer: every reading, so that two of them are noticed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Set
from typing import Any

from kerasmagic.language.vocabulary import CallWords, Role, Vocabulary, names_of

TABLE_ROLES: tuple[Role, ...] = ("initializer", "regularizer", "constraint", "schedule")
"""Roles whose values have names that may take arguments: ``l2`` and ``l2(1e-4)``."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """One thing that a bare word can mean: ``value`` for ``parameter``.

    ``parameter`` is empty where the word stands for a plain value, which goes to the next free parameter.
    ``meaning`` says it in words, ``written`` is how one writes it without doubt.
    """

    parameter: str
    value: Any
    meaning: str
    written: str


def readings_of(word: str, words: CallWords, vocabulary: Vocabulary, local_names: Set[str]) -> list[Reading]:
    """Return everything that ``word`` can mean as an argument without a name."""
    found: list[Reading] = []
    if word in local_names:
        found.append(
            Reading("", word, f"the value of {word}", f"{word if words.parameter(word) else '...'}={word}")
        )
    if words.role(word) == "boolean":
        found.append(Reading(word, True, f"{word}=true", f"{word}=true"))
    parameters = [name for role in _roles_of(word, vocabulary) for name in _targets(role, words)]
    parameters += [p.name for p in words.parameters if word in words.words_for(p.name)]
    return found + [Reading(name, word, f"{name}={word}", f"{name}={word}") for name in parameters]


def call_readings(name: str, words: CallWords, vocabulary: Vocabulary) -> list[str]:
    """Return the parameters that ``name(...)`` can be for."""
    found = [p for role in TABLE_ROLES if vocabulary.find(role, name) for p in _targets(role, words)]
    return [*found, words.wraps] if words.wraps and vocabulary.find_layer(name) else found


def expected_words(words: CallWords) -> str:
    """Say what a bare word can be: ``activation, padding, initializer or argument``."""
    kinds = ["activation"] if words.with_role("activation") else []
    kinds += [p.name for p in words.parameters if words.words_for(p.name) and p.name != "data_format"]
    kinds += ["initializer"] if words.with_role("initializer") else []
    return f"{', '.join(kinds)} or argument" if kinds else "argument"


def known_words(words: CallWords, vocabulary: Vocabulary, local_names: Iterable[str]) -> list[str]:
    """Return the words that fit as an argument without a name, for suggestions."""
    groups: list[Iterable[str]] = [words.words_for(p.name) for p in words.parameters]
    groups.append(vocabulary.activations if words.with_role("activation") else ())
    groups += [vocabulary.table(role) for role in TABLE_ROLES if words.with_role(role)]
    groups += [[p.name for p in words.parameters], sorted(local_names)]
    return names_of(groups)


def _roles_of(word: str, vocabulary: Vocabulary) -> list[Role]:
    roles: list[Role] = ["activation"] if word in vocabulary.activations else []
    if word in vocabulary.dtypes:
        roles.append("dtype")
    roles.extend(role for role in TABLE_ROLES if vocabulary.find(role, word))
    return roles


def _targets(role: Role, words: CallWords) -> tuple[str, ...]:
    """Return the one parameter that a bare word of that role fills, or all that it could."""
    target = words.target(role)
    return (target,) if target is not None else words.with_role(role)
