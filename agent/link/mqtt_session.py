"""One registered connection to a cloud behind an MQTT broker: reports, voice, the cloud's requests."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import secrets
import time
from collections.abc import Coroutine, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from agent.link import (
    CloudBusyError,
    DeniedError,
    LostError,
    NotAnsweredError,
    RegisterError,
    ReportRejectedError,
    UnansweredError,
)
from agent.link.cloud import Heartbeat, check_report, read_registration
from agent.link.guard import CloudTime, Guard
from agent.link.mqtt_requests import CloudRequests
from agent.settings import LinkSettings
from transport.errors import (
    RequestTimeoutError,
    StreamClosedError,
    TransportError,
)
from wire.abilities import Abilities
from wire.errors import WireError, show
from wire.exchange import Answer
from wire.reports import (
    KEYS_VOICE,
    Credentials,
    Registered,
    registration_payload,
    report_payload,
)
from wire.topics import (
    REQUEST_EXPIRY,
    Kind,
    Properties,
    State,
    Topic,
    answer_properties,
    parse_answer,
    run_properties,
    state_payload,
    voice_topic,
)

if TYPE_CHECKING:
    from transport.mqtt import MqttConnection, MqttMessage, Outgoing

# Seconds, as on the framed link: a cloud that commits to a slow disk takes long.
REPORT_TIMEOUT = 20.0
# Seconds for the broker's answers, and for a voice segment to leave the machine.
BROKER_TIMEOUT = 10.0
# Seconds without an answer after which a registration or report is sent again on the same connection;
# a cloud knows a repeated report by its number.
RESEND_SECONDS = 5.0
# Seconds that the handlers of requests have to end when the connection does.
END_TIMEOUT = 2.0
# MQTT 5: nobody subscribed to this topic, so no worker of the cloud is there.
_NO_SUBSCRIBERS = 16
_NOT_AUTHORIZED = 135
_TOO_LARGE = 149

_log = logging.getLogger(__name__)


class MqttSession:
    """One connection to the broker, and what belongs to it alone."""

    def __init__(
        self,
        credentials: Credentials,
        settings: LinkSettings,
        guard: Guard,
        reads: Abilities,
        run: str,
    ) -> None:
        """Use `begin` once the broker has accepted; `deliver` may be called before.

        ``run`` is a random word of this process: two machines with one identity have two.
        """
        self._credentials = credentials
        self._settings = settings
        self._time = CloudTime()
        self._begun = asyncio.Event()
        self._requests = CloudRequests(credentials.uuid, guard, self._time, self._begun)
        self._reads = reads
        self._run = run
        self._connection: MqttConnection | None = None
        self._ready = asyncio.Event()
        self._waiting: dict[bytes, asyncio.Future[Answer]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count()
        # Answers to an earlier connection's reports must not match.
        self._prefix = secrets.token_bytes(4)
        uuid = credentials.uuid
        self._answers, self._asked = Topic(uuid, Kind.CLOUD_ANSWER), Topic(uuid, Kind.REQUEST)
        self._heartbeat = Heartbeat(self.send, self._time, settings.keepalive_seconds)
        self.cloud_abilities: Abilities = frozenset()
        self._denied = ""

    @property
    def warning(self) -> str:
        """What is wrong though the connection is up, "" if nothing is."""
        return self._heartbeat.warning or self._denied

    # Life.

    async def begin(self, connection: MqttConnection) -> Registered:
        """Subscribe and register; return what the cloud tells about itself. Raises LinkError."""
        self._connection = connection
        self._ready.set()
        try:
            filters = [(str(self._answers), 0), (str(self._asked), 1)]
            await connection.subscribe(filters, deadline=BROKER_TIMEOUT)
            registered = await self._register()
            self._begun.set()
            state = state_payload(State(online=True, reads=self._reads, run=self._run))
            topic = str(Topic(self._credentials.uuid, Kind.STATE))
            await connection.publish(
                self._outgoing(topic, state, retain=True), deadline=BROKER_TIMEOUT
            )
        except TransportError as error:
            raise _registration_error(error) from error
        self.cloud_abilities = registered.reads
        return registered

    async def _register(self) -> Registered:
        payload = registration_payload(self._credentials)
        deadline = self._settings.connect_timeout_seconds
        asked = self._time.clock()
        answer = await self._ask(
            self._topic(Kind.REGISTER), payload, deadline, run_properties(self._run)
        )
        registered = read_registration(answer)
        if registered.time_ms is not None:
            self._time.note(registered.time_ms, asked)
        return registered

    async def run(self) -> str:
        """Keep the session alive until the connection ends; return the reason, in words."""
        connection = self._open_connection()
        async with asyncio.TaskGroup() as group:
            alive = group.create_task(self._keep_alive())
            reason = await asyncio.shield(connection.ended)
            alive.cancel()
        return reason

    async def _keep_alive(self) -> None:
        """End the connection when a heartbeat fails: the broker's own keepalive proves no cloud."""
        self._open_connection().abort(await self._heartbeat.run())

    async def close(self) -> None:
        """Say farewell with the will, so that the cloud knows at once, and end the handlers."""
        try:
            if self._tasks and self._begun.is_set():  # before, none of them has begun
                await asyncio.wait(self._tasks, timeout=END_TIMEOUT)
        finally:
            if self._connection is not None:
                await self._connection.close(with_will=True)
            for task in self._tasks:
                task.cancel()

    # Reports.

    async def report(self, data: Mapping[str, object]) -> None:
        """Send one report; a voice segment is live or not at all, and has no answer.

        An utterance's last segment has one, which comes after the cloud's work on all before it.
        Raises as `send`.
        """
        payload = report_payload(data)
        voice = next(iter(KEYS_VOICE.intersection(data)), None)
        if voice is None:
            await self.send(payload)
            return
        topic, segment = voice_topic(self._credentials.uuid), data[voice]
        with self._translated():
            if isinstance(segment, Mapping) and segment.get("eof"):
                check_report(await self._ask(topic, payload, REPORT_TIMEOUT))
            else:
                live = self._outgoing(topic, payload, qos=0)
                await self._open_connection().publish(live, deadline=BROKER_TIMEOUT)

    async def send(self, payload: bytes) -> bytes:
        """Send the payload of a report or a batch; return the payload of the cloud's answer.

        It returns after the broker's acknowledgement and the cloud's answer.

        Raises:
            LostError: the connection ended before the answer, or the cloud no longer knows us.
            CloudBusyError: broker or cloud cannot take it now, or the broker denies it.
            ReportRejectedError: the cloud answered with an error code; a retry would not help.
        """
        with self._translated():
            answer = await self._ask(self._topic(Kind.REPORT), payload, REPORT_TIMEOUT)
            self._denied = ""
            check_report(answer)
        return answer.payload

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the transport's errors into the link's."""
        try:
            yield
        except (StreamClosedError, RequestTimeoutError) as error:
            self._open_connection().abort(f"a report failed: {error}")
            raise LostError(str(error)) from error
        except LostError as error:
            self._open_connection().abort(str(error))
            raise
        except TransportError as error:
            if getattr(error, "reason", 0) == _TOO_LARGE:
                text = f"the broker takes no report of this size: {error}"
                raise ReportRejectedError(text) from error
            if getattr(error, "reason", 0) == _NOT_AUTHORIZED:
                self._note_denied(error)
            raise CloudBusyError(f"the report was not taken: {error}") from error

    def _note_denied(self, error: TransportError) -> None:
        """Show it once, and as long as it lasts: the report is kept and sent again."""
        if not self._denied:
            _log.warning("link: reports are kept: %s; what to do: %s", error, DeniedError.remedy)
        self._denied = f"the broker denies reports, which are kept: {DeniedError.remedy}"

    async def _ask(
        self, topic: str, payload: bytes, deadline: float, properties: Properties = ()
    ) -> Answer:
        """Send the cloud a request and return its answer. Raises TransportError, CloudBusyError."""
        correlation = self._prefix + next(self._numbers).to_bytes(4, "big")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[correlation] = answer
        until = time.monotonic() + deadline
        try:
            request = self._outgoing(
                topic,
                payload,
                expiry=REQUEST_EXPIRY,
                response_topic=str(self._answers),
                correlation=correlation,
                properties=properties,
            )
            while (found := await self._try(request, answer, until)) is None:
                _log.debug("link: %s: no answer yet, sent again", topic)
            return found
        finally:
            del self._waiting[correlation]
            answer.cancel()

    async def _try(
        self, request: Outgoing, answer: asyncio.Future[Answer], until: float
    ) -> Answer | None:
        """Send a request, and wait for the answer for a while; None: it is time to send it again.

        The worker that took it may have been killed, and the broker does not hand it to another.
        """
        left = until - time.monotonic()
        if left <= 0:
            raise RequestTimeoutError("the cloud did not answer in time")
        connection = self._open_connection()
        if await connection.publish(request, deadline=left) == _NO_SUBSCRIBERS:
            raise CloudBusyError("no cloud listens at the broker now")
        either: list[asyncio.Future[Any]] = [answer, connection.ended]
        left = max(0.0, until - time.monotonic())
        # The last wait has the rest: what is sent with no time left tells of the broker what is true of the cloud.
        seconds = RESEND_SECONDS if left >= 1.5 * RESEND_SECONDS else left
        await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        if connection.ended.done():
            raise StreamClosedError(connection.ended.result())
        return None

    def _topic(self, kind: Kind) -> str:
        return str(Topic(self._credentials.uuid, kind))

    @staticmethod
    def _outgoing(topic: str, payload: bytes, **options: Any) -> Outgoing:
        from transport.mqtt import Outgoing  # noqa: PLC0415  # an extra

        return Outgoing(topic, payload, **options)

    def _open_connection(self) -> MqttConnection:
        if self._connection is None:
            raise LostError("the link to the broker is down")
        return self._connection

    # What arrives.

    def deliver(self, message: MqttMessage) -> None:
        """Take a message of the broker; called in the event loop."""
        if message.topic == str(self._answers):
            self._take_answer(message)
        elif message.topic == str(self._asked) and not message.retain:
            self._spawn(self._serve(message))
        else:
            # A cloud never lets the broker keep a request: it would be carried out after each start.
            kept = "that the broker has kept " if message.retain else ""
            _log.warning("link: a message %son %s is dropped", kept, show(message.topic))
            self._spawn(self._acknowledge(message))

    def _take_answer(self, message: MqttMessage) -> None:
        waiting = self._waiting.get(message.correlation)
        if waiting is not None and not waiting.done():
            try:
                waiting.set_result(parse_answer(message.properties, message.payload))
            except WireError as error:
                waiting.set_exception(LostError(f"the cloud's answer is not read: {error}"))
        self._spawn(self._acknowledge(message))

    async def _serve(self, message: MqttMessage) -> None:
        await self._requests.serve(message, self._reply)
        await self._acknowledge(message)

    async def _acknowledge(self, message: MqttMessage) -> None:
        await self._ready.wait()  # the session of the broker may bring messages before `begin`
        self._open_connection().acknowledge(message)

    async def _reply(self, topic: str, correlation: bytes, answer: Answer) -> None:
        await self._ready.wait()
        try:
            message = self._outgoing(
                topic,
                answer.payload,
                expiry=REQUEST_EXPIRY,
                correlation=correlation,
                properties=answer_properties(answer.code),
            )
            await self._open_connection().publish(message, deadline=BROKER_TIMEOUT)
        except TransportError as error:
            _log.info("link: an answer did not reach the broker: %s", error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _registration_error(error: TransportError) -> RegisterError:
    """Return what it means that the way to the cloud failed, though the broker had let us in."""
    text = f"registration: {error}"
    if getattr(error, "reason", 0) == _NOT_AUTHORIZED:
        return DeniedError(text)
    if isinstance(error, RequestTimeoutError):
        return UnansweredError(text)
    if isinstance(error, StreamClosedError):
        return NotAnsweredError(text)
    return RegisterError(text)
