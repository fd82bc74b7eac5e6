"""The cloud link as the agent's other parts see it: a protocol, its states, its errors by phase.

`agent.link.build` alone knows which link there is. A link of another kind is one file beside
`agent.link.framed` and one line there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import field
from enum import Enum
from typing import Protocol

from wire.abilities import Abilities
from wire.records import dataclass


class LinkState(Enum):
    """The state of the link; the values are shown in ``status``."""

    STOPPED = "stopped: the agent is starting or ending"
    CONNECTING = "connecting: TCP and TLS"
    REGISTERING = "registering: the cloud has not accepted us yet"
    ONLINE = "online: registered"
    WAITING = "waiting before the next try"


# What is wrong with a link that is up while another machine registers with its identity.
TWIN = "another machine uses this identity: flash a profile of its own to one of the two"


class LinkError(Exception):
    """The link is down.

    Attributes:
        phase: what failed: ``resolve``, ``connect``, ``tls``, ``register`` or ``serve``.
        remedy: what a person can do about it.
        slow: whether retrying soon is pointless.
    """

    phase = "serve"
    remedy = "nothing: the machine connects again by itself"
    slow = False


class ResolveError(LinkError):
    """The cloud's host name has no address, or no name server answers."""

    phase = "resolve"
    remedy = "check the machine's network and name server, and serverAddr in its profile"


class ConnectError(LinkError):
    """No connection to the cloud's address, or none in time."""

    phase = "connect"
    remedy = (
        "check the machine's network, a firewall, and that the cloud runs at this address and port"
    )


class TlsError(LinkError):
    """TLS failed: an alert, something else than TLS, or nothing at all; this passes."""

    phase = "tls"
    remedy = "log in if the network shows a log-in page first; else check what answers at this port"


class UntrustedError(TlsError):
    """The server's certificate does not chain to the profile's CA, or is another host's."""

    remedy = "check serverAddr and rsaCaCrt in the profile, and the certificate of the cloud"
    slow = True


class OutOfDateError(UntrustedError):
    """A certificate of the server's chain is not valid now."""

    remedy = "set the machine's clock right, or renew the certificate of the cloud"


class MissingExtraError(ConnectError):
    """The package that this kind of link needs is not installed."""

    remedy = "pip install 'story-agent[mqtt]', or set link.kind = \"coap\""
    slow = True


class ClientCertificateError(TlsError):
    """The settings' client certificate or its key cannot be used."""

    remedy = (
        "put link.client_certificate and link.client_key right in the settings, or leave them out"
    )
    slow = True


class RegisterError(LinkError):
    """The cloud did not answer the registration, or cannot accept this device now."""

    phase = "register"
    remedy = "check the cloud and its log: it answers, and does not accept this device"


class NotAnsweredError(RegisterError):
    """The other side took the connection, and the registration had no answer: it was silent, or cut."""

    remedy = "nothing if it passes: the machine connects again by itself; if it lasts, check the cloud and its log"


class RegistrationRefusedError(RegisterError):
    """The cloud does not accept this uuid and token."""

    remedy = "flash the profile that belongs to this machine, or register it with the cloud"
    slow = True


class DeniedError(RegistrationRefusedError):
    """The broker lets this device in, and denies it the topics that it needs."""

    remedy = (
        "let this device write below story/{uuid}/up and read below story/{uuid}/down in the"
        " broker's access list"
    )


class UnansweredError(RegisterError):
    """The broker took the registration, and no cloud answered it."""

    remedy = (
        "check that the cloud's workers run behind this broker, and that its access list lets this"
        " device read below story/{uuid}/down"
    )


class IdentityTakenError(RegisterError):
    """Another machine is connected with this uuid and token: a cloned card or profile."""

    remedy = "flash a profile of its own to one of the two machines (a card was copied)"
    slow = True


class LostError(LinkError):
    """There is no registered connection, or it ended before the answer."""


class CloudBusyError(LinkError):
    """The cloud is connected, but cannot take reports now.

    Attributes:
        again: after how many seconds it wants to be asked again; None: it does not say.
    """

    remedy = "nothing: the report is kept and sent again; if it lasts, check the cloud's store"

    def __init__(self, message: str, again: int | None = None) -> None:
        """Build it from a message and the wait that the cloud names."""
        super().__init__(message)
        self.again = again


class ReportRejectedError(Exception):
    """The cloud rejected a report with an error code; a retry would not help."""


@dataclass(slots=True)
class LinkStatus:
    """The link's status; ``server`` is host and port, times are seconds of the monotonic clock.

    ``phase`` and ``remedy`` belong to ``last_error``; ``warning`` is about a link that is up.
    """

    server: str
    state: LinkState = LinkState.STOPPED
    last_error: str = ""
    phase: str = ""
    remedy: str = ""
    warning: str = ""
    tries: int = 0
    failed: set[str] = field(default_factory=set)
    """The phases in which tries have failed since the agent's start."""
    registered_since: float | None = None
    next_try: float | None = None

    def to_json(self) -> dict[str, object]:
        """Render for the local API's ``/status``, times as seconds from now."""
        now = time.monotonic()
        since, until = self.registered_since, self.next_try
        return {
            "server": self.server,
            "state": self.state.name.lower(),
            "meaning": self.state.value,
            "last_error": self.last_error or None,
            "phase": self.phase or None,
            "remedy": self.remedy or None,
            "warning": self.warning or None,
            "tries": self.tries,
            "online_seconds": None if since is None else round(now - since, 1),
            "next_try_seconds": None if until is None else round(max(0.0, until - now), 1),
        }


class LinkListener(Protocol):
    """Is told when the link is up, and why it is down."""

    def __call__(self, *, is_up: bool, phase: str) -> None:
        """Take a change; ``phase`` is what failed, "" while it is up."""


def tell_nobody(*, is_up: bool, phase: str) -> None:
    """Be a `LinkListener` of which nobody hears."""
    del is_up, phase


class Link(Protocol):
    """Keeps this device registered with its cloud."""

    on_change: LinkListener
    """Called when it is up, and after each failure."""

    @property
    def registered(self) -> asyncio.Event:
        """Set while the cloud accepts this device's reports."""

    @property
    def ended(self) -> asyncio.Event:
        """Set while it does not: the other of `registered`, for whoever waits for the end."""

    @property
    def status(self) -> LinkStatus:
        """What the link does now, for people."""

    @property
    def cloud_abilities(self) -> Abilities:
        """What the cloud said that it reads (`wire.abilities`); nothing while the link is down."""

    async def run(self) -> None:
        """Connect, serve the cloud's requests, wait and repeat until cancelled."""

    async def report(self, data: Mapping[str, object]) -> None:
        """Send one report ``{"data": data}`` and wait for the cloud's answer; raises as `send`."""

    async def send(self, payload: bytes) -> bytes:
        """Send a whole payload for the cloud's path of reports; return its answer's payload.

        Args:
            payload: one report, or a batch of them, as `wire.numbered` builds it.

        Raises:
            LinkError: the report may not have arrived; the same report may be sent again.
            ReportRejectedError: the cloud answered with an error code.
        """
