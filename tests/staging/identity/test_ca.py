from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509

from staging.errors import StagingError
from staging.gateway import tls
from staging.identity import ca

NOW = datetime.now(UTC)


@pytest.fixture(autouse=True)
def _small_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    # For speed: these tests do not depend on the key length; the first one below uses the real one.
    monkeypatch.setattr(ca, "CA_KEY_BITS", 2048)


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_real_key_lengths(certificates: ca.Certificates) -> None:
    assert load(certificates.ca).public_key().key_size == 3072  # type: ignore[union-attr]
    assert load(certificates.server).public_key().key_size == 2048  # type: ignore[union-attr]


def test_keys_are_closed_to_others(certificates: ca.Certificates) -> None:
    for key in (certificates.server_key, certificates.ca.with_name("ca.key")):
        assert key.stat().st_mode & 0o777 == 0o600


def test_nothing_changes_while_it_is_good(tmp_path: Path) -> None:
    first = ca.ensure(tmp_path / "ca", ("10.0.0.1",), NOW)
    before = {path.name: path.read_bytes() for path in first.ca.parent.iterdir()}
    ca.ensure(tmp_path / "ca", ("10.0.0.1",), NOW + timedelta(days=300))
    assert {path.name: path.read_bytes() for path in first.ca.parent.iterdir()} == before


@pytest.mark.parametrize(
    ("hosts", "later"),
    [(("10.0.0.2",), timedelta()), (("10.0.0.1",), ca.SERVER_LIFETIME - ca.RENEW_BEFORE)],
)
def test_server_certificate_is_renewed_and_the_ca_stays(
    tmp_path: Path, hosts: tuple[str, ...], later: timedelta
) -> None:
    paths = ca.ensure(tmp_path / "ca", ("10.0.0.1",), NOW)
    authority, server = paths.ca.read_bytes(), paths.server.read_bytes()
    ca.ensure(tmp_path / "ca", hosts, NOW + later)
    assert paths.ca.read_bytes() == authority
    assert paths.server.read_bytes() != server


def test_names(tmp_path: Path) -> None:
    paths = ca.ensure(tmp_path / "ca", ("cloud.example", "10.0.0.1"), NOW)
    san = load(paths.server).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert san.get_values_for_type(x509.DNSName) == ["localhost", "cloud.example"]
    assert [str(ip) for ip in san.get_values_for_type(x509.IPAddress)] == [
        "127.0.0.1",
        "::1",
        "10.0.0.1",
    ]


def test_a_pair_that_does_not_fit_is_made_again(tmp_path: Path) -> None:
    paths = ca.ensure(tmp_path / "ca", (), NOW)
    paths.server_key.write_bytes(paths.ca.with_name("ca.key").read_bytes())
    ca.ensure(tmp_path / "ca", (), NOW)
    tls.server_context(paths, legacy=False)


@pytest.mark.parametrize("name", ["ca.crt", "ca.key"])
def test_a_broken_ca_is_named_and_not_replaced(tmp_path: Path, name: str) -> None:
    paths = ca.ensure(tmp_path / "ca", (), NOW)
    broken = paths.ca.with_name(name)
    broken.write_bytes(b"broken")
    with pytest.raises(StagingError, match="certificates cannot be used"):
        ca.ensure(tmp_path / "ca", (), NOW)
    assert broken.read_bytes() == b"broken"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "cloud.example"])
async def test_a_client_that_checks_everything_accepts_it(tmp_path: Path, host: str) -> None:
    paths = ca.ensure(tmp_path / "ca", ("cloud.example",), NOW)

    async def close(_reader: Any, writer: asyncio.StreamWriter) -> None:
        writer.close()

    context = tls.server_context(paths, legacy=False)
    server = await asyncio.start_server(close, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    client = ssl.create_default_context(cafile=str(paths.ca))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=host)
    assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
    writer.close()
    await writer.wait_closed()
    server.close()
    await server.wait_closed()


def test_modern_suites_have_forward_secrecy(certificates: ca.Certificates) -> None:
    context = tls.server_context(certificates, legacy=False)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    for cipher in context.get_ciphers():
        assert cipher["aead"]
        assert cipher["protocol"] == "TLSv1.3" or cipher["name"].startswith("ECDHE-")


def own(tmp_path: Path, *names: str) -> tuple[Path, trustme.CA]:
    """Put an operator's CA and certificate into the folder."""
    folder, authority = tmp_path / "ca", trustme.CA()
    folder.mkdir(exist_ok=True)
    made = authority.issue_cert(*names, common_name="cloud.example")
    authority.cert_pem.write_to_path(str(folder / "ca.crt"))
    (folder / "server.crt").write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    made.private_key_pem.write_to_path(str(folder / "server.key"))
    return folder, authority


