"""The definition's own formats, as schemathesis makes texts of them."""

import schemathesis
from hypothesis import strategies as st

from models.users import passwords
from models.users.names import is_visible_text

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
