"""The server's log: one line per event on stderr, with secrets hidden."""

from __future__ import annotations

import logging
import re
import sys

from base.log_limit import LogLimit
from base.log_text import LineFormatter

# name=value, "name": "value" and 'name': 'value', as queries, JSON and Python's repr write them.
_SECRET = re.compile(
    r"""(?i)\b(token|access_token|bindtoken|bind_token|secret|x-iot-token|x-iot-signature)
    (["']?\s*[=:]\s*b?["']?)([^\s"'&,;}\)]+)""",
    re.VERBOSE,
)
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class SecretFormatter(LineFormatter):
    """Hides the values of secrets, tracebacks included, of every logger."""

    def hide(self, text: str) -> str:
        """Return ``text`` with its secrets hidden."""
        return hide_secrets(text)


def hide_secrets(text: str) -> str:
    """Return ``text`` with the value of every name in `_SECRET` hidden."""
    return _SECRET.sub(r"\1\2***", text)


def set_up(level: int = logging.INFO) -> None:
    """Log to stderr, secrets hidden, repetitions limited; libraries log from level WARNING."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SecretFormatter(_FORMAT))
    handler.addFilter(LogLimit())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("coap", "uvicorn", "httpx", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # What ends a statement of its ends the transaction too, and is told by the store.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
