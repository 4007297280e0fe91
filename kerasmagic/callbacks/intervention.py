"""What someone did to a run while it ran, as a record that can be saved and repeated."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Literal, get_args

from kerasmagic.foundation.errors import InvalidArgument, UnknownName, did_you_mean

Kind = Literal["pause", "resume", "stop", "checkpoint", "rewind", "learning_rate"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclasses.dataclass(frozen=True)
class Intervention:
    """One thing done to a run from outside, and where in the run.

    Args:
        kind: What was asked for.
        epoch: The epoch it fell in, counted from 0.
        batch: How many batches of that epoch were done.
        step: How many steps of the run were done.
        value: The new learning rate, the file of a checkpoint, or the epoch that was gone back to.
        done: Whether it could be done.
        message: What happened, in plain words.

    Example:

    >>> import json
    >>> lower = Intervention("learning_rate", 2, 0, 20, 0.001, message="learning rate 0.01 → 0.001")
    >>> str(lower)
    'step 20: learning rate 0.01 → 0.001'
    >>> Intervention.from_dict(json.loads(json.dumps(lower.to_dict()))) == lower
    True
    """

    kind: Kind
    epoch: int
    batch: int
    step: int
    value: float | int | str | None = None
    done: bool = True
    message: str = ""

    def __str__(self) -> str:
        return f"step {self.step:,}: {self.message or self.kind.replace('_', ' ')}"

    @property
    def steers(self) -> bool:
        """Whether the weights depend on it: a pause or a checkpoint leaves them as they are."""
        return self.done and self.kind in ("stop", "rewind", "learning_rate")

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, for example for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Intervention:
        """Make it from what ``to_dict`` returned.

        Raises:
            UnknownName: If there is no such kind of intervention.
            InvalidArgument: If something is missing, unknown, or of the wrong type.
        """
        try:
            made = cls(**record)
        except TypeError as error:
            raise InvalidArgument(f"This is no record of an intervention: {record!r} ({error}).") from None
        if made.kind not in KINDS:
            raise UnknownName(
                f"There is no intervention {made.kind!r}. There are: {', '.join(KINDS)}.",
                hint=did_you_mean(str(made.kind), KINDS),
            )
        places = (made.epoch, made.batch, made.step)
        if not all(isinstance(place, int) and place >= 0 for place in places):
            raise InvalidArgument(f"`epoch`, `batch` and `step` must be whole numbers from 0 on: {record!r}.")
        if made.kind == "learning_rate" and made.done and not isinstance(made.value, (int, float)):
            raise InvalidArgument(f"A change of the learning rate needs a number as its value: {record!r}.")
        return made


def as_interventions(records: Any) -> tuple[Intervention, ...]:
    """Return interventions from a ``History``, or from a list of interventions or of their plain data.

    Raises:
        InvalidArgument: If it is none of these.

    >>> as_interventions([{"kind": "stop", "epoch": 0, "batch": 3, "step": 3}])[0].batch
    3
    """
    records = getattr(records, "interventions", records)
    if records is None:
        return ()
    if isinstance(records, (str, bytes, Mapping)) or not isinstance(records, Iterable):
        raise InvalidArgument(
            "`replay` must be a `History`, or a list of its interventions or of their plain data. "
            f"Received: {records!r}"
        )
    return tuple(each if isinstance(each, Intervention) else _read(each) for each in records)


def _read(record: Any) -> Intervention:
    if not isinstance(record, Mapping):
        raise InvalidArgument(f"This is no record of an intervention: {record!r}.")
    return Intervention.from_dict(record)
