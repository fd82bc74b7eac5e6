"""Makes the cloud link; the only module that knows which kinds of link there are."""

from __future__ import annotations

from agent.link import Link
from agent.link.framed import FramedConnector
from agent.link.reconnect import ReconnectingLink
from agent.settings import LinkSettings
from base.clock import TrustedTime
from wire.abilities import DEVICE_READS, Abilities
from wire.exchange import Handler
from wire.profile import Profile


def build_link(
    profile: Profile,
    settings: LinkSettings,
    handler: Handler,
    clock: TrustedTime,
    reads: Abilities = DEVICE_READS,
) -> Link:
    """Return the link to the profile's cloud.

    Args:
        profile: the cloud's address and CA, and this device's credentials.
        settings: the operator's settings.
        handler: answers the cloud's requests.
        clock: judges the server certificate's dates, and learns the time from the cloud.
        reads: what this device tells the cloud that it reads.
    """
    connector = FramedConnector(profile, settings, handler, clock, reads)
    return ReconnectingLink(connector, settings, profile.secrets)
