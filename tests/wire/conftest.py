"""The documents' own examples, a factory profile, and inputs that break parsers."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, settings

# The bench machine is shared and slow at times, which is no fault of the code under test.
settings.register_profile(
    "shared machine", deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.load_profile("shared machine")

HERE = Path(__file__).parent


def make_certificate(*, ca: bool) -> str:
    """Make a self-signed certificate in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench CA")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="session")
def ca_pem() -> str:
    return make_certificate(ca=True)


@pytest.fixture(scope="session")
def leaf_pem() -> str:
    return make_certificate(ca=False)


@pytest.fixture
def profile_source(ca_pem: str) -> dict[str, Any]:
    """A factory profile as a dictionary, every key of the document's table."""
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
