"""What schemathesis is told beyond its configuration, which names this file.

It adds texts of the definition's own formats, has requests meet what is there, and keeps a run from
deleting its own account. A run of `make fuzz` says in the environment who logs in; then a token
that ended is replaced, and how often that was is counted.
"""

import atexit
import json
import os
import re
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import requests
import schemathesis
from schemathesis.auths import AuthContext
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.hooks import HookContext
from schemathesis.openapi.checks import RejectedPositiveData

from roster.contract.formats import FORMATS
from tests.fuzzing.formats import OWN_FORMATS, add_formats, has_odd_tag
from tests.fuzzing.meeting import meet_what_is_there

# All that is said to be wrong with a body, where that is the format of one of its members.
_MISSES_A_FORMAT = re.compile(r"in body - violates `format` at /properties/(\w+)$")
# An id that no user has.
_NOBODY = 2**40
# A JSON object, see `Login`; not set for runs against a server of one's own.
VARIABLE = "TESTS_FUZZ_LOGIN"

add_formats()


class Login:
    """The token of a run, got anew where it ended, and the counts of what was answered."""

    def __init__(self, told: dict[str, Any]) -> None:
        """Take the URL, the form that gets a token, and where to write the counts."""
        self._url: str = told["url"]
        self._form: dict[str, str] | None = told["form"]
        self._counts = Path(told["counts"])
        self.user_id: int | None = told["user_id"]
        self.client_id: str = (self._form or {}).get("client_id", "")
        self.password: str = (self._form or {}).get("password", "")
        self._lock = threading.Lock()
        self._counted = Counter[str]()
        self.token = self._log_in()
        atexit.register(self._write)

    def _log_in(self) -> str:
        if self._form is None:
            return ""
        answer = requests.post(f"{self._url}/auth/oauth2/token", data=self._form, timeout=60)
        return str(answer.json().get("access_token", ""))

    def count(self, case: Case[Any], response: Response) -> None:
        """Count an answer, and replace the token where it ended."""
        with self._lock:
            self._counted["requests"] += 1
            self._counted[f"{response.status_code // 100}xx"] += 1
            sent = response.request.headers.get("Authorization")
            if not self.token or sent != f"Bearer {self.token}" or response.status_code != 401:
                return
            ended = 'error="invalid_token"' in response.headers.get("www-authenticate", [""])[0]
            if ended:
                self._counted["answered 401 because the token ended"] += 1
                self.token = self._log_in()

    def _write(self) -> None:
        self._counts.write_text(json.dumps(self._counted))


login = Login(json.loads(os.environ[VARIABLE])) if VARIABLE in os.environ else None

if login is not None and login.token:

    @schemathesis.auth(refresh_interval=None)
    class Bearer:
        """The token as schemathesis sees it."""

        def get(self, _case: Case[Any], context: AuthContext) -> str | None:
            """Return the token, where there is a use for one."""
            security = context.operation.definition.raw.get("security", [])
            is_wanted = any("oauth2" in scheme for scheme in security)
            return login.token if login and is_wanted else None

        def set(self, case: Case[Any], token: str, _context: AuthContext) -> None:
            """Send it."""
            case.headers["Authorization"] = f"Bearer {token}"


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _options: dict[str, Any]) -> None:
    """Have a request meet what is there, but not end the run."""
    meet_what_is_there(case, login.password if login else "")
    if login is None or case.method != "DELETE":
        return
    given = case.path_parameters or {}
    is_user = case.path.endswith("/users/{user_id}") and "team_id" not in given
    if is_user and str(given.get("user_id")) == str(login.user_id):
        case.path_parameters["user_id"] = _NOBODY
    if given.get("client_id") == login.client_id:
        case.path_parameters["client_id"] = "of-somebody-else"


@schemathesis.hook
def filter_failure(
    _context: HookContext, failure: Failure, case: Case[Any], _response: Response
) -> bool:
    """Drop the failures that no schema can avoid, and those of texts that are right after all.

    Members of a patch that mean nothing may be called anything, but no body holds a NUL. A text
    that was made up without a format of the definition's own may have that format by chance.
    """
    if isinstance(failure, RejectedPositiveData):
        return "\\u0000" not in json.dumps(case.body, default=str) and not has_odd_tag(case)
    if isinstance(failure, AcceptedNegativeData):
        found = _MISSES_A_FORMAT.search(failure.message)
        text = case.body.get(found[1]) if found and isinstance(case.body, dict) else None
        return not (isinstance(text, str) and all(FORMATS[name](text) for name in OWN_FORMATS))
    return True


@schemathesis.hook
def after_call(_context: HookContext, case: Case[Any], response: Response) -> None:
    """Count what is answered."""
    if login is not None:
        login.count(case, response)
