"""Logging: one line a record on stderr, for journald; secrets are cut out before they are written."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable

# Under systemd the journal has the time already.
_PLAIN = "%(levelname)s %(name)s: %(message)s"
_TIMED = "%(asctime)s " + _PLAIN
REDACTED = "[secret]"


class RedactingFormatter(logging.Formatter):
    """Formats a record, its traceback included, without the secrets given."""

    def __init__(self, layout: str, secrets: Iterable[str] = ()) -> None:
        """Cut every text of ``secrets`` out of what is formatted."""
        super().__init__(layout)
        self.secrets = [secret for secret in secrets if secret]

    def format(self, record: logging.LogRecord) -> str:
        """Format, then cut."""
        text = super().format(record)
        for secret in self.secrets:
            text = text.replace(secret, REDACTED)
        return text


def set_up_logging(secrets: Iterable[str] = (), *, verbose: bool = False) -> None:
    """Send everything to stderr; ``verbose`` adds our own debug lines."""
    handler = logging.StreamHandler(sys.stderr)
    layout = _PLAIN if "JOURNAL_STREAM" in os.environ else _TIMED
    handler.setFormatter(RedactingFormatter(layout, secrets))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for ours in ("agent", "ota", "resources", "transport"):
        logging.getLogger(ours).setLevel(logging.DEBUG if verbose else logging.INFO)
    # aiocoap tells each message at INFO and less.
    logging.getLogger("coap").setLevel(logging.ERROR)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
