"""Records of what was done to a run: plain data and back."""

from __future__ import annotations

import json

import pytest

from kerasmagic.callbacks import History, Intervention
from kerasmagic.callbacks.intervention import KINDS, as_interventions


@pytest.mark.parametrize("kind", KINDS)
def test_plain_data_and_back(kind):
    made = Intervention(kind, 1, 2, 12, 0.5 if kind == "learning_rate" else None, message="×")
    assert Intervention.from_dict(json.loads(json.dumps(made.to_dict()))) == made


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "rewinds"}, "Did you mean 'rewind'"),
        ({"epoch": -1}, "from 0 on"),
        ({"batch": 1.5}, "from 0 on"),
        ({"where": 1}, "no record"),
        ({"kind": "learning_rate", "value": "fast"}, "number as its value"),
    ],
)
def test_wrong_records_are_refused(change, message):
    record = {"kind": "stop", "epoch": 0, "batch": 1, "step": 1, **change}
    with pytest.raises(ValueError, match=message):
        Intervention.from_dict(record)


def test_only_what_changes_the_weights_is_done_again():
    made = {kind: Intervention(kind, 0, 1, 1) for kind in KINDS}
    assert [kind for kind in KINDS if made[kind].steers] == ["stop", "rewind", "learning_rate"]
    assert not Intervention("rewind", 0, 1, 1, done=False).steers


def test_a_history_begins_anew_with_its_run():
    history = History()
    history.interventions.append(Intervention("stop", 0, 1, 1))
    assert as_interventions(history) == (Intervention("stop", 0, 1, 1),)
    history.on_train_begin()
    assert as_interventions(history) == as_interventions(None) == ()
