"""What a plain import leaves for later, and that it is there when it is asked for."""

from __future__ import annotations

import subprocess
import sys

import kerasmagic as km

PROGRAM = """
import sys
import kerasmagic as km
late = ("kerasmagic.assembly", "kerasmagic.language", "kerasmagic.magics", "lark", "jax.extend")
assert not (found := [name for name in sys.modules if name.startswith(late)]), found
model = km.models.load_model(sys.argv[1], safe_mode=False)
print(model.to_text())
"""


def run(*arguments):
    command = [sys.executable, "-c", PROGRAM, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_language_comes_with_its_first_use(tmp_path):
    text = "%%layer Twice\nx + x\n%%model tiny\ninput 4\nTwice -> dense 2"
    file = tmp_path / "tiny.keras"
    try:
        km.define(text).save(file)
    finally:
        km.saving.get_custom_objects().pop("notebook>Twice", None)
    assert "Twice -> dense 2" in run(str(file)).replace("\ndense", " -> dense")


def test_names_that_come_later_are_names_of_the_package():
    assert {"define", "load"} <= set(dir(km))
    assert not hasattr(km, "defien")
