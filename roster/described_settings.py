"""The settings described: names, defaults and what each is for, as an operator reads them."""

import ast
import inspect
from itertools import pairwise
from typing import Any, NamedTuple

from pydantic import SecretStr

from roster.setting_fields import SettingFields


class Described(NamedTuple):
    """A setting, for those who look for one."""

    name: str
    default: str
    description: str

    @property
    def help(self) -> str:
        """The description with the default, if there is one."""
        return f"{self.description} [default: {self.default}]" if self.default else self.description


def described() -> list[Described]:
    """Return every setting in the order of its declaration, as an operator would write it."""
    found = []
    docstrings = _docstrings()
    for name, field in SettingFields.model_fields.items():
        default = field.get_default()
        if isinstance(default, SecretStr) or default in (None, (), False):
            default = ""
        found.append(Described(str(field.validation_alias), str(default), docstrings.get(name, "")))
    return found


def _docstrings() -> dict[str, str]:
    """Return what stands below each field.

    pydantic would read it at each start of a server (`use_attribute_docstrings`), in a tenth of a
    second.
    """
    declaration: Any = ast.parse(inspect.getsource(SettingFields)).body[0]
    return {
        ast.unparse(field.target): ast.literal_eval(text.value)
        for field, text in pairwise(declaration.body)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
    }
