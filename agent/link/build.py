"""Makes the cloud link; the only module that knows which kinds of link there are."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable

from agent.link import Link
from agent.link.opening import tls_context
from agent.link.reconnect import Connector, ReconnectingLink
from agent.settings import LinkKind, LinkSettings
from base.clock import TrustedTime
from transport.dial import show_server
from wire.abilities import DEVICE_READS, Abilities
from wire.errors import FieldError
from wire.exchange import Handler
from wire.profile import Profile
from wire.records import dataclass

PROFILE_MEMBER = "link"
"""The member of the profile's ``configures`` that names the kind of link."""

_log = logging.getLogger(__name__)


def build_link(
    profile: Profile,
    settings: LinkSettings,
    handler: Handler,
    clock: TrustedTime,
    reads: Abilities = DEVICE_READS,
    on_trial: Callable[[], bool] = lambda: False,
) -> Link:
    """Return the link to the profile's cloud.

    Args:
        profile: the cloud's address and CA, and this device's credentials.
        settings: the operator's settings.
        handler: answers the cloud's requests.
        clock: judges the server certificate's dates, and learns the time from the cloud.
        reads: what this device tells the cloud that it reads.
        on_trial: returns whether this version has yet to prove itself; it then never waits long.
    """
    connector: Connector
    if choose_kind(profile, settings) is LinkKind.MQTT:
        from agent.link.mqtt import MqttConnector  # noqa: PLC0415  # few machines speak it

        connector = MqttConnector(profile, settings, handler, clock, reads)
    else:
        # aiocoap is 1.5 MB that a machine with MQTT need not hold.
        from agent.link.framed import FramedConnector  # noqa: PLC0415

        connector = FramedConnector(profile, settings, handler, clock, reads)
    return ReconnectingLink(connector, settings, profile.secrets, on_trial)


@dataclass(frozen=True, slots=True)
class Entrance:
    """Where the cloud, or its broker, listens."""

    server: str
    """Host and port, for people."""
    port: int
    tls: Callable[[], ssl.SSLContext]
    """Makes the context that checks its certificate; raises LinkError for what the link lacks."""


def find_entrance(profile: Profile, settings: LinkSettings) -> Entrance:
    """Return where the link connects to, for whoever wants to know whether that works."""
    if choose_kind(profile, settings) is not LinkKind.MQTT:
        server = show_server(profile.server_addr, profile.coap_port)
        return Entrance(server, profile.coap_port, lambda: tls_context(profile.rsa_ca_crt))
    from agent.link import mqtt  # noqa: PLC0415  # few machines speak it

    def context() -> ssl.SSLContext:
        mqtt.check_extra()
        return mqtt.client_context(profile, settings)

    port = mqtt.broker_port(profile, settings)
    return Entrance(f"{show_server(profile.server_addr, port)} (mqtt)", port, context)


def choose_kind(profile: Profile, settings: LinkSettings) -> LinkKind:
    """Return the kind of link: the operator's, else the profile's, else framed CoAP."""
    if settings.kind is not LinkKind.AUTO:
        return settings.kind
    told = profile.configures.get(PROFILE_MEMBER, LinkKind.COAP)
    if isinstance(told, str) and told in {LinkKind.COAP, LinkKind.MQTT}:
        return LinkKind(told)
    # A machine with a wrong profile still plays, and the factory sees why it is not online.
    problem = FieldError(f"configures.{PROFILE_MEMBER}", told, "coap or mqtt")
    _log.error("profile: %s; the link speaks coap", problem)
    return LinkKind.COAP
