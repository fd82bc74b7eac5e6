"""Logging to the journal or stderr, one record per line, with secrets redacted."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterable
from urllib.parse import quote

from base.log_limit import LogLimit
from base.log_text import LineFormatter

JOURNAL = "%(name)s: %(message)s"
PLAIN = "%(levelname)s %(name)s: %(message)s"
_TIMED = "%(asctime)s " + PLAIN
REDACTED = "[secret]"


class Redactor:
    """Replaces secrets in texts, in all usual encodings."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Redact ``secrets`` in plain, JSON, URL-encoded and `repr` form."""
        self._spelled: list[str] = []
        self.add(secrets)

    def add(self, secrets: Iterable[str]) -> None:
        """Redact these too."""
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
        # Longest first, because one secret may start with another.
        self._spelled = sorted({*self._spelled, *spelled}, key=len, reverse=True)

    def redact(self, text: str) -> str:
        """Return ``text`` with the secrets replaced."""
        for secret in self._spelled:
            text = text.replace(secret, REDACTED)
        return text


class RedactingFormatter(LineFormatter):
    """Formats a record, including its traceback, with secrets redacted."""

    def __init__(self, layout: str, secrets: Iterable[str] = ()) -> None:
        """Format as ``layout`` and redact ``secrets``."""
        super().__init__(layout)
        self.redactor = Redactor(secrets)

    def hide(self, text: str) -> str:
        """Return ``text`` with the secrets redacted."""
        return self.redactor.redact(text)


def add_secret(secret: str) -> None:
    """Keep a secret that the agent has just learned out of the log, from now on."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, RedactingFormatter):
            handler.formatter.redactor.add([secret])


def _handler() -> tuple[logging.Handler, str]:
    """Return what writes the log, and the layout of its lines: the journal adds time and priority itself."""
    if "JOURNAL_STREAM" in os.environ:
        from agent.journal import is_journal, journal_handler  # noqa: PLC0415  # under systemd only

        if is_journal(os.environ):
            return journal_handler(), JOURNAL
    return logging.StreamHandler(sys.stderr), _TIMED


def set_up_logging(secrets: Iterable[str] = (), *, verbose: bool = False) -> None:
    """Log to the journal or stderr without ``secrets``; ``verbose`` adds the debug lines of our packages."""
    handler, layout = _handler()
    handler.setFormatter(RedactingFormatter(layout, secrets))
    handler.addFilter(LogLimit())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for ours in ("agent", "ota", "resources", "transport"):
        logging.getLogger(ours).setLevel(logging.DEBUG if verbose else logging.INFO)
    # aiocoap logs every message at INFO or DEBUG.
    logging.getLogger("coap").setLevel(logging.ERROR)
