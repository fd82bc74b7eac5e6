"""TLS of the API: what the options choose, and what is told of files that cannot be used."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse

from staging.errors import StagingError
from staging.identity import ca
from staging.web_tls import (
    HSTS,
    Secured,
    WebTls,
    choose,
    is_loopback,
    load,
    make_context,
    packages_url,
)

CERT, KEY = Path("c.pem"), Path("k.pem")


@pytest.mark.parametrize(
    ("host", "options", "chosen"),
    [
        ("127.0.0.1", {}, None), ("::1", {}, None), ("localhost", {}, None), ("127.0.0.1", {"own": True}, WebTls()),
        ("0.0.0.0", {}, WebTls()), ("192.0.2.1", {}, WebTls()), ("::", {}, WebTls()), ("cloud.example", {}, WebTls()),
        ("0.0.0.0", {"plain": True}, None), ("127.0.0.1", {"plain": True}, None),
        ("127.0.0.1", {"certificate": CERT, "key": KEY}, WebTls(CERT, KEY)),
        ("0.0.0.0", {"certificate": CERT}, WebTls(CERT, CERT)),
    ],
)  # fmt: skip
def test_plain_http_is_for_loopback_unless_somebody_says_so(
    host: str, options: dict[str, object], chosen: WebTls | None
) -> None:
    words = {"certificate": None, "key": None, "own": False, "plain": False} | options
    assert choose(host, **words) == chosen  # type: ignore[arg-type]  # as the table has them


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"key": KEY}, "--tls-key"), ({"plain": True, "own": True}, "--plain-http"),
        ({"plain": True, "certificate": CERT}, "--plain-http"), ({"own": True, "certificate": CERT}, "--tls"),
    ],
)  # fmt: skip
def test_options_that_contradict_each_other_are_named(
    options: dict[str, object], named: str
) -> None:
    words = {"certificate": None, "key": None, "own": False, "plain": False} | options
    with pytest.raises(StagingError, match=f"^{named}: expected"):
        choose("0.0.0.0", **words)  # type: ignore[arg-type]  # as the table has them


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("10.0.0.1", False), ("x.local", False)],
)  # fmt: skip
def test_loopback(host: str, *, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_devices_fetch_signed_files_without_our_ca() -> None:
    assert packages_url("https://c:1", WebTls()) == "http://c:1"
    assert packages_url("https://c:1", WebTls(CERT, KEY)) == "https://c:1"
    assert packages_url("http://c:1", None) == "http://c:1"


def test_files_that_cannot_be_used_are_named_and_the_old_ones_stay(
    certificates: ca.Certificates, tmp_path: Path
) -> None:
    good = WebTls(certificates.server, certificates.server_key)
    context = make_context(good, certificates)
    other = ca.ensure(tmp_path / "other", ("127.0.0.1",))
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("no certificate")
    for bad, said in (
        (
            WebTls(tmp_path / "none.pem", certificates.server_key),
            "--tls-cert .*none.pem: No such file",
        ),
        (WebTls(certificates.server, tmp_path / "none.pem"), "--tls-key .*none.pem: No such file"),
        (
            WebTls(Path("/dev/null"), certificates.server_key),
            "--tls-cert /dev/null: no regular file",
        ),
        (WebTls(certificates.server, tmp_path), "--tls-key .*: no regular file"),
        (WebTls(certificates.server, other.server_key), "--tls-cert .*KEY_VALUES_MISMATCH"),
        (WebTls(nonsense, nonsense), "--tls-cert .*nonsense.pem: .*expected a certificate in PEM"),
    ):
        with pytest.raises(StagingError, match=said):
            load(context, bad, certificates)
    assert context.cert_store_stats() == {"x509": 0, "crl": 0, "x509_ca": 0}
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_key_that_others_can_read_is_told(
    certificates: ca.Certificates, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(certificates.server_key.read_bytes())
    key.chmod(0o644)
    make_context(WebTls(certificates.server, key), certificates)
    assert f"--tls-key {key}: others can read it" in caplog.text


@pytest.mark.parametrize(
    ("method", "url", "status"),
    [
        ("GET", "https://cloud/docs", 200), ("POST", "https://cloud/v1/device/bind", 200),
        ("GET", "http://cloud/tuf/metadata/1.root.json", 200), ("GET", "http://cloud/console/", 308),
        ("GET", "http://cloud/v1/account/validate", 403), ("POST", "http://cloud/v1/device/bind", 403),
        ("POST", "http://cloud/console/api/session", 403), ("GET", "http://cloud/tuf", 308),
    ],
)  # fmt: skip
async def test_a_port_with_tls_serves_signed_files_alone_by_plain_http(
    method: str, url: str, status: int
) -> None:
    app = Secured(PlainTextResponse("x"), only=True)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
        answer = await client.request(method, url)
    assert answer.status_code == status
    assert answer.headers.get("strict-transport-security") == (HSTS if url[4] == "s" else None)
    if status == 308:
        assert answer.headers["location"] == url.replace("http:", "https:")
