"""Logs: what other libraries would write of secrets is kept out of them."""

import logging

# These print whole requests, tokens and passwords included, at the levels below.
_TALKATIVE = {
    "oauthlib": logging.WARNING,
    "connexion": logging.ERROR,
    "httpx2": logging.WARNING,
    "asgi_correlation_id": logging.ERROR,
}


class _WithoutQuery(logging.Filter):
    """Cut the query off the lines of uvicorn's access log: it may hold a password."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, target, version, status = record.args
            record.args = (client, method, str(target).partition("?")[0], version, status)
        return True


def keep_secrets() -> None:
    """Silence or trim the loggers of other libraries that would write secrets down."""
    for name, level in _TALKATIVE.items():
        logging.getLogger(name).setLevel(level)
    access = logging.getLogger("uvicorn.access")
    if not any(isinstance(each, _WithoutQuery) for each in access.filters):
        access.addFilter(_WithoutQuery())
