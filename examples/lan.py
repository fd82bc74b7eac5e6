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
IN_HEX = ("sender-id_hex", "recipient-id_hex", "secret_hex", "salt_hex")
AGAIN = "story-agent lan renew NAME on the machine prints it anew"


def read_uri(keys: Path) -> str:
    """Return where the machine is, and end with what is wrong with the file; it is a secret, so its content is not shown."""
    file = keys / "secret.json"
    try:
        told = json.loads(file.read_text("utf-8"))
    except OSError as error:
        sys.exit(f"{file}: {error.strerror}: put there what story-agent lan add NAME has printed")
    except (ValueError, RecursionError):
        sys.exit(f"{file}: damaged: expected one JSON object; {AGAIN}")
    if not isinstance(told, dict):
        sys.exit(f"{file}: damaged: expected one JSON object; {AGAIN}")
    for name in ("uri", *IN_HEX):
        if not isinstance(told.get(name), str):
            sys.exit(f"{file}: damaged: {name}: expected a string; {AGAIN}")
        if name in IN_HEX and not is_hex(told[name]):
            sys.exit(f"{file}: damaged: {name}: expected hexadecimal digits; {AGAIN}")
    if not told["uri"].startswith("coap://"):
        sys.exit(f"{file}: damaged: uri: expected coap://ADDRESS:PORT; {AGAIN}")
    return str(told["uri"])


def is_hex(text: str) -> bool:
    try:
        return bytes.fromhex(text).hex() == text.lower()
    except ValueError:
        return False


async def main(keys: Path, uri: str, method: str, name: str, value: str = "") -> None:
    context = await aiocoap.Context.create_client_context()
    try:
        load_keys(context, keys, uri)
        await ask(context, f"{uri}/{name}", method, value)
    finally:
        await context.shutdown()


def load_keys(context: aiocoap.Context, keys: Path, uri: str) -> None:
    try:
        context.client_credentials.load_from_dict({f"{uri}/*": {"oscore": {"basedir": str(keys)}}})
    except TimeoutError:
        sys.exit(f"{keys}: another program uses these keys: each needs its own")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        sys.exit(
            f"{keys}: damaged ({error or type(error).__name__}); {AGAIN}, into an empty folder"
        )


async def ask(context: aiocoap.Context, uri: str, method: str, value: str) -> None:
    observes = method == "OBSERVE"
    code = aiocoap.GET if observes else aiocoap.Code[method]
    message = aiocoap.Message(
        code=code, uri=uri, payload=value.encode(), observe=0 if observes else None
    )
    request = context.request(message)
    answer = await asyncio.wait_for(request.response, PATIENCE)
    print(answer.payload.decode() or "done", flush=True)
    if not answer.code.is_successful():
        raise SystemExit(1)
    if observes:
        async for change in request.observation:
            print(change.payload.decode(), flush=True)


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
except (Error, TimeoutError, OSError, ValueError) as error:
    sys.exit(f"no answer: {error or type(error).__name__}")
