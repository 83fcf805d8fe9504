"""Logs: one JSON object a line, or text, in one form for all that a server logs.

What other libraries would write of secrets is kept out.
"""

import atexit
import logging
import re
import sys
import threading
from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from asgi_correlation_id import correlation_id

from roster.observability.access import as_json, as_text
from roster.observability.sink import Sink
from roster.settings import Settings

# These print whole requests, tokens and passwords included, at the levels below.
_TALKATIVE = {
    "oauthlib": logging.WARNING,
    "connexion": logging.ERROR,
    "httpcore2": logging.WARNING,
    "httpx2": logging.WARNING,
    "psycopg": logging.WARNING,
    "urllib3": logging.WARNING,
    "uvicorn.asgi": logging.INFO,
    "asgi_correlation_id": logging.ERROR,
}
# These write lines at each probe of readiness, unless somebody asks for them.
_QUIET = {"alembic": logging.WARNING}
_ACCESS = "roster.access"
# How much of a message, and of a stack trace, is kept: of the latter its end.
_MAX_MESSAGE = 8192
_MAX_TRACE = 16_384
# How long the end of the process waits for the reader of the log.
_PATIENCE = 1.0
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


class _WithoutQuery(logging.Filter):
    """Cut the query off the lines of uvicorn's access log: it may hold a password."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple) and len(record.args) == 5:
            client, method, target, version, status = record.args
            record.args = (client, method, str(target).partition("?")[0], version, status)
        return True


class _ToSink(logging.Handler):
    """Hand what is logged to the sink; a log call that is wrong is dropped and counted."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink

    def createLock(self) -> None:  # noqa: N802 (its name in the base class)
        """Do without a lock: the sink needs none."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Format a record, in the thread that knows the request, and have it written."""
        try:
            self._sink.write(self.format(record).encode("utf-8", "backslashreplace") + b"\n")
        except Exception:  # noqa: BLE001 (no log line may end what wanted to log it)
            self._sink.drop()


_sinks: list[Sink] = []
_access: list[Sink] = []


def keep_secrets() -> None:
    """Silence or trim the loggers of other libraries that would write secrets down."""
    for name, level in _TALKATIVE.items():
        logger = logging.getLogger(name)
        logger.setLevel(max(level, logger.level))
    access = logging.getLogger("uvicorn.access")
    if not any(isinstance(each, _WithoutQuery) for each in access.filters):
        access.addFilter(_WithoutQuery())


def configure(settings: Settings) -> None:
    """Take over the logging of this process, once, as the settings say.

    All lines go to standard error, by a thread: no request waits for who reads them, and neither
    does the end of the process for longer than a second. Where a program has no standard error,
    nothing is logged.
    """
    keep_secrets()
    if settings.log_format == "none" or _sinks:
        return
    file = _standard_error()
    sink = Sink(file, as_json if settings.logs_json else as_text)
    _sinks.append(sink)
    was_off = _is_off(logging.getLogger("uvicorn.access"))
    handler = _ToSink(sink)
    handler.setFormatter(_json() if settings.logs_json else _text())
    _take_over(handler, settings.log_levels)
    if (
        settings.access_log == "on"
        and not was_off
        and logging.getLogger(_ACCESS).isEnabledFor(logging.INFO)
    ):
        _access.append(sink)
    atexit.register(end)


def access_log() -> Sink | None:
    """Return where the lines of the access log go; None where there is to be none."""
    return _access[0] if _access else None


def dropped() -> int:
    """Return how many lines could not be written."""
    return sum(each.dropped for each in _sinks)


def end() -> None:
    """Write what is waiting, in a second at most: the process is about to end."""
    for sink in _sinks:
        sink.end(_PATIENCE)


def for_uvicorn(settings: Settings) -> dict[str, Any]:
    """Return the options with which uvicorn leaves the logging as `configure` made it."""
    if settings.log_format == "none":
        return {"access_log": settings.access_log == "on"}
    return {"log_config": None}


def _standard_error() -> int:
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):  # closed, or taken by something without a file
        return -1  # to which nothing can be written, which is counted


def _is_off(access: logging.Logger) -> bool:
    """Tell whether `--no-access-log`, or a higher level, was said to uvicorn's command."""
    return access.level > logging.INFO or not (access.handlers or access.propagate)


def _take_over(handler: logging.Handler, levels: Mapping[str, int]) -> None:
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(levels[""])
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], name != "uvicorn.access"
        logger.setLevel(max(logger.level, levels[""]))
    for name, level in {**_QUIET, **levels}.items():
        if name:
            logging.getLogger(name).setLevel(max(level, _least(name)))
    logging.captureWarnings(True)
    threading.excepthook = _log_end_of_thread


def _least(name: str) -> int:
    """Return the lowest level that a logger may have."""
    above = [level for each, level in _TALKATIVE.items() if f"{name}.".startswith(f"{each}.")]
    return max(above, default=logging.NOTSET)


def _log_end_of_thread(ended: Any) -> None:
    failure = (ended.exc_type, ended.exc_value, ended.exc_traceback)
    logging.getLogger("roster").critical("A thread ended by an error.", exc_info=failure)


def _json() -> logging.Formatter:
    return _formatter(
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _bounded,
        _of_request,
        structlog.processors.EventRenamer("message"),
        structlog.processors.JSONRenderer(serializer=_serialized),
    )


def _text() -> logging.Formatter:
    return _formatter(
        structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False),
        _bounded,
        _of_request,
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # What else may be installed would show the values of variables.
            exception_formatter=structlog.dev.plain_traceback,
            pad_event_to=0,
        ),
    )


def _formatter(timestamp: Any, *processors: Any) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            timestamp,
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *processors],
    )


def _bounded(_logger: Any, _name: str, line: Any) -> Any:
    line["event"] = _ANSI.sub("", str(line["event"]))[:_MAX_MESSAGE]
    if isinstance(line.get("exception"), str):
        line["exception"] = line["exception"][-_MAX_TRACE:]
    return line


def _of_request(_logger: Any, _name: str, line: Any) -> Any:
    request_id = correlation_id.get()
    if request_id:
        line["request_id"] = request_id
    return line


def _serialized(line: Any, **_: Any) -> str:
    text: str = orjson.dumps(line, default=str).decode()
    return text
