"""The fields of users."""

from marshmallow import fields

from handlers.schemas.base import Schema


class BaseUserSchema(Schema):
    """A user in lists."""

    id = fields.Integer()
    username = fields.String()
    first_name = fields.String()
    middle_name = fields.String()
    last_name = fields.String()


class UserSchema(BaseUserSchema):
    """A user in full."""

    email = fields.String()
    is_active = fields.Boolean()
    is_regular_user = fields.Boolean()
    is_admin = fields.Boolean()
    created = fields.AwareDateTime()
    updated = fields.AwareDateTime()


user = UserSchema()
base_users = BaseUserSchema(many=True)
