"""How the peers with marshmallow show and check their data."""

from marshmallow import Schema, fields, validate


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


class PageSchema(Schema):
    """Which page of a list is wanted."""

    limit = fields.Integer(load_default=20, validate=validate.Range(1, 100))
    offset = fields.Integer(load_default=0, validate=validate.Range(0))
    cursor = fields.Integer(load_default=None)


class NewTeamSchema(Schema):
    """A team to create."""

    title = fields.String(required=True, validate=validate.Length(3, 50))


user = UserSchema()
base_users = BaseUserSchema(many=True)
team = TeamSchema()
page = PageSchema()
new_team = NewTeamSchema()
