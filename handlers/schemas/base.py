"""What all schemas share: how they dump, which is what most answers are made of."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import marshmallow
from marshmallow import fields

# The seam writes numbers, texts, truth values and moments as these fields would.
_AS_IT_IS = (fields.AwareDateTime, fields.Boolean, fields.Integer, fields.String)

Read = Callable[[Any], Any]


class Schema(marshmallow.Schema):
    """A schema that dumps objects by a list of readers, made once from its fields.

    marshmallow asks every field of every object anew how it is to be read and written, which takes
    ten times as long. The result is the same, but for moments, which stay what they are until the
    seam writes them. Hooks are not for these schemas.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._readers = [(name, _reader(name, field)) for name, field in self.dump_fields.items()]

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """Return what an object, or each of many, looks like from outside."""
        if self.many if many is None else many:
            return [self._dump(each) for each in obj]
        return self._dump(obj)

    def _dump(self, obj: Any) -> dict[str, Any]:
        return {name: read(obj) for name, read in self._readers}


def _reader(name: str, field: fields.Field[Any]) -> Read:
    """Make the function that reads a field's value off an object."""
    read: Read = attrgetter(field.attribute or name)
    if type(field) in _AS_IT_IS:
        return read
    if isinstance(field, fields.List) and isinstance(field.inner, fields.Nested):
        dump_all = field.inner.schema.dump
        return lambda obj: dump_all(read(obj), many=True)
    if isinstance(field, fields.Nested):
        dump = field.schema.dump
        return lambda obj: dump(read(obj))
    return lambda obj: field.serialize(name, obj)
