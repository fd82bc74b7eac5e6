"""A program on the home network: reads, sets and observes a story machine's data points, encrypted by OSCORE.

    python examples/lan.py KEYS GET volume
    python examples/lan.py KEYS PUT volume 7
    python examples/lan.py KEYS OBSERVE player
    python examples/lan.py KEYS GET .well-known/core

KEYS is a folder for this program alone, with the secret.json that `story-agent lan add NAME` has printed. It needs
`pip install 'aiocoap[oscore]'`, which keeps its numbers in the same folder.
"""

# ruff: noqa: D103, INP001, T201  # a script to read from top to bottom
import asyncio
import json
import sys
from pathlib import Path

import aiocoap
from aiocoap.error import Error
from aiocoap.oscore import NotAProtectedMessage

# Seconds: a machine that is off does not answer.
PATIENCE = 15


def read_uri(keys: Path) -> str:
    return str(json.loads((keys / "secret.json").read_text())["uri"])


async def main(keys: Path, uri: str, method: str, name: str, value: str = "") -> None:
    context = await aiocoap.Context.create_client_context()
    context.client_credentials.load_from_dict({f"{uri}/*": {"oscore": {"basedir": str(keys)}}})
    observes = method == "OBSERVE"
    code = aiocoap.GET if observes else aiocoap.Code[method]
    message = aiocoap.Message(
        code=code, uri=f"{uri}/{name}", payload=value.encode(), observe=0 if observes else None
    )
    request = context.request(message)
    try:
        answer = await asyncio.wait_for(request.response, PATIENCE)
        print(answer.payload.decode() or "done", flush=True)
        if not answer.code.is_successful():
            raise SystemExit(1)
        if observes:
            async for change in request.observation:
                print(change.payload.decode(), flush=True)
    finally:
        await context.shutdown()


if len(sys.argv) not in {4, 5} or sys.argv[2] not in {"GET", "PUT", "OBSERVE"}:
    sys.exit(__doc__)
folder = Path(sys.argv[1])
try:
    asyncio.run(main(folder, read_uri(folder), *sys.argv[2:]))
except KeyboardInterrupt:
    pass
except NotAProtectedMessage as error:
    words = error.plain_message.payload.decode(errors="replace")
    sys.exit(f"the machine refused: {words} (story-agent lan renew NAME makes new keys)")
except (Error, TimeoutError, OSError, KeyError, ValueError) as error:
    sys.exit(f"no answer: {error or type(error).__name__}")
