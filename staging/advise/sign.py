"""Signing a report with the key of the cloud's own certificate, and checking who signed one.

What is signed is the report as JSON without its member ``signature``, keys sorted, no blanks, UTF-8. The signature has the
certificate, which must chain to the cloud's CA.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from staging.errors import StagingError
from staging.identity.ca import Certificates, locate

RSA, ECDSA = "RSASSA-PSS-SHA256", "ECDSA-SHA256"
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)


def signed_bytes(report: Mapping[str, Any]) -> bytes:
    """Return what the signature of a report is of."""
    rest = {name: value for name, value in report.items() if name != "signature"}
    return json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sign(report: Mapping[str, Any], certificates: Certificates) -> dict[str, str]:
    """Return the member ``signature`` of a report; raises StagingError."""
    try:
        key = load_pem_private_key(certificates.server_key.read_bytes(), password=None)
        shown = x509.load_pem_x509_certificate(certificates.server.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise StagingError(f"{certificates.server_key}: {error}") from error
    data = signed_bytes(report)
    if isinstance(key, rsa.RSAPrivateKey):
        kind, value = RSA, key.sign(data, _PSS, hashes.SHA256())
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        kind, value = ECDSA, key.sign(data, ec.ECDSA(hashes.SHA256()))
    else:
        raise StagingError(f"{certificates.server_key}: expected an RSA or EC key")
    pem = shown.public_bytes(Encoding.PEM).decode("ascii")
    return {"kind": kind, "value": base64.b64encode(value).decode("ascii"), "certificate": pem}


def verify(report: Mapping[str, Any], authority: bytes) -> str:
    """Return who signed a report (the certificate's subject); raises StagingError that says what is wrong."""
    found = report.get("signature")
    if not isinstance(found, dict):
        raise StagingError("signature: missing: the report is not signed")
    try:
        shown = x509.load_pem_x509_certificate(str(found.get("certificate")).encode())
        value = base64.b64decode(str(found.get("value")), validate=True)
        root = x509.load_pem_x509_certificate(authority)
    except (ValueError, binascii.Error) as error:
        raise StagingError(f"signature: cannot be read: {error}") from error
    try:
        shown.verify_directly_issued_by(root)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise StagingError(
            "signature: made with a certificate that this CA has not signed"
        ) from error
    _check_date(report, shown)
    if not _matches(shown, str(found.get("kind")), value, signed_bytes(report)):
        raise StagingError("signature: does not match: the report was changed after it was signed")
    return shown.subject.rfc4514_string()


def _check_date(report: Mapping[str, Any], shown: x509.Certificate) -> None:
    made = report.get("startedMs")
    if not isinstance(made, int):
        raise StagingError("startedMs: missing, expected a time in milliseconds")
    at = datetime.fromtimestamp(made / 1000, UTC)
    if not shown.not_valid_before_utc <= at <= shown.not_valid_after_utc:
        raise StagingError("signature: its certificate was not valid when the report was made")


def _matches(shown: x509.Certificate, kind: str, value: bytes, data: bytes) -> bool:
    key = shown.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey) and kind == RSA:
            key.verify(value, data, _PSS, hashes.SHA256())
        elif isinstance(key, ec.EllipticCurvePublicKey) and kind == ECDSA:
            key.verify(value, data, ec.ECDSA(hashes.SHA256()))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def judged(report: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Return ``signedBy`` for a cloud whose certificates are in ``folder``, or ``unsigned`` with the reason."""
    try:
        return {"signedBy": verify(report, locate(folder).ca.read_bytes()), "unsigned": ""}
    except StagingError as error:
        return {"signedBy": "", "unsigned": str(error)}
    except OSError as error:
        return {"signedBy": "", "unsigned": f"signature: cannot be read: ca.crt: {error.strerror}"}
