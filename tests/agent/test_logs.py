"""What the agent writes to its log, and what is cut out of it."""

from __future__ import annotations

import io
import json
import logging
from urllib.parse import quote

import pytest

from agent.logs import REDACTED, RedactingFormatter, Redactor

SECRETS = ("tok", "token-4711", 'quo"te\\ü')


def logged(message: str, *arguments: object, error: Exception | None = None) -> str:
    """Return the output of the log's handler."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(RedactingFormatter("%(levelname)s %(name)s: %(message)s", SECRETS))
    logger = logging.getLogger("test")
    logger.addHandler(handler)
    logger.error(message, *arguments, exc_info=error)
    logger.removeHandler(handler)
    return out.getvalue()


def test_secrets_are_cut_out_of_message_arguments_and_traceback() -> None:
    try:
        raise ValueError("the server said token-4711")
    except ValueError as error:
        text = logged("token-4711 and %s and %r", "token-4711", ["token-4711"], error=error)
    assert "Traceback" in text
    assert "token-4711" not in text
    assert f"ERROR test: {REDACTED} and {REDACTED} and ['{REDACTED}']\n" in text
    assert text.endswith(f"ValueError: the server said {REDACTED}\n")


def test_a_secret_that_begins_another_leaves_nothing_of_it() -> None:
    assert logged("a token-4711 b tok c") == f"ERROR test: a {REDACTED} b {REDACTED} c\n"


@pytest.mark.parametrize("spell", [str, json.dumps, repr, lambda s: quote(s, safe=""),
                                   lambda s: json.dumps(s, ensure_ascii=False)])  # fmt: skip
def test_a_secret_is_found_however_it_is_spelled(spell: object) -> None:
    spelled = spell(SECRETS[2])  # type: ignore[operator]
    text = Redactor(SECRETS).redact(f"<{spelled}>")
    assert "quo" not in text
    assert REDACTED in text


def test_an_empty_secret_cuts_nothing() -> None:
    assert Redactor(["", "x"]).redact("a b") == "a b"
