"""How the peers with marshmallow show and check their data."""

from marshmallow import Schema, fields


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


class MemberSchema(Schema):
    """A member of a team."""

    user = fields.Nested(BaseUserSchema)
    is_leader = fields.Boolean()


class TeamSchema(Schema):
    """A team in full."""

    id = fields.Integer()
    title = fields.String()
    members = fields.List(fields.Nested(MemberSchema))
    created = fields.AwareDateTime()
    updated = fields.AwareDateTime()


user = UserSchema()
base_users = BaseUserSchema(many=True)
team = TeamSchema()
