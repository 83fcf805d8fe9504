"""The fields of teams and their members."""

from marshmallow import fields

from handlers.schemas.base import Schema
from handlers.schemas.users import BaseUserSchema


class BaseTeamSchema(Schema):
    """A team in lists."""

    id = fields.Integer()
    title = fields.String()


class TeamMemberSchema(Schema):
    """A member in its team."""

    user = fields.Nested(BaseUserSchema)
    is_leader = fields.Boolean()


class TeamSchema(BaseTeamSchema):
    """A team in full, with its members."""

    members = fields.List(fields.Nested(TeamMemberSchema))
    created = fields.AwareDateTime()
    updated = fields.AwareDateTime()


class MemberSchema(TeamMemberSchema):
    """A member with its team."""

    team = fields.Nested(BaseTeamSchema)


team = TeamSchema()
base_teams = BaseTeamSchema(many=True)
member = MemberSchema()
members = MemberSchema(many=True)
