"""A data point of somebody else's package, held so that what it does wrong stays its own.

Dispatch, status and watcher ask every data point; an error of one must not be an error of all.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection
from dataclasses import replace

from machine.errors import UnavailableError
from resources.datapoint import DataPoint
from wire.datapoints import (
    DataPointDescription,
    DataType,
    Method,
    Value,
    format_value,
    parse_description,
    parse_value,
)
from wire.errors import FieldError, WireError
from wire.reports import KEYS_SYSTEM
from wire.utterance_times import KEY_UTTERANCE_TIMES

# As a path on the device, a member of the cloud's history, and a word of the command line.
NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
RESERVED = KEYS_SYSTEM | {
    KEY_UTTERANCE_TIMES, "lan", "listen", "metrics", "newfirmware", "page", "resource", "status", "voice", "wake",
}  # fmt: skip
"""What else the machine reports or answers by such a name."""

_log = logging.getLogger(__name__)


def check_description(described: object, taken: Collection[str]) -> None:
    """Check what a package says of its data point; raises WireError that names the member."""
    if not isinstance(described, DataPointDescription):
        raise FieldError("description", described, "a wire.datapoints.DataPointDescription")
    if not isinstance(described.name, str) or not NAME.fullmatch(described.name):
        raise FieldError("name", described.name, "1 to 32 of a-z, 0-9 and _, a letter first")
    if described.name in RESERVED or described.name in taken:
        raise FieldError("name", described.name, "a name that nothing else on the machine has")
    if described.path:
        raise FieldError("path", described.path, f"none: it is /{described.name}")
    if not isinstance(described.type, DataType):
        raise FieldError("type", described.type, "a wire.datapoints.DataType")
    parse_description(described.to_json())
    if Method.GET not in described.methods:
        raise FieldError("methods", described.methods, "GET among them")


class GuardedPoint(DataPoint):
    """Passes on to a package's data point; what that may not do becomes an error that names it."""

    def __init__(self, point: DataPoint) -> None:
        """Guard ``point``, whose description `check_description` has checked."""
        self._point = point
        self.description = replace(point.description)  # type: ignore[misc]  # each has its own
        self._told: set[str] = set()

    async def get(self) -> Value:
        """Return the value, which fits the description. Raises RefusedError, UnavailableError."""
        value = await self._point.get()
        kind = {DataType.INT: int, DataType.BOOL: bool, DataType.STRING: str}[self.description.type]
        name = self.description.name
        if type(value) is not kind:
            raise UnavailableError(f"{name}: its package gave {value!r:.80}, expected {kind.__name__}")  # fmt: skip
        try:
            return parse_value(self.description, format_value(value))
        except WireError as error:
            raise UnavailableError(
                f"{name}: its package gave what it does not describe: {error}"
            ) from error

    @property
    def is_polled(self) -> bool:
        """True: a package has no other way to report."""
        return True

    async def put(self, value: Value) -> None:
        """Set the value. Raises RefusedError, UnavailableError."""
        await self._point.put(value)

    @property
    def back_end(self) -> str:
        """What the package says that it controls."""
        try:
            return f"{self._point.back_end}"
        except Exception as error:  # noqa: BLE001  # see the module's head
            return f"a package's, which does not tell: {self._tell('back_end', error)}"

    async def run(self) -> None:
        """Do the package's work in the background."""
        await self._point.run()

    def check_local(self, name: str) -> str | None:
        """Return why a PUT from the machine itself is refused."""
        try:
            reason = self._point.check_local(name)
        except Exception as error:  # noqa: BLE001  # see the module's head
            self._tell("check_local", error)
            return None
        return None if reason is None else f"{reason}"

    def note_local(self) -> None:
        """Note that a PUT from the machine itself has succeeded."""
        try:
            self._point.note_local()
        except Exception as error:  # noqa: BLE001  # see the module's head
            self._tell("note_local", error)

    async def close(self) -> None:
        """Release what the package holds."""
        try:
            await self._point.close()
        except Exception as error:  # noqa: BLE001  # see the module's head
            self._tell("close", error)

    def _tell(self, method: str, error: Exception) -> str:
        """Log an error of a package once for each of its methods; return it in words."""
        if method not in self._told:
            self._told.add(method)
            _log.error("%s.%s: the package fails", self.description.name, method, exc_info=error)
        return f"{error or type(error).__name__}"
