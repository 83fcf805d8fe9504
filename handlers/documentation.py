"""Documentation: the definition, and the page that shows it."""

from typing import Any


def open_documentation() -> str:
    """Redirect from the root to the documentation page."""
    return "/api/v1/"


def read_documentation(documentation: Any) -> str:
    """Show the documentation page."""
    return str(documentation.page)


def read_guide(documentation: Any) -> str:
    """Show the guide."""
    return str(documentation.guide)


def read_definition_json(definition: Any) -> bytes:
    """Return the definition as JSON."""
    return bytes(definition.as_json)


def read_definition_yaml(definition: Any) -> bytes:
    """Return the definition as YAML."""
    return bytes(definition.as_yaml)
