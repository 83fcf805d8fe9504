"""The data and its rules: SQLAlchemy classes, the token store, migrations; nothing of HTTP."""

from models.base import Base
from models.browser_session import BrowserSession
from models.caller import Caller
from models.client import Client
from models.code import Code
from models.consent import Consent
from models.grant import Grant
from models.member import Member
from models.team import ShownTeam, Team
from models.token import Token
from models.token_store import TokenStore
from models.user import User

__all__ = [
    "OBJECTS",
    "READ",
    "Base",
    "BrowserSession",
    "Caller",
    "Client",
    "Code",
    "Consent",
    "Grant",
    "Member",
    "ShownTeam",
    "Team",
    "Token",
    "TokenStore",
    "User",
]

# The classes of the objects that a path can name.
OBJECTS: dict[str, type[User | Team | Member | Client]] = {
    "user": User,
    "team": Team,
    "member": Member,
    "client": Client,
}

# What stands in for one of them where it is only read, and costs less.
READ: dict[str, type[ShownTeam]] = {"team": ShownTeam}
