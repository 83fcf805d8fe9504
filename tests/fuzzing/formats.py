"""The definition's own formats, as schemathesis makes texts of them."""

import re
from typing import Any

import schemathesis
import yaml
from hypothesis import strategies as st
from schemathesis.generation.case import Case

from models.users import passwords
from models.users.names import is_visible_text
from roster.contract import loader

_PARAMETER = loader.FOLDER / "components" / "parameters" / "If-Match.yaml"
_TAGS = re.compile(yaml.safe_load(_PARAMETER.read_text("utf-8"))["schema"]["pattern"])

OWN_FORMATS = ("visible-text", "opaque-string")


def add_formats() -> None:
    """Teach schemathesis the formats."""
    # Names that people read.
    schemathesis.openapi.format(
        OWN_FORMATS[0],
        st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=3, max_size=30).filter(
            is_visible_text
        ),
    )
    # Passwords: they are looked at here for the form, and not for the rules.
    schemathesis.openapi.format(
        OWN_FORMATS[1],
        st.text(
            st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=8, max_size=128
        ).filter(passwords.is_acceptable),
    )


def has_odd_tag(case: Case[Any]) -> bool:
    """Tell whether If-Match is none that its pattern lets through.

    schemathesis makes up one value in four of this header without looking at its schema.
    """
    headers: Any = case.headers or {}
    value = headers.get("If-Match")
    return value is not None and not _TAGS.fullmatch(str(value))
