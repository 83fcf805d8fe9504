"""The data and its rules: mapped classes, the OAuth storage, migrations; nothing of HTTP.

All tables are known once this package is imported: a class that the registry does not name is
imported here.
"""

from models.audit.event import AuditEvent
from models.caller import Caller
from models.database.base import Base
from models.idempotency import IdempotentRequest
from models.oauth.browser_session import BrowserSession
from models.oauth.client import Client
from models.oauth.code import Code
from models.oauth.consent import Consent
from models.oauth.grant import Grant
from models.oauth.token import Token
from models.oauth.token_store import TokenStore
from models.registry import NAMED_OBJECTS
from models.teams.member import Member
from models.teams.team import Team
from models.teams.team_view import TeamView
from models.users.user import User

__all__ = [
    "NAMED_OBJECTS",
    "AuditEvent",
    "Base",
    "BrowserSession",
    "Caller",
    "Client",
    "Code",
    "Consent",
    "Grant",
    "IdempotentRequest",
    "Member",
    "Team",
    "TeamView",
    "Token",
    "TokenStore",
    "User",
]
