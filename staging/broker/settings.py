"""What mosquitto reads: its configuration, who may log in, and who may use which topic.

A device logs in with its uuid and token and uses its own topics only. Its client identifier is its
user name, whatever it says, so that no device can end another's connection. Workers of the cloud
have a port of their own, where each has its own client identifier.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CLOUD_USER = "cloud"
PASSWORDS, ACL, CONFIG = "passwords", "acl", "mosquitto.conf"
# Tokens are random and long, so that a dictionary does not help: few rounds are enough, and
# thousands of devices are hashed in a second.
_ROUNDS = 101
_SALT_BYTES = 12
# Bytes of one packet; our largest message is an update's log.
PACKET_LIMIT = 128 * 1024
# Messages that wait for one client; a worker's share of a fleet's reports, which are one for each.
QUEUE_LIMIT = 20_000
# Seconds, the longest keepalive that a device of MQTT 5 may have, whatever it asks for: mosquitto waits half as long
# again and looks each 6 s, so that a frozen device is known within 30 s.
KEEPALIVE_MAX = 15
# Seconds. A device away for longer begins anew.
SESSION_LIMIT = "1h"

ACCESS = f"""\
user {CLOUD_USER}
topic readwrite story/#
topic readwrite story-cloud/#

pattern write story/%u/up/#
pattern read story/%u/down/#
"""
"""The access list. Its patterns hold for every user; %u is the user's name."""


def share_group(password: str) -> str:
    """Return the name by which workers share messages, for whoever knows the cloud's password.

    No access list of mosquitto keeps a device from joining a group whose name it knows; what the broker would
    then deal out to it, it may not read, and other devices' reports and registrations would be lost on the way.
    """
    return "cloud-" + hashlib.sha256(b"share " + password.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where the broker listens.

    Attributes:
        host: the address for devices.
        port: the port for devices.
        workers_port: the port for the cloud's workers, on loopback.
        certificates: whether devices log in by a client certificate, whose name is the uuid.
    """

    host: str
    port: int
    workers_port: int
    certificates: bool = False


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The broker's certificate, its key, and the CA that it chains to."""

    ca: Path
    certificate: Path
    key: Path


def render_config(folder: Path, listeners: Listeners, files: TlsFiles, user: str) -> str:
    """Return mosquitto.conf.

    Args:
        folder: has the other files.
        listeners: where to listen.
        files: the TLS files of both listeners.
        user: the system user to run as, which can read all files.
    """
    tls = [f"cafile {files.ca}", f"certfile {files.certificate}", f"keyfile {files.key}"]
    with_certificates = ["require_certificate true", "use_identity_as_username true"]
    lines = [
        f"user {user}",
        # Nothing survives the broker's death: who is online is told again by who comes back.
        "persistence false",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "connection_messages false",
        "log_type notice",
        "connection_messages false",
        # Without it a small answer waits 40 ms for an acknowledgement (docs/scale.md).
        "set_tcp_nodelay true",
        "allow_anonymous false",
        f"password_file {folder / PASSWORDS}",
        f"acl_file {folder / ACL}",
        f"max_packet_size {PACKET_LIMIT}",
        f"max_queued_messages {QUEUE_LIMIT}",
        # As many as the client's Receive Maximum says.
        "max_inflight_messages 0",
        f"persistent_client_expiration {SESSION_LIMIT}",
        f"max_keepalive {KEEPALIVE_MAX}",
        f"listener {listeners.port} {listeners.host}",
        *tls,
        "use_username_as_clientid true",
        *(with_certificates if listeners.certificates else []),
        f"listener {listeners.workers_port} 127.0.0.1",
        *tls,
    ]
    return "\n".join(lines) + "\n"


def render_passwords(users: Mapping[str, str]) -> str:
    """Return the password file for users and their passwords: salted hashes (PBKDF2, SHA-512)."""
    return "".join(f"{name}:{_hash(password)}\n" for name, password in users.items())


def _hash(password: str) -> str:
    salt = secrets.token_bytes(_SALT_BYTES)
    made = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS)
    return f"$7${_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(made).decode()}"
