"""What a reader may do to a run, what was asked for and what was done: the state behind the row of controls."""

from __future__ import annotations

import dataclasses
import math
from html import escape

from kerasmagic.callbacks.intervention import Intervention
from kerasmagic.training.events import Asked, ControlsChanged, Intervened, PhaseStarted

# How many interventions a view keeps; the history has all.
MOST_SHOWN = 50


@dataclasses.dataclass(frozen=True)
class Controls:
    """What can be done, what is asked for but not done yet, and what was done, oldest first."""

    able: ControlsChanged | None = None
    asked: tuple[str, ...] = ()
    done: tuple[Intervention, ...] = ()
    count: int = 0


def after(controls: Controls, event: Asked | Intervened | ControlsChanged | PhaseStarted) -> Controls:
    """Return the controls after ``event``.

    Example:

    >>> asked = after(Controls(), Asked("rewind", 0.0))
    >>> asked.asked, after(asked, Intervened(Intervention("rewind", 0, 1, 1), 0.1)).asked
    (('rewind',), ())
    """
    if isinstance(event, Asked):
        return dataclasses.replace(controls, asked=(*_without(controls, event.kind), event.kind))
    if isinstance(event, ControlsChanged):
        return dataclasses.replace(controls, able=event)
    if isinstance(event, PhaseStarted):
        # A second request for a pause, say from another window, is never answered by itself.
        return dataclasses.replace(controls, asked=_without(controls, "pause", "resume"))
    made = event.intervention
    return dataclasses.replace(
        controls,
        asked=_without(controls, made.kind),
        done=(*controls.done, made)[-MOST_SHOWN:],
        count=controls.count + 1,
    )


@dataclasses.dataclass(frozen=True)
class Panel:
    """What the row of controls shows; ``rate`` is ``None`` where it cannot be set."""

    live: bool
    paused: bool
    asked: tuple[str, ...]
    rate: float | None
    rate_note: str
    rate_hint: str
    rewind: str
    note: str
    failed: bool
    count: int


def panel(controls: Controls, *, live: bool, paused: bool) -> Panel:
    """Return what to show of the controls of a run.

    Args:
        controls: Their state.
        live: Whether the run is on.
        paused: Whether it rests.

    Example:

    >>> able = ControlsChanged(None, "CosineDecay", "epoch 2, loss 0.5", 0.0)
    >>> shown = panel(Controls(able), live=True, paused=False)
    >>> shown.rate_note, shown.rewind
    ('set by CosineDecay', 'Go back to epoch 2, loss 0.5')
    >>> able = ControlsChanged(0.1, "CosineDecay", "", 0.0)
    >>> panel(Controls(able), live=True, paused=False).rate_hint
    'CosineDecay sets the rate at each step: a change multiplies all of its rates from here on'
    """
    able, last = controls.able, controls.done[-1] if controls.done else None
    rate = able.learning_rate if able is not None else None
    schedule = able.schedule if able is not None else ""
    return Panel(
        live=live,
        paused=paused,
        asked=controls.asked if live else (),
        rate=rate if rate is not None and math.isfinite(rate) else None,
        rate_note="" if not schedule else f"set by {schedule}" if rate is None else f"now, by {schedule}",
        rate_hint=_hint(schedule, rate),
        rewind=f"Go back to {able.best}" if able is not None and able.best else "",
        note="" if last is None else str(last),
        failed=last is not None and not last.done,
        count=controls.count,
    )


def _hint(schedule: str, rate: float | None) -> str:
    if not schedule:
        return ""
    if rate is None:
        return f"{schedule} sets the rate, and it cannot be changed from outside"
    return f"{schedule} sets the rate at each step: a change multiplies all of its rates from here on"


def listed(controls: Controls) -> str:
    """Return what was done to a run as a list in HTML, ``""`` where nothing was.

    >>> listed(Controls(done=(Intervention("stop", 0, 3, 3, message="stopped"),)))
    '<div class="km-interventions" role="list"><div role="listitem">step 3: stopped</div></div>'
    """
    # No `ul`: notebooks give that margins of their own.
    items = "".join(f'<div role="listitem">{escape(str(each))}</div>' for each in controls.done)
    return f'<div class="km-interventions" role="list">{items}</div>' if items else ""


def _without(controls: Controls, *kinds: str) -> tuple[str, ...]:
    return tuple(kind for kind in controls.asked if kind not in kinds)
