"""A CoAP server over UDP, by aiocoap's own transport; `agent.local.coap` decides where it listens."""

from __future__ import annotations

from typing import Any

import aiocoap
from aiocoap.numbers.codes import Code as CoapCode
from aiocoap.resource import Resource

from transport.blocks import BlockTransfers
from transport.coap import to_request
from transport.errors import TransportError
from wire.exchange import Handler


class DatagramServer:
    """A UDP port that passes every request to one handler."""

    def __init__(self, context: aiocoap.Context) -> None:
        """Use `create`."""
        self._context = context

    @classmethod
    async def create(cls, handler: Handler, host: str, port: int) -> DatagramServer:
        """Bind and serve; raises TransportError if the address cannot be bound."""
        try:
            context = await aiocoap.Context.create_server_context(
                _Site(handler), bind=(host, port), transports=["simplesocketserver"]
            )
        except OSError as error:
            raise TransportError(f"CoAP on {host}:{port}: {error.strerror}") from error
        return cls(context)

    async def shutdown(self) -> None:
        """Stop serving and close the socket."""
        await self._context.shutdown()


class _Site(Resource):
    def __init__(self, handler: Handler) -> None:
        super().__init__()
        self._handler = handler
        self._transfers = BlockTransfers()

    async def render_to_pipe(self, pipe: Any) -> None:
        """Answer one request; all peers together share the limits on block-wise transfers."""
        whole = self._transfers.assemble(pipe.request)
        reply = await self._transfers.reply(whole, lambda: self.render(whole))
        pipe.add_response(reply, is_last=True)

    async def render(self, request: Any) -> Any:
        answer = await self._handler(to_request(request))
        return aiocoap.Message(code=CoapCode(answer.code), payload=answer.payload)
