"""The arrows between modules: who imports whom, in which order, and how large a module may be."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAX_LINES = 300

# Packages and modules, from the bottom to the top: each imports only itself and what comes before
# it in this list. A module belongs to the longest name that fits. A star stands for all packages
# and modules that have no line of their own; those may import each other.
ORDER = (
    "models.errors",
    "models.database",
    "models.patch",
    "models.caller",
    "models.attempt_limit",
    "models.named_objects",
    "models.quotas",
    "models.users",
    "models.teams",
    "models.oauth",
    "models.*",
    "models.accounts",
    "models.development",
    "models.registry",
    "models",
    "models.database.migrations",
    "handlers.schemas",
    "handlers.*",
    "handlers",
    "roster.environment",
    "roster.origins",
    "roster.log_levels",
    "roster.redis_client",
    "roster.setting_fields",
    "roster.settings",
    "roster.purges",
    "roster.pages",
    "roster.http.answers",
    "roster.http.errors",
    "roster.http.json_bodies",
    "roster.contract",
    "roster.http",
    "roster.observability",
    "roster.server",
    "roster.oauth",
    "roster.api",
    "roster.stack",
    "roster.*",
    "roster.application",
    "roster",
    "roster.cli",
)
_HTTP = {"flask", "connexion", "starlette", "werkzeug"}
# What the modules of a package import nowhere, not even in a function.
FORBIDDEN = {
    "models": {"roster", "handlers", "marshmallow", *_HTTP},
    "handlers": {"roster", *_HTTP},
    "roster": {"handlers"},
}


def modules() -> dict[str, Path]:
    """Return the files of all modules by the modules' names."""
    found = {}
    for package in FORBIDDEN:
        for path in (ROOT / package).rglob("*.py"):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imported(path: Path) -> Iterator[str]:
    """Name all that a file imports, wherever in it, for the type checker alone too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module
            assert not node.level, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(name: str) -> str | None:
    """Return the module of ours in which an imported name is; None for one of others."""
    while name and name not in MODULES:
        name = name.rpartition(".")[0]
    return name or None


ARROWS = {
    name: {module for each in imported(path) if (module := module_of(each))}
    for name, path in MODULES.items()
}


def place(module: str) -> int:
    """Return the place of a module in the order."""
    name = module
    while name not in ORDER:
        parent = name.rpartition(".")[0]
        if parent in ("models", "handlers", "roster"):
            return ORDER.index(f"{parent}.*")
        name = parent
    return ORDER.index(name)


def test_no_circle_of_imports() -> None:
    try:
        TopologicalSorter(ARROWS).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


def test_imports_go_down_the_order() -> None:
    wrong = [
        f"{name} imports {each}, but in ORDER {ORDER[place(each)]} comes after {ORDER[place(name)]}"
        for name, arrows in ARROWS.items()
        for each in arrows
        if place(each) > place(name)
    ]

    assert not wrong, "\n".join(wrong)


def test_the_order_names_what_there_is() -> None:
    for name in (each.removesuffix(".*") for each in ORDER):
        assert any(f"{module}.".startswith(f"{name}.") for module in MODULES), name


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_does_not_know_what_is_not_its_own_business(package: str) -> None:
    wrong = {
        f"{name} imports {each}"
        for name, path in MODULES.items()
        if name.partition(".")[0] == package
        for each in imported(path)
        if each.partition(".")[0] in FORBIDDEN[package]
    }

    assert not wrong


def test_handlers_import_schemas_and_no_other_handlers() -> None:
    for name, arrows in ARROWS.items():
        if name.startswith("handlers"):
            others = {each for each in arrows if each.startswith("handlers")}
            assert all(each.startswith("handlers.schemas.") for each in others), name


def test_one_module_knows_passlib() -> None:
    knowing = {
        name
        for name, path in MODULES.items()
        if any(each.partition(".")[0] == "passlib" for each in imported(path))
    }

    assert knowing == {"models.users.passwords"}


def test_no_module_is_longer_than_one_reads_at_once() -> None:
    lines = {name: len(path.read_text().splitlines()) for name, path in MODULES.items()}

    assert {name: number for name, number in lines.items() if number > MAX_LINES} == {}
