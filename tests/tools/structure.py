"""Read the imports of a package from its source, and hold them against the import rule.

Nothing is imported to read it. The rule is the data at the top; what breaks it comes back as sentences.
"""

from __future__ import annotations

import ast
import dataclasses
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

PACKAGE = "kerasmagic"

_BY_LEVEL = (
    ("foundation",),
    ("numerics",),
    ("core",),
    (
        "ops",
        "random",
        "activations",
        "initializers",
        "regularizers",
        "constraints",
        "quantizers",
        "config",
        "dtype_policies",
        "tree",
    ),
    ("layers", "losses", "metrics", "optimizers", "callbacks", "distribution"),
    ("training", "saving"),
    ("models", "utils"),
    ("export", "backend", "mixed_precision"),
)
LEVELS: Mapping[str, int] = {name: level for level, names in enumerate(_BY_LEVEL) for name in names}

# The folders above the library see what is written here; a dotted name is that module alone.
LIBRARY = frozenset(LEVELS)
ABOVE: Mapping[str, frozenset[str]] = {
    "language": frozenset({"foundation"}),
    "assembly": LIBRARY | {"language"},
    "widgets": frozenset({"foundation", "callbacks", "training.events"}),
    "magics": LIBRARY | {"language", "assembly", "widgets", ""},
    # The package's own __init__, which names what is public.
    "": LIBRARY | {"language", "assembly"},
}

# Other packages that only these folders may import; a folder not named here may import any.
THIRD_PARTY: Mapping[str, frozenset[str]] = {
    "foundation": frozenset({"numpy"}),
    "language": frozenset({"lark"}),
}
NOTEBOOK_PACKAGES = frozenset({"IPython", "ipykernel", "ipywidgets", "anywidget", "traitlets", "comm"})
NOTEBOOK_FOLDERS = frozenset({"widgets", "magics"})
FORBIDDEN = frozenset({"keras", "tensorflow", "torch"})

# Imports inside a function: packages that a user may not have or only a notebook needs, all slow to import;
LAZY_PACKAGES = frozenset(
    {
        "matplotlib",
        "pandas",
        "scipy",
        "sklearn",
        "PIL",
        "IPython",
        "anywidget",
        "h5py",
        "optax",
        "orbax",
        "tensorboard",
    }
)
# our own modules that stand on those; and the extension itself, which `%load_ext` asks for.
LAZY_MODULES = frozenset(
    {
        ("kerasmagic.widgets.sink", "kerasmagic.widgets.training"),
        ("kerasmagic.magics.look", "kerasmagic.widgets.layer_link"),
        ("kerasmagic.widgets.static_run", "kerasmagic.widgets.picture"),
        ("kerasmagic.training.capture", "jax.extend.core"),
    }
)
LAZY_EDGES = frozenset({("", "magics")})

MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 100


@dataclasses.dataclass(frozen=True)
class Import:
    """One import: the dotted modules that import and are imported, and where.

    ``lazy`` means inside a function, ``typing`` means for type checkers only.
    """

    importer: str
    target: str
    line: int
    lazy: bool = False
    typing: bool = False

    @property
    def internal(self) -> bool:
        """Whether the target belongs to the package itself."""
        return self.target.split(".")[0] == PACKAGE

    def __str__(self) -> str:
        return f"{self.importer}, line {self.line}: import of {self.target}"


def module_name(path: Path, root: Path) -> str:
    """Return the dotted name of the module in ``path``; ``root`` is the folder that holds the package."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def folder_of(module: str) -> str:
    """Return the package's folder (or file) that ``module`` is in; ``""`` is the package's own __init__."""
    return module.split(".")[1] if "." in module else ""


def read_package(root: Path) -> dict[str, Path]:
    """Return every module of the package under ``root`` by its dotted name."""
    return {module_name(path, root): path for path in sorted((root / PACKAGE).rglob("*.py"))}


def _targets(node: ast.AST, importer: str, is_package: bool, modules: Iterable[str]) -> Iterator[str]:
    """Yield the modules that the statement or call ``node`` imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parents = importer.split(".")
            parents = parents[: len(parents) - node.level + is_package]
            base = ".".join([*parents, *filter(None, [node.module])])
        for alias in node.names:
            name = f"{base}.{alias.name}"
            yield name if name in modules else base
    elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if function in ("import_module", "__import__"):
            yield str(node.args[0].value)


