"""The import rule of the package, the length of its files and functions, and what it may depend on."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.tools import structure

ROOT = Path(__file__).resolve().parent.parent
# How a package is imported, where that is not its name on the index.
IMPORT_NAMES = {"ipython": "IPython", "scikit-learn": "sklearn"}


@pytest.fixture(scope="module")
def modules() -> dict[str, Path]:
    return structure.read_package(ROOT)


@pytest.fixture(scope="module")
def imports() -> list[structure.Import]:
    return structure.all_imports(ROOT)


def listed(errors: list[str]) -> str:
    return "\n" + "\n".join(errors)


def test_the_reader_sees_the_package(modules, imports):
    assert {"kerasmagic", "kerasmagic.foundation.errors"} <= set(modules)
    assert any(found.internal for found in imports)
    assert any(found.target.startswith("numpy") for found in imports)


def test_every_folder_has_a_level(modules):
    assert not (errors := structure.folder_errors(modules)), listed(errors)


def test_folders_import_in_one_direction(imports):
    assert not (errors := structure.direction_errors(imports)), listed(errors)


def test_other_packages_are_imported_where_they_belong(imports):
    assert not (errors := structure.third_party_errors(imports)), listed(errors)


def test_no_import_inside_a_function(imports):
    assert not (errors := structure.lazy_errors(imports)), listed(errors)


def test_no_import_cycle(imports):
    assert not (found := structure.cycles(imports)), listed([" -> ".join(cycle) for cycle in found])


def test_files_and_functions_are_short(modules):
    assert not (errors := structure.length_errors(modules)), listed(errors)


def test_what_is_imported_is_a_dependency(imports):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[<>=\[ ]", requirement)[0] for requirement in project["dependencies"]}
    known = {IMPORT_NAMES.get(name, name) for name in declared}
    # These come with a dependency that can't be without them.
    known |= {"jaxlib", "ml_dtypes", "scipy", "traitlets", "comm"}
    optional = {found for found in imports if found.lazy} & {
        found for found in imports if found.target.split(".")[0] in structure.LAZY_PACKAGES
    }
    errors = [
        f"{found}: not among the dependencies of pyproject.toml"
        for found in imports
        if not found.internal
        and found not in optional
        and found.target.split(".")[0] not in known | structure.sys.stdlib_module_names
    ]
    assert not errors, listed(errors)


# The checks themselves: each must see the fault it is there for.


@pytest.fixture
def house(tmp_path):
    """Return a function that writes a package of the given files and returns its imports."""

    def build(files: dict[str, str]) -> list[structure.Import]:
        for name, text in {"__init__.py": "", **files}.items():
            path = tmp_path / structure.PACKAGE / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return structure.all_imports(tmp_path)

    return build


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("foundation/errors.py", "from kerasmagic.core import layer"),
        ("core/layer.py", "import kerasmagic.models.sequential"),
        ("core/layer.py", "from ..models import sequential"),
        ("core/__init__.py", "from ..models import sequential"),
        ("layers/dense.py", "from kerasmagic.losses import mse"),
        ("layers/dense.py", "import kerasmagic"),
        ("layers/dense.py", "def f():\n    from kerasmagic.models import Model"),
        (
            "layers/dense.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from kerasmagic.models import Model",
        ),
        ("layers/dense.py", "import importlib\nx = importlib.import_module('kerasmagic.models')"),
        ("language/parse.py", "from kerasmagic.numerics import pooling"),
        ("assembly/build.py", "from kerasmagic.widgets import table"),
        ("widgets/run.py", "from kerasmagic.models import Model"),
        ("widgets/run.py", "from kerasmagic.training import loop"),
        ("widgets/run.py", "from kerasmagic.training.loop import run"),
        ("__init__.py", "from kerasmagic import magics"),
    ],
)
def test_a_wrong_direction_is_seen(house, file, line):
    house(
        {
            "training/events.py": "",
            "models/__init__.py": "",
            "models/sequential.py": "",
            "magics/__init__.py": "",
        }
    )
    assert len(structure.direction_errors(house({file: line}))) == 1


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("layers/dense.py", "from kerasmagic.core import layer"),
        (
            "layers/recurrent/lstm.py",
            "from ..dense import Dense\nfrom .cell import Cell\nfrom ...core import layer",
        ),
        ("language/parse.py", "from kerasmagic.foundation.errors import Span"),
        ("assembly/build.py", "from kerasmagic.language import parse\nfrom kerasmagic import models"),
        (
            "widgets/run.py",
            "from kerasmagic.training import events\nfrom kerasmagic.training.events import Event",
        ),
        ("magics/model.py", "from kerasmagic.widgets import table\nimport kerasmagic"),
        ("__init__.py", "def load_ipython_extension(shell):\n    from kerasmagic import magics"),
    ],
)
def test_a_right_direction_passes(house, file, line):
    house({"training/events.py": "", "models/__init__.py": "", "magics/__init__.py": ""})
    found = house({file: line})
    assert any(one.internal for one in found)
    assert structure.direction_errors(found) == []
    assert structure.lazy_errors(found) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("layers/dense.py", "import keras.layers"),
        ("layers/dense.py", "def f():\n    from tensorflow import nn"),
        ("training/data.py", "import torch"),
        ("foundation/errors.py", "import jax"),
        ("language/parse.py", "import jax.numpy as jnp"),
        ("training/loop.py", "from IPython.display import display"),
    ],
)
def test_a_package_in_the_wrong_place_is_seen(house, file, line):
    assert len(structure.third_party_errors(house({file: line}))) == 1


def test_a_package_in_its_place_passes(house):
    found = house(
        {"foundation/a.py": "import re, numpy", "layers/b.py": "import jax", "magics/c.py": "import IPython"}
    )
    assert len(found) == 4
    assert structure.third_party_errors(found) == []


def test_an_import_inside_a_function_is_seen(house):
    found = house(
        {
            "layers/dense.py": "def f():\n import re\nclass A:\n def g(self):\n  from ..core import layer",
            "widgets/picture.py": "def draw():\n    from matplotlib.figure import Figure",
        }
    )
    assert [error.split(":")[0] for error in structure.lazy_errors(found)] == [
        "kerasmagic.layers.dense, line 2",
        "kerasmagic.layers.dense, line 5",
    ]


def test_a_cycle_is_seen(house):
    found = house(
        {
            "core/a.py": "from kerasmagic.core.b import f",
            "core/b.py": "from . import c",
            "core/c.py": "import kerasmagic.core.a",
            "core/d.py": "from .a import g",
            "core/e.py": "from . import f",
            "core/f.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import e",
        }
    )
    assert structure.cycles(found) == [["kerasmagic.core.a", "kerasmagic.core.b", "kerasmagic.core.c"]]


def test_an_unknown_folder_is_seen(house, tmp_path):
    house({"helpers/misc.py": "", "misc.py": ""})
    assert len(structure.folder_errors(structure.read_package(tmp_path))) == 2


def test_length_is_measured(house, tmp_path):
    body = "def f():\n" + "    pass\n" * structure.MAX_FUNCTION_LINES
    house({"core/long.py": "\n" * structure.MAX_FILE_LINES + "x = 1\n", "core/tall.py": body})
    errors = structure.length_errors(structure.read_package(tmp_path))
    assert [error.split()[0] for error in errors] == ["kerasmagic.core.long", "kerasmagic.core.tall.f"]
    house({"core/long.py": "\n" * structure.MAX_FILE_LINES, "core/tall.py": body.removesuffix("    pass\n")})
    assert structure.length_errors(structure.read_package(tmp_path)) == []
