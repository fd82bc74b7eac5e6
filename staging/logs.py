"""The server's log: one line an event on stderr, and no secret in any of them."""

from __future__ import annotations

import logging
import re
import sys

# name=value, "name": "value" and 'name': 'value', as queries, JSON and Python's repr write them.
_SECRET = re.compile(
    r"""(?i)\b(token|access_token|bindtoken|bind_token|secret|x-iot-token|x-iot-signature)
    (["']?\s*[=:]\s*b?["']?)([^\s"'&,;}\)]+)""",
    re.VERBOSE,
)
_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class SecretFormatter(logging.Formatter):
    """Hides the values of secrets in the final text, traceback included, whoever wrote it."""

    def format(self, record: logging.LogRecord) -> str:
        """Render a record as one clean text."""
        return hide_secrets(super().format(record))


def hide_secrets(text: str) -> str:
    """Return ``text`` with the values of everything that is named like a secret hidden."""
    return _SECRET.sub(r"\1\2***", text)


def set_up(level: int = logging.INFO) -> None:
    """Send the process's log to stderr, filtered; libraries only warn."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(SecretFormatter(_FORMAT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("coap", "uvicorn", "httpx", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
