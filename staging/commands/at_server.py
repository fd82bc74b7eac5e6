"""Commands that the running server carries out for the command line, which then imports neither the store nor its library.

That is most of a command's time. What is not in `ASKED`, and everything where no server runs, the command does itself:
what takes long, what reads or writes files of whoever typed it, and what asks the server for something else anyway.
`staging.commands.runs` is the other side.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from staging.commands.asking import REQUEST_LIMIT, SOCKET_NAME, UnknownWorkError, ask
from staging.commands.audited import READS, system_user
from staging.commands.common import DATABASE_VARIABLE, Result
from staging.errors import NoServerError, StagingError, StoreFaultError
from wire.fields import dump_object

WORK = "run"
ASKED = frozenset(
    {
        "device list", "device add", "device tag", "device profile", "device token renew",
        "bind-token list", "bind-token renew",
        "app list", "app add", "app origins", "app bind", "app unbind", "app secret renew",
        "account list", "account role", "account disable", "account enable", "session revoke",
        "token", "token list", "token revoke", "token expire", "audit list",
        "product list", "batch list",
        "datapoint list", "datapoint add", "datapoint template", "datapoint remove",
        "release list", "release verify", "release pass", "sbom list",
        "strategy list", "strategy add", "strategy publish", "strategy withdraw",
        "rollout show", "rollout start", "rollout pause", "rollout resume", "rollout withdraw",
        "rollout retry", "rollout open", "rollout phases",
        "alarm list", "alarm ack", "alarm settings", "alarm webhook list", "health", "heard",
    }
)  # fmt: skip
"""The commands that need nothing but the store."""
# With these a command reads or writes a file, or tells about itself; argparse takes their beginnings too.
OWN = ("--csv", "--token-file", "--help")


@dataclass(frozen=True)
class Given:
    """A command line: the options that all commands have, and its other words in their order."""

    data: Path
    database: str | None
    json: bool
    words: tuple[str, ...]

    @property
    def asked(self) -> str | None:
        """The name of the command in `ASKED`; None: it is none of these."""
        if any(map(_is_own, self.words)):
            return None
        names = (" ".join(self.words[:count]) for count in (3, 2, 1))
        return next((name for name in names if name in ASKED), None)


def _is_own(word: str) -> bool:
    name = word.partition("=")[0]
    if not name.startswith("--"):
        return name.startswith("-h")
    return any(own.startswith(name) for own in OWN)


def run(given: Given) -> tuple[Result, bool] | None:
    """Have the running server carry a command out; None: the command must do it itself.

    Returns what the command found, and whether that is printed as JSON.

    Raises:
        StagingError: what the command would say; or that nobody knows whether it was done.
    """
    name = given.asked
    if name is None or not os.access(given.data / SOCKET_NAME, os.W_OK):
        return None
    request = {
        "words": list(given.words),
        "json": given.json,
        "database": given.database or os.environ.get(DATABASE_VARIABLE, ""),
        "user": system_user(os.environ),
    }
    try:
        if len(dump_object({WORK: request})) >= REQUEST_LIMIT:
            return None
    except UnicodeEncodeError:  # bytes of the command line that are no text: the command says which
        return None
    try:
        told = ask(given.data, WORK, request)
    except (NoServerError, UnknownWorkError):
        return None
    except StagingError as error:
        if name in READS:
            return None
        raise StagingError(f"{error}; look whether it was done") from error
    return _result(told)


def _result(told: dict[str, object]) -> tuple[Result, bool] | None:
    if told.get("own"):
        return None
    failed = told.get("failed")
    if failed is not None:
        zh = told.get("failed_zh")
        raise StoreFaultError(str(zh), str(failed)) if zh else StagingError(str(failed))
    value, lines, code = told.get("value"), told.get("lines"), told.get("code")
    if isinstance(value, dict) and isinstance(lines, list) and isinstance(code, int):
        if note := told.get("note"):
            print(f"story-cloud: {note}", file=sys.stderr)
        return Result(value, [str(line) for line in lines], code), told.get("json") is True
    raise StagingError(f"the server's answer is none: {sorted(told)}")
