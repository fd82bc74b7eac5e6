"""Logging: one line a record on stderr, for journald; secrets are cut out before they are written."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable
from urllib.parse import quote

# Under systemd the journal has the time already.
PLAIN = "%(levelname)s %(name)s: %(message)s"
_TIMED = "%(asctime)s " + PLAIN
REDACTED = "[secret]"


class Redactor:
    """Cuts secrets out of texts, however they are spelled there."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Know every text of ``secrets`` plain, in JSON, in a URL and as Python shows it."""
        spelled = {
            text
            for secret in secrets
            if secret
            for text in (
                secret,
                json.dumps(secret)[1:-1],
                json.dumps(secret, ensure_ascii=False)[1:-1],
                quote(secret, safe=""),
                repr(secret)[1:-1],
            )
        }
        # The longest first: one secret may begin with another.
        self._spelled = sorted(spelled, key=len, reverse=True)

    def cut(self, text: str) -> str:
        """Return ``text`` without the secrets."""
        for secret in self._spelled:
            text = text.replace(secret, REDACTED)
        return text


class RedactingFormatter(logging.Formatter):
    """Formats a record, its traceback included, without the secrets given."""

    def __init__(self, layout: str, secrets: Iterable[str] = ()) -> None:
        """Cut every text of ``secrets`` out of what is formatted."""
        super().__init__(layout)
        self._redactor = Redactor(secrets)

    def format(self, record: logging.LogRecord) -> str:
        """Format, then cut."""
        return self._redactor.cut(super().format(record))


def set_up_logging(secrets: Iterable[str] = (), *, verbose: bool = False) -> None:
    """Send everything to stderr; ``verbose`` adds our own debug lines."""
    handler = logging.StreamHandler(sys.stderr)
    layout = PLAIN if "JOURNAL_STREAM" in os.environ else _TIMED
    handler.setFormatter(RedactingFormatter(layout, secrets))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for ours in ("agent", "ota", "resources", "transport"):
        logging.getLogger(ours).setLevel(logging.DEBUG if verbose else logging.INFO)
    # aiocoap tells each message at INFO and less.
    logging.getLogger("coap").setLevel(logging.ERROR)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
