"""The fields of OAuth clients, and of the applications that a user has authorised."""

from marshmallow import fields

from handlers.schemas.base import Schema


class ClientSchema(Schema):
    """A client, without its secret."""

    client_id = fields.String()
    user_id = fields.Integer()
    name = fields.String()
    client_type = fields.String()
    redirect_uris = fields.List(fields.String())
    default_scopes = fields.List(fields.String(), attribute="scopes")
    grant_types = fields.List(fields.String())
    created = fields.AwareDateTime()


class AuthorizationSchema(Schema):
    """A client, for the user who authorised it."""

    client_id = fields.String()
    name = fields.String()
    # The scopes of all grants, with repetitions.
    scopes = fields.Function(lambda app: sorted(set(app.scopes)))
    created = fields.AwareDateTime()


client = ClientSchema()
clients = ClientSchema(many=True)
authorizations = AuthorizationSchema(many=True)
