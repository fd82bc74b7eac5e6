"""Keys on PKCS#11 tokens, which never leave them; the extra ``story-cloud[hsm]``."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from release.errors import ReleaseToolError
from release.passphrase import ask_on_terminal
from release.tuf_types import HSMSigner, Key, Signer, SSlibKey

PIN_ENV = "STORY_RELEASE_PIN"


def find_token_key(label: str, key_id: int) -> tuple[Key, bytes]:
    """Return the public key ``key_id`` of the token ``label``, and the file that refers to it.

    Raises:
        ReleaseToolError: there is no such token or key, or no PKCS#11 library.
    """
    try:
        uri, key = HSMSigner.import_(key_id, label)
    except Exception as error:  # PKCS#11 libraries raise arbitrary exceptions
        raise ReleaseToolError(f"token {label}: {error or type(error).__name__}") from error
    record = {"uri": uri, "keyid": key.keyid, "key": key.to_dict()}
    return key, json.dumps(record, indent=1).encode()


def open_token_key(path: Path) -> Signer:
    """Return the signer that a file of `find_token_key` describes; raises ReleaseToolError."""
    try:
        record: dict[str, Any] = json.loads(path.read_bytes())
        key = SSlibKey.from_dict(record["keyid"], record["key"])
        uri = record["uri"]
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ReleaseToolError(f"{path}: not what `key new --token` writes") from error
    try:
        return HSMSigner.from_priv_key_uri(uri, key, _pin)
    except Exception as error:  # PKCS#11 libraries raise arbitrary exceptions
        raise ReleaseToolError(f"{path}: {error or type(error).__name__}") from error


def _pin(_what: str) -> str:
    ask = ask_on_terminal()
    pin = os.environ.get(PIN_ENV) or (ask("PIN of the token: ") if ask else "")
    if not pin:
        raise ReleaseToolError(f"the token needs a PIN; give {PIN_ENV}")
    return pin