def test_an_operators_own_certificate_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder, _ = own(tmp_path, "cloud.example", "*.stories.example")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for host in ("cloud.example", "a.stories.example", "10.0.0.1", "b.a.stories.example"):
        paths = ca.ensure(folder, (host, "127.0.0.1"))
        tls.server_context(paths, legacy=False)
        after = {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix}
        assert after == before
    assert [record.getMessage().partition(", and ")[2] for record in caplog.records] == [
        "does not name 10.0.0.1", "does not name b.a.stories.example",
    ]  # fmt: skip
    assert ca.ensure_authority(folder) == before["ca.crt"].decode()


def test_an_operators_files_that_do_not_fit_are_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = own(tmp_path, "cloud.example")
    monkeypatch.setattr(ca, "RENEW_BEFORE", timedelta(days=10**6))
    ca.ensure(folder, ())
    assert "is valid until" in caplog.text
    trustme.CA().cert_pem.write_to_path(str(folder / "ca.crt"))
    ca.ensure(folder, ())
    assert "not signed by" in caplog.text
    trustme.CA().issue_cert("x").private_key_pem.write_to_path(str(folder / "server.key"))
    with pytest.raises(StagingError, match="not the key of"):
        ca.ensure(folder, ())
    own(tmp_path, "cloud.example")
    (folder / "ca.crt").unlink()
    with pytest.raises(StagingError, match="put the CA there that has signed"):
        ca.ensure(folder, ())


def test_several_names_are_in_the_certificate_and_another_set_keeps_the_ca(tmp_path: Path) -> None:
    paths = ca.ensure(tmp_path / "ca", ("cloud.example", "10.0.0.1", "2001:db8::1"), NOW)
    authority, server = paths.ca.read_bytes(), paths.server.read_bytes()
    ca.ensure(tmp_path / "ca", ("10.0.0.1", "2001:db8::1", "cloud.example"), NOW)
    assert paths.server.read_bytes() == server
    ca.ensure(tmp_path / "ca", ("cloud.example",), NOW)
    assert paths.server.read_bytes() != server
    assert paths.ca.read_bytes() == authority


def test_what_is_from_a_time_that_has_not_come_is_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The clock was once nine years ahead: devices would refuse both certificates until then."""
    ahead = NOW + timedelta(days=9 * 365)
    first = ca.ensure(tmp_path / "ca", ("10.0.0.1",), ahead)
    authority, key = load(first.ca), (tmp_path / "ca" / "ca.key").read_bytes()
    ca.ensure(tmp_path / "ca", ("10.0.0.1",), NOW)
    for path in (first.ca, first.server):
        assert load(path).not_valid_before_utc <= NOW
    assert load(first.ca).public_key() == authority.public_key()
    assert (tmp_path / "ca" / "ca.key").read_bytes() == key
    load(first.server).verify_directly_issued_by(load(first.ca))
    assert "Profiles that were made meanwhile have it" in caplog.text
    before = first.ca.read_bytes()
    ca.ensure(tmp_path / "ca", ("10.0.0.1",), NOW + timedelta(hours=1))
    assert first.ca.read_bytes() == before


@pytest.mark.parametrize("years", [9, -9])
def test_a_clock_that_is_wrong_for_a_while_takes_no_device_off(tmp_path: Path, years: int) -> None:
    """The devices' clocks are right: what they are shown meanwhile is valid for them, too."""
    wrong = NOW + timedelta(days=years * 365)
    paths = ca.ensure(tmp_path / "ca", ("10.0.0.1",), NOW)
    trusted = load(paths.ca)
    for hours in (0, 7, 14):
        ca.ensure(tmp_path / "ca", ("10.0.0.1",), wrong + timedelta(hours=hours))
        for path in (paths.ca, paths.server):
            found = load(path)
            for moment in (NOW, wrong):
                assert found.not_valid_before_utc <= moment <= found.not_valid_after_utc
        load(paths.server).verify_directly_issued_by(trusted)
    later = NOW + timedelta(days=40)
    for _ in range(2):
        ca.ensure(tmp_path / "ca", ("10.0.0.1",), later)
        found = load(paths.server)
        assert found.not_valid_before_utc <= later
        assert timedelta(days=30) < found.not_valid_after_utc - later <= timedelta(days=397)
    assert load(paths.ca).public_key() == trusted.public_key()


def test_a_cloud_that_was_off_for_years_gets_one_of_the_usual_length(tmp_path: Path) -> None:
    paths = ca.ensure(tmp_path / "ca", ("10.0.0.1",), NOW)
    later = NOW + timedelta(days=3 * 365)
    ca.ensure(tmp_path / "ca", ("10.0.0.1",), later)
    assert load(paths.server).not_valid_after_utc == (later + timedelta(days=397)).replace(
        microsecond=0
    )
