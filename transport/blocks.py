"""Block-wise transfers (RFC 7959) that a connection serves, with limits.

aiocoap's spool and cache implement the protocol. This module replaces their timeouts with limits,
so that a peer can neither open an unlimited number of transfers nor send an endless one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from aiocoap import error as coap_error
from aiocoap.blockwise import Block1Spool, Block2Cache

from wire.exchange import BODY_LIMIT

# Open transfers per connection and direction.
MAX_TRANSFERS = 4


class _Newest(OrderedDict[Any, Any]):
    """A dictionary that keeps only the MAX_TRANSFERS newest entries."""

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > MAX_TRANSFERS:
            self.popitem(last=False)


class _Given:
    """A rendering that is done already."""

    def __init__(self, reply: Any) -> None:
        self._reply = reply

    async def __call__(self) -> Any:
        return self._reply


class BlockTransfers:
    """The block-wise transfers of one connection: request bodies and replies."""

    def __init__(self) -> None:
        self._uploads, self._replies = Block1Spool(), Block2Cache()
        self._uploads._assemblies = _Newest()  # noqa: SLF001  # its own dictionary has no bound
        self._replies._completes = _Newest()  # noqa: SLF001  # the same

    def assemble(self, request: Any) -> Any:
        """Take a request, or one block of it, and return the whole request.

        Raises:
            ConstructionRenderableError: aiocoap's form of the answer to send: 2.31 while blocks
                are missing, 4.08 for a gap, 4.13 over BODY_LIMIT.
        """
        if not is_within_limit(request.opt.block1, request.payload):
            raise coap_error.RequestEntityTooLarge(f"at most {BODY_LIMIT} bytes")
        try:
            whole = self._uploads.feed_and_take(request)
        except ValueError as error:  # aiocoap should handle a gap itself but does not
            raise coap_error.RequestEntityIncomplete("blocks out of order") from error
        uploads = self._uploads._assemblies  # noqa: SLF001  # aiocoap keeps complete ones
        for key in [key for key, value in uploads.items() if value is whole]:
            del uploads[key]
        return whole

    async def reply(self, request: Any, render: Callable[[], Awaitable[Any]]) -> Any:
        """Return the reply to a whole request, or the requested block of it."""
        # aiocoap's cache is for what is asked or answered in blocks; nearly nothing is.
        if request.opt.block2 is None:
            whole = await render()
            if len(whole.payload) <= request.remote.maximum_payload_size:
                whole.opt.block1 = request.opt.block1
                return whole
            render = _Given(whole)
        reply = await self._replies.extract_or_insert(request, render)
        reply.opt.block1 = request.opt.block1
        return reply


def is_within_limit(block: Any, payload: bytes) -> bool:
    """Return whether a block ends within BODY_LIMIT; ``block`` None means a whole body."""
    return len(payload) + (block.start if block is not None else 0) <= BODY_LIMIT


def is_valid_block(block: Any, payload: bytes) -> bool:
    """Return whether a reply's block is valid; aiocoap does not check the first one."""
    return block is None or (
        bool(block.is_valid_for_payload_size(len(payload))) and is_within_limit(block, payload)
    )
