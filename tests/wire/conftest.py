"""The documents' own examples, a factory profile, and inputs that break parsers."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from tests.authority import Authority

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def ca_pem() -> str:
    """Return an expired CA: reading a profile does not check the time."""
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    return Authority((start, start + dt.timedelta(days=1))).pem


@pytest.fixture(scope="session")
def leaf_pem() -> str:
    return Authority().leaf().cert_chain_pems[0].bytes().decode()


@pytest.fixture
def profile_source(ca_pem: str) -> dict[str, Any]:
    """A factory profile as a dictionary, with every key of the document's table."""
    return {
        "uuid": "0083000000000a",
        "token": "device-token-that-is-secret",
        "bindToken": "6dd5790b2163a0132e6c65c6dd6f9ef2",
        "serverAddr": "cloud.example",
        "coapPort": 443,
        "lwm2mPort": 5683,
        "rsaCaCrt": ca_pem,
        "configures": '{"volume":3}',
        "macId": "",
        "version": 1,
    }


@pytest.fixture(scope="session")
def document_segments() -> dict[str, Any]:
    """The voice values of the open API document's section 4.2."""
    loaded: dict[str, Any] = json.loads((HERE / "document_segments.json").read_text())
    return loaded


@pytest.fixture(scope="session")
def document_description() -> dict[str, Any]:
    """The self-description of the open API document's section 3.1."""
    loaded: dict[str, Any] = json.loads((HERE / "document_description.json").read_text())
    return loaded
