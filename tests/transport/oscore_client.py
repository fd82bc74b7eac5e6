"""A client of OSCORE with its own socket, that can also send what a good one never sends."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import aiocoap
from aiocoap import oscore
from aiocoap.message import Direction
from aiocoap.numbers.types import Type

from wire.lan_keys import ALGORITHM, HASH, Keys

KEYS = Keys(b"abc", b"\x01", bytes(range(1, 17)), b"salt")
DEADLINE = 60.0


class Phone(oscore.CanProtect, oscore.CanUnprotect, oscore.SecurityContextUtils):
    """The other end of the keys; it begins with the number ``first``."""

    alg_aead = oscore.algorithms[ALGORITHM]
    hashfun = oscore.hashfunctions[HASH]
    id_context = None
    echo_recovery = None

    def __init__(self, port: int, keys: Keys = KEYS, first: int = 0) -> None:
        self.sender_id, self.recipient_id = keys.client_id, keys.server_id
        self.derive_keys(keys.salt, keys.secret)
        self.recipient_replay_window = oscore.ReplayWindow(32, lambda: None)
        self.recipient_replay_window.initialize_empty()
        self.sender_sequence_number = first
        self.numbers: list[bytes] = []
        """The numbers that the machine has used for nonces of its own."""
        self._bound: Any = None
        self._mid = 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.connect(("127.0.0.1", port))

    def post_seqnoincrease(self) -> None:
        """Numbers are used once, as the object is."""

    def packet(
        self, method: str, path: str, payload: bytes = b"", *, kind: Type = Type.CON, **options: Any
    ) -> bytes:
        """Return a protected request as bytes."""
        message = aiocoap.Message(code=aiocoap.Code[method], payload=payload, **options)
        message.opt.uri_path = tuple(path.split("/"))
        message.direction = Direction.OUTGOING
        protected, self._bound = self.protect(message)
        return self.pack(protected, kind)

    def pack(self, message: Any, kind: Type = Type.CON) -> bytes:
        """Return a message as bytes, with the next id."""
        self._mid += 1
        message.mtype, message.mid, message.token = kind, self._mid, b"T"
        return bytes(message.encode())

    async def exchange(self, packet: bytes) -> Any:
        """Send bytes; return the next message that comes, not yet unprotected."""
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(self.socket, packet)
        return await self.receive()

    async def receive(self) -> Any:
        async with asyncio.timeout(DEADLINE):
            data = await asyncio.get_running_loop().sock_recv(self.socket, 4096)
        message = aiocoap.Message.decode(data)
        message.direction = Direction.INCOMING
        return message

    def open(self, message: Any) -> Any:
        """Unprotect an answer to the latest request."""
        named = oscore.verify_start(message)
        if oscore.COSE_PIV in named:
            self.numbers.append(named[oscore.COSE_PIV])
        return self.unprotect(message, self._bound)[0]

    async def ask(self, method: str, path: str, payload: bytes = b"", **options: Any) -> Any:
        """Ask, and once more with what a machine that has just started wants to hear back."""
        reply = self.open(await self.exchange(self.packet(method, path, payload, **options)))
        if reply.code == aiocoap.UNAUTHORIZED and reply.opt.echo is not None:
            again = self.packet(method, path, payload, echo=reply.opt.echo, **options)
            reply = self.open(await self.exchange(again))
        return reply
