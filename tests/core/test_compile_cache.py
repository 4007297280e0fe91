"""Where compiled programs are kept, and that the folder does not grow without end."""

from __future__ import annotations

import os
import subprocess
import sys

import jax
import pytest

from kerasmagic.core import compile_cache

# What is compiled before the folder is known counts too: JAX looks for a folder when it first compiles.
PROGRAM = """
import jax, jax.numpy as jnp
jax.jit(lambda x: x + 1)(jnp.ones(3))
import kerasmagic as keras
jax.jit(lambda x: x * 2)(jnp.ones(3))
print(jax.config.jax_compilation_cache_dir)
"""


def run(home, **environment):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XDG_"))}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env=kept | {"HOME": str(home), "JAX_PLATFORMS": "cpu"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_programs_are_kept_in_the_users_folder(tmp_path):
    folder = run(tmp_path)
    assert folder.startswith(str(tmp_path / ".cache" / "kerasmagic" / "programs"))
    assert any("lambda" in name for name in os.listdir(folder))


def test_a_folder_that_cannot_be_made_is_done_without(tmp_path):
    (tmp_path / "file").touch()
    assert run(tmp_path, XDG_CACHE_HOME=str(tmp_path / "file")) == "None"


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"KERASMAGIC_COMPILE_CACHE": "off"}, None),
        ({"KERASMAGIC_COMPILE_CACHE": "{home}/mine"}, "{home}/mine"),
    ],
)
def test_the_environment_chooses(environment, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(jax.config, "update", lambda name, value: None)
    chosen = {name: value.format(home=tmp_path) for name, value in environment.items()}
    before = jax.config.jax_compilation_cache_dir
    jax.config.jax_compilation_cache_dir or pytest.fail("the tests have a cache of their own")
    assert compile_cache.use_compile_cache(chosen) is None
    assert jax.config.jax_compilation_cache_dir == before
    monkeypatch.setattr(compile_cache, "jax", FakeJax())
    found = compile_cache.use_compile_cache(chosen)
    assert (None if found is None else str(found.parent)) == (folder and folder.format(home=tmp_path))


class FakeJax:
    """A JAX that has no folder yet."""

    class config:
        jax_compilation_cache_dir = None
        jax_enable_compilation_cache = True
        update = staticmethod(lambda name, value: None)


def test_the_folder_is_looked_through_once_a_day(tmp_path, monkeypatch):
    looked = []
    monkeypatch.setattr(compile_cache, "jax", FakeJax())
    monkeypatch.setattr(compile_cache, "prune", lambda folder, largest: looked.append(folder))
    for _ in range(3):
        compile_cache.use_compile_cache({"KERASMAGIC_COMPILE_CACHE": str(tmp_path)})
    assert looked == [tmp_path]
    (note,) = (path for path in tmp_path.iterdir() if path.is_file())
    os.utime(note, (note.stat().st_mtime - compile_cache.DAY,) * 2)
    compile_cache.use_compile_cache({"KERASMAGIC_COMPILE_CACHE": str(tmp_path)})
    assert looked == [tmp_path] * 2


def test_the_least_used_programs_go_first(tmp_path):
    for age in range(5):
        path = tmp_path / "machine" / f"{age}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x" * 10)
        os.utime(path, (1000 - age, 1000 - age))
    compile_cache.prune(tmp_path, 25)
    assert sorted(os.listdir(tmp_path / "machine")) == ["0", "1"]
    compile_cache.prune(tmp_path / "nowhere", 0)
