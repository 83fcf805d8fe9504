"""The tables of a release, kept for later ones: `python -m tests.released_schema VERSION`."""

import json
import sys
from pathlib import Path
from typing import Any

from sqlalchemy.dialects import postgresql

from models import Base

FOLDER = Path(__file__).parent / "released"


def present() -> dict[str, Any]:
    """Return the tables of this version: columns with their types, keys and references."""
    dialect = postgresql.dialect()
    return {
        table.name: {
            column.name: {
                "type": column.type.compile(dialect),
                "nullable": column.nullable,
                "refers_to": [key.target_fullname for key in column.foreign_keys],
            }
            for column in table.columns
        }
        for table in Base.metadata.sorted_tables
    }


def keep(version: str) -> Path:
    """Write the tables of this version to the file of a release."""
    path = FOLDER / f"{version}.json"
    path.write_text(json.dumps(present(), indent=1) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    keep(sys.argv[1])
