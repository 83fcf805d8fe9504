"""The fields of projects."""

from marshmallow import fields

from handlers.schemas.base import Schema


class ProjectSchema(Schema):
    """A project of a team."""

    id = fields.Integer()
    team_id = fields.Integer()
    name = fields.String()
    archived = fields.Boolean()
    created = fields.AwareDateTime()
    updated = fields.AwareDateTime()


project = ProjectSchema()
projects = ProjectSchema(many=True)
