"""The rule for migrations: a server of the version before works on the new schema too."""

import ast
from collections.abc import Iterator
from pathlib import Path

_CONTRACT = "CONTRACT"
# What takes something away that the version before uses, or refuses what it writes.
_CONTRACTING = {
    "drop_table": "drops a table",
    "drop_column": "drops a column",
    "rename_table": "renames a table",
    "create_unique_constraint": "refuses rows that the version before writes",
    "create_check_constraint": "refuses rows that the version before writes",
    "create_foreign_key": "refuses rows that the version before writes",
    "create_exclude_constraint": "refuses rows that the version before writes",
}
_WORDS = ("drop table", "drop column", "rename", "set not null", "add constraint")


def contractions(migrations: Path) -> Iterator[str]:
    """Yield a line for each step of a migration that the version before does not bear.

    A file that says why it is all the same safe, in `CONTRACT = "reason"`, may do anything. See
    docs/upgrade.md.
    """
    for path in sorted((migrations / "versions").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if _has_reason(tree):
            continue
        made = {name for node in ast.walk(tree) if (name := _table_made_by(node))}
        for node in ast.walk(_upgrade(tree)):
            if isinstance(node, ast.Call) and (what := _what_is_wrong(node, made)):
                yield (
                    f"{path.name}, line {node.lineno}: it {what}; do that a release later, with"
                    f' {_CONTRACT} = "reason" (docs/upgrade.md)'
                )


def _has_reason(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.Assign)
        and any(isinstance(each, ast.Name) and each.id == _CONTRACT for each in node.targets)
        and isinstance(node.value, ast.Constant)
        and bool(str(node.value.value or "").strip())
        for node in tree.body
    )


def _upgrade(tree: ast.Module) -> ast.AST:
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == "upgrade"]
    return found[0] if found else ast.Module([], [])


def _what_is_wrong(call: ast.Call, made: set[str]) -> str | None:
    name = _name(call)
    if _text(call, 0) in made and name not in _CONTRACTING:
        return None  # a table of this migration's own, which nobody uses yet
    if name == "alter_column":
        return _alters(call)
    if name == "add_column":
        return _adds(call)
    if name == "create_index" and _is(call, "unique", True):
        return "refuses rows that the version before writes"
    if name == "execute":
        said = " ".join(ast.unparse(call).lower().split())
        return "changes tables by SQL" if any(each in said for each in _WORDS) else None
    return _CONTRACTING.get(name)


def _alters(call: ast.Call) -> str | None:
    given = {each.arg for each in call.keywords}
    if "new_column_name" in given:
        return "renames a column"
    if _is(call, "nullable", False):
        return "makes a column NOT NULL"
    if "type_" in given:
        return "changes the type of a column"
    if _is(call, "server_default", None) or _is(call, "server_default", False):
        return "takes the default of a column away"
    return None


def _adds(call: ast.Call) -> str | None:
    columns = [each for each in call.args if isinstance(each, ast.Call) and _name(each) == "Column"]
    for column in columns:
        given = {each.arg for each in column.keywords}
        if _is(column, "nullable", False) and "server_default" not in given:
            return "adds a column that is NOT NULL and has no server_default"
    return None


def _table_made_by(node: ast.AST) -> str | None:
    if isinstance(node, ast.Call) and _name(node) == "create_table":
        return _text(node, 0)
    return None


def _name(call: ast.Call) -> str:
    return str(getattr(call.func, "attr", None) or getattr(call.func, "id", ""))


def _text(call: ast.Call, position: int) -> str | None:
    if len(call.args) <= position or not isinstance(call.args[position], ast.Constant):
        return None
    return str(ast.literal_eval(call.args[position]))


def _is(call: ast.Call, name: str, value: object) -> bool:
    return any(
        each.arg == name and isinstance(each.value, ast.Constant) and each.value.value is value
        for each in call.keywords
    )
