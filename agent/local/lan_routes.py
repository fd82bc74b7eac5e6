"""``/lan``: the clients on the home network and their keys, for ``story-agent lan``; on the socket only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from agent.local.clients import Clients
from agent.local.http import respond
from agent.local.keyring import KeyringError, UnknownClientError
from agent.local.sockets import LocalAccessError
from agent.local.web import JSONResponse, Request, Response, Route
from agent.settings import LocalSettings
from machine.network import read_network
from transport.dial import show_server
from wire.codes import Code
from wire.errors import WireError
from wire.exchange import Answer
from wire.lan_keys import Keys

OFF = (
    "lan: CoAP with OSCORE is off: set local.oscore_port in agent.toml (5683 is usual), and restart"
)


def lan_routes(clients: Clients | None, local: LocalSettings) -> list[Route]:
    """Return the routes: ``GET /lan`` lists; ``PUT``, ``POST`` and ``DELETE /lan/NAME`` add, renew, remove.

    Without ``clients`` they say that OSCORE is off.

    Keys are in the answer to whoever adds or renews, and nowhere again.
    """

    async def listed(request: Request) -> Response:
        return _refusal(request, clients) or JSONResponse(_on(clients).status())

    async def changed(request: Request) -> Response:
        if (refusal := _refusal(request, clients)) is not None:
            return refusal
        served = _on(clients)
        name = request.path_params["name"]
        if request.method == "DELETE":
            return await _answer(lambda: _removed(served, name))
        make = served.add if request.method == "PUT" else served.renew
        return await _answer(lambda: _made(make, name, local))

    return [
        Route("/lan", listed, methods=["GET"]),
        Route("/lan/{name}", changed, methods=["PUT", "POST", "DELETE"]),
    ]


def _on(clients: Clients | None) -> Clients:
    assert clients is not None  # noqa: S101  # for mypy: see `_refusal`
    return clients


def _refusal(request: Request, clients: Clients | None) -> Response | None:
    if request.client is not None:
        reason = b"lan: only over the agent's socket (story-agent lan)"
        return respond(Answer(Code.FORBIDDEN, reason))
    if clients is None:
        return respond(Answer.from_text(Code.CONFLICT, OFF))
    return None


async def _answer(work: Callable[[], Awaitable[Response]]) -> Response:
    try:
        return await work()
    except WireError as error:
        code, text = Code.BAD_REQUEST, str(error)
    except UnknownClientError as error:
        code, text = Code.NOT_FOUND, str(error)
    except KeyringError as error:
        code, text = Code.CONFLICT, str(error)
    except LocalAccessError as error:
        code, text = Code.SERVICE_UNAVAILABLE, str(error)
    except OSError as error:
        code, text = Code.SERVICE_UNAVAILABLE, f"the keys are not stored: {error.strerror or error}"
    return respond(Answer.from_text(code, f"lan: {text}"))


async def _made(
    make: Callable[[str], Awaitable[Keys]], name: str, local: LocalSettings
) -> Response:
    keys = await make(name)
    return JSONResponse({"name": name, "uri": await _uri(local), **keys.to_json()})


async def _removed(clients: Clients, name: str) -> Response:
    await clients.remove(name)
    return JSONResponse({"removed": name})


async def _uri(local: LocalSettings) -> str:
    """Return where the machine is now; its address may be another one tomorrow.

    Of a link-local one the interface is left out: the client has another, and adds it (RFC 6874 section 1).
    """
    address = local.oscore_address.partition("%")[0]
    if address in {"0.0.0.0", "::"}:  # noqa: S104  # compared, not bound
        address = (await asyncio.to_thread(read_network)).ip or "127.0.0.1"
    return f"coap://{show_server(address, local.oscore_port)}"