def imports_of(module: str, path: Path, modules: Iterable[str]) -> Iterator[Import]:
    """Yield all imports in the source of ``module``, those for type checkers only included."""

    def walk(node: ast.AST, lazy: bool, typing: bool) -> Iterator[Import]:
        for target in _targets(node, module, path.name == "__init__.py", modules):
            line = getattr(node, "lineno", 0)
            yield Import(module, target, line, lazy or isinstance(node, ast.Call), typing)
        lazy = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing = typing or (isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"))
        for child in ast.iter_child_nodes(node):
            yield from walk(child, lazy, typing)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), lazy=False, typing=False)


def all_imports(root: Path) -> list[Import]:
    """Return every import in the package under ``root``."""
    modules = read_package(root)
    return [found for module, path in modules.items() for found in imports_of(module, path, modules)]


def _may_see(importer: str, target: str) -> bool:
    """Whether a module in the folder of ``importer`` may import the module ``target``, by the import rule."""
    here, there = folder_of(importer), folder_of(target)
    if here == there:
        return True
    if here in LEVELS:
        return LEVELS.get(there, len(LEVELS)) < LEVELS[here]
    seen = ABOVE.get(here, frozenset())
    inside = target.split(".")[1:]
    return there in seen or any(".".join(inside[:depth]) in seen for depth in range(2, len(inside) + 1))


def _lazy_edge(found: Import) -> bool:
    return found.lazy and (folder_of(found.importer), folder_of(found.target)) in LAZY_EDGES


def direction_errors(imports: Iterable[Import]) -> list[str]:
    """Return the imports between folders that the import rule does not allow."""
    return [
        f"{found}: {folder_of(found.importer) or PACKAGE} may not see {folder_of(found.target) or PACKAGE}"
        for found in imports
        if found.internal and not _may_see(found.importer, found.target) and not _lazy_edge(found)
    ]


def third_party_errors(imports: Iterable[Import]) -> list[str]:
    """Return the imports of other packages that no file, or not this file, may have."""
    errors = []
    for found in imports:
        name, folder = found.target.split(".")[0], folder_of(found.importer)
        if found.internal or name in sys.stdlib_module_names:
            continue
        if name in FORBIDDEN:
            errors.append(f"{found}: the package never imports {name}")
        elif name not in THIRD_PARTY.get(folder, {name}):
            errors.append(f"{found}: {folder} does without {name}")
        elif name in NOTEBOOK_PACKAGES and folder not in NOTEBOOK_FOLDERS:
            errors.append(f"{found}: only {' and '.join(sorted(NOTEBOOK_FOLDERS))} know the notebook")
    return errors


def lazy_errors(imports: Iterable[Import]) -> list[str]:
    """Return the imports inside functions that stand on no list of exceptions."""
    return [
        f"{found}: an import belongs to the top of the file"
        for found in imports
        if found.lazy
        and found.target.split(".")[0] not in LAZY_PACKAGES
        and (found.importer, found.target) not in LAZY_MODULES
        and not (found.internal and _lazy_edge(found))
    ]


def folder_errors(modules: Iterable[str]) -> list[str]:
    """Return the folders of the package that have no place in the import rule."""
    folders = {folder_of(module) for module in modules}
    return [
        f"{PACKAGE}/{folder} has no level yet: give it one in {Path(__file__).name}"
        for folder in sorted(folders - LIBRARY - set(ABOVE))
    ]


def cycles(imports: Iterable[Import]) -> list[list[str]]:
    """Return the cycles of imports that run, each beginning at its first module by name."""
    graph: dict[str, set[str]] = {}
    for found in imports:
        if found.internal and not (found.lazy or found.typing or found.target == found.importer):
            graph.setdefault(found.importer, set()).add(found.target)
    result: list[list[str]] = []
    done: set[str] = set()

    def visit(module: str, path: list[str]) -> None:
        if module in path:
            cycle = path[path.index(module) :]
            first = cycle.index(min(cycle))
            result.append(cycle[first:] + cycle[:first])
        elif module not in done:
            for target in sorted(graph.get(module, ())):
                visit(target, [*path, module])
            done.add(module)

    for module in sorted(graph):
        visit(module, [])
    return result


def length_errors(modules: Mapping[str, Path]) -> list[str]:
    """Return the files and functions that have grown too long."""
    errors = []
    for module, path in modules.items():
        text = path.read_text(encoding="utf-8")
        lines = len(text.splitlines())
        if lines > MAX_FILE_LINES:
            errors.append(f"{module} has {lines} lines, {MAX_FILE_LINES} are allowed")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    errors.append(
                        f"{module}.{node.name} has {length} lines, {MAX_FUNCTION_LINES} are allowed"
                    )
    return errors
