"""What is said to a device's ear: the answer to an utterance, and the wish that it listens (docs/adr/0031).

Neither is a data point, and neither is sent to a device that does not say that it reads it.
"""

from __future__ import annotations

import asyncio
import logging

from staging.errors import GatewayError, NotSupportedError
from staging.gateway.session import Sessions
from wire.abilities import ANSWER, ANSWER_PATH, LISTEN, LISTEN_PATH
from wire.answers import UtteranceAnswer
from wire.codes import dotted

# Seconds. The machine waits for five; a later answer is for nobody.
ANSWER_SECONDS = 5.0

_log = logging.getLogger(__name__)


class Ear:
    """Reaches the ears of the devices that are connected."""

    def __init__(self, sessions: Sessions) -> None:
        """Send to the devices of ``sessions``."""
        self._sessions = sessions

    def reads(self, uuid: str, ability: str) -> bool:
        """Return whether the device is connected, and says that it reads ``ability``."""
        session = self._sessions.find(uuid)
        return session is not None and ability in session.abilities

    async def answer(self, uuid: str, answer: UtteranceAnswer) -> bool:
        """Send an answer; return whether the device has taken it. What fails is logged: it is told once or never."""
        session = self._sessions.find(uuid)
        if session is None or ANSWER not in session.abilities:
            return False
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                code = (await session.request("PUT", ANSWER_PATH, answer.to_payload())).code
        except (GatewayError, TimeoutError) as error:
            _log.warning("device %s: utterance %d: the answer is lost: %s", uuid, answer.id, error)
            return False
        if code >> 5 != 2:
            _log.warning("device %s: the answer is refused: %s", uuid, dotted(code))
        return code >> 5 == 2

    async def listen(self, uuid: str, action: str) -> tuple[str, str]:
        """Let the machine listen, or end it; return the device's answer as ("2.04", text).

        Raises:
            DeviceOfflineError, DeviceSilentError, DeviceRejectedError, DeviceBusyError: no answer.
            NotSupportedError: it does not say that it lets the cloud open its microphone.
        """
        session = self._sessions.get(uuid)
        if LISTEN not in session.abilities:
            reason = "its microphone cannot be opened from here (its setting voice.remote_listen)"
            raise NotSupportedError(f"device {uuid}: {reason}")
        answer = await session.request("POST", LISTEN_PATH, action.encode())
        return dotted(answer.code), answer.text
