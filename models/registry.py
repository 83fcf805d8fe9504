"""The registry: by which name an `x-permission` means which class of objects."""

from collections.abc import Mapping

from models import accounts
from models.named_objects import Kind
from models.oauth.client import Client
from models.teams.member import Member
from models.teams.team import Team
from models.teams.team_view import TeamView
from models.users.user import User

# One line for each object that a path can name; models/named_objects.py says what its class needs.
NAMED_OBJECTS: Mapping[str, Kind] = {
    "user": Kind(User, goes_with=accounts.goes_with),
    "team": Kind(Team, view=TeamView),
    "member": Kind(Member),
    "client": Kind(Client),
}
