"""The server as a process: its ports, its folder, its end.

Tests staging.api.http_server and staging.server too.
"""

from __future__ import annotations

import signal
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from staging.client import OpenApiClient, OpenApiError
from staging.commands import cli
from staging.data_dir import locked
from tests.staging.commands.conftest import Cloud, run


@pytest.mark.parametrize("option", ["--api-port", "--device-port"])
def test_taken_port(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"--api-port": "0", "--device-port": "0"} | {option: str(port)}
        words = [word for pair in ports.items() for word in pair]
        done = run("serve", "--data", str(tmp_path), *words, ok=False)
    assert done.stdout == ""
    assert f"{option} {port}: cannot listen on 127.0.0.1: Address already in use" in done.stderr


def test_second_server_on_the_same_folder(cloud: Cloud) -> None:
    ports = ("--api-port", "0", "--device-port", "0")
    done = run("serve", "--data", str(cloud.data), *ports, ok=False)
    assert "another story-cloud serves this folder already" in done.stderr


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_port_that_is_none(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(["serve", "--api-port", port])
    assert caught.value.code == 2
    assert f"got {port!r}, expected a port from 0 to 65535" in capsys.readouterr().err


def test_a_worker_on_another_store_than_the_servers_postgresql_is_refused(tmp_path: Path) -> None:
    done = run("worker", "--data", str(tmp_path), "--name", "w1", ok=False)
    assert done.stderr.startswith("story-cloud: --database: a worker needs the server's PostgreSQL")


def test_a_second_worker_of_one_name_is_refused(tmp_path: Path) -> None:
    words = ("worker", "--data", str(tmp_path), "--name", "w1", "--database", "postgresql://h/d")
    with locked(tmp_path / ".worker-w1.lock", "the first worker"):
        assert "another worker is named w1 already" in run(*words, ok=False).stderr
    assert "no story-cloud serve ran on it yet" in run(*words, ok=False).stderr


def write_pair(certificate: Path, key: Path, name: str) -> bytes:
    """Write a certificate that signs itself, and its key; return the certificate in DER."""
    secret = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(secret.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(secret, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    key.write_bytes(
        secret.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    certificate.write_bytes(made.public_bytes(pem))
    return made.public_bytes(serialization.Encoding.DER)


def served(api: str) -> bytes:
    host, _, port = api.removeprefix("https://").rpartition(":")
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((host, int(port)), timeout=20))


def test_the_certificate_is_read_again_on_sighup_and_a_bad_one_changes_nothing(
    tmp_path: Path,
) -> None:
    files = (tmp_path / "cert.pem", tmp_path / "key.pem")
    first = write_pair(*files, "first")
    words = ("--tls-cert", str(files[0]), "--tls-key", str(files[1]))
    cloud = Cloud(tmp_path / "data", *words)
    assert cloud.api.startswith("https://")
    assert served(cloud.api) == first
    assert cloud.process.stderr is not None
    for write, said in (
        (
            lambda: files[1].write_text("nothing"),
            "a certificate was not renewed, the one in use stays",
        ),
        (lambda: write_pair(*files, "second"), "the certificates were read again"),
    ):
        expected = write()
        cloud.process.send_signal(signal.SIGHUP)
        assert any(said in line for line in cloud.process.stderr)
        assert (served(cloud.api) == first) is not isinstance(expected, bytes)
    cloud.stop()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    words = ("serve", "--data", str(tmp_path), "--tls-cert", str(tmp_path / "no.pem"))
    done = run(*words, "--api-port", "0", "--device-port", "0", ok=False)
    assert (
        f"story-cloud: --tls-cert {tmp_path / 'no.pem'}: No such file or directory" in done.stderr
    )


def test_sigint_ends_it_sighup_does_not_and_nothing_is_forgotten(tmp_path: Path) -> None:
    first = Cloud(tmp_path)
    added = first.command("device", "add")
    app = first.command("app", "add", "a", "--type", "web")
    token = first.command("token", "--app", str(app["appId"]), "--user", "u")["access_token"]
    keys = (app["apikey"], app["secret"], token)
    with OpenApiClient(first.api, *keys, nonce=lambda: "n" * 16) as client:
        first.process.send_signal(signal.SIGHUP)
        assert client.validate()
        # An open connection must not delay the shutdown.
        first.stop(signal.SIGINT)
    assert first.process.returncode == 0
    authority = (tmp_path / "ca" / "ca.crt").read_bytes()

    second = Cloud(tmp_path)
    assert second.command("device", "list")["devices"][0]["uuid"] == added["uuid"]
    replaying = OpenApiClient(second.api, *keys, nonce=lambda: "n" * 16)
    with replaying, pytest.raises(OpenApiError, match="nonce was used"):
        replaying.validate()
    second.stop()
    assert (tmp_path / "ca" / "ca.crt").read_bytes() == authority
