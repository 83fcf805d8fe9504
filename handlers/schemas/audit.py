"""The fields of audit events."""

from marshmallow import fields

from handlers.schemas.base import Schema


class AuditEventSchema(Schema):
    """An event in full."""

    id = fields.Integer()
    created = fields.AwareDateTime()
    action = fields.String()
    actor_id = fields.Integer()
    actor_name = fields.String()
    client_id = fields.String()
    address = fields.String()
    request_id = fields.String()
    user_id = fields.Integer()
    target_kind = fields.String()
    target_id = fields.String()
    details = fields.Function(lambda event: [_detail(*each) for each in event.details.items()])


def _detail(key: str, value: str) -> dict[str, str]:
    return {"key": key, "value": value}


audit_events = AuditEventSchema(many=True)
