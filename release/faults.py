"""What is known of faults in the parts of our packages: the signers' file, from which VEX is made.

The words for state, justification and response are CycloneDX's.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from base.files import read_given
from release.errors import ReleaseToolError
from release.parts import canonical
from wire.errors import FieldError, WireError
from wire.fields import get_string, is_object

FAULTS_FILE = Path(__file__).with_name("faults.toml")
STATES = (
    "resolved", "resolved_with_pedigree", "exploitable", "in_triage", "false_positive", "not_affected",
)  # fmt: skip
NOT_AFFECTED = "not_affected"
JUSTIFICATIONS = (
    "code_not_present", "code_not_reachable", "requires_configuration", "requires_dependency", "requires_environment",
    "protected_by_compiler", "protected_at_runtime", "protected_at_perimeter", "protected_by_mitigating_control",
)  # fmt: skip
RESPONSES = ("can_not_fix", "will_not_fix", "update", "rollback", "workaround_available")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is known of one fault in one part.

    Attributes:
        id: such as "CVE-2026-12345".
        part: the name of the distribution.
        versions: which of its versions have the fault; none: all.
        state: one of STATES.
        detail: what it means for a story machine, in words.
        justification: why it is not affected, one of JUSTIFICATIONS; "": for other states.
        response: what we do about it, one of RESPONSES; "": nothing is said.
    """

    id: str
    part: str
    versions: tuple[str, ...]
    state: str
    detail: str
    justification: str = ""
    response: str = ""

    def affects(self, name: str, version: str) -> bool:
        """Return whether it is a fault of this part."""
        return self.part == canonical(name) and (not self.versions or version in self.versions)

    def analysis(self) -> dict[str, object]:
        """Return the member ``analysis`` of CycloneDX."""
        told: dict[str, object] = {"state": self.state, "detail": self.detail}
        if self.justification:
            told["justification"] = self.justification
        return told | ({"response": [self.response]} if self.response else {})


def read_faults(file: Path) -> list[Fault]:
    """Read the file; see release/faults.toml for its form.

    Raises:
        ReleaseToolError: it is not TOML, or an entry is not valid: names it, the field and the value.
        OSError: it cannot be read.
    """
    try:
        source = tomllib.loads(read_given(file).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ReleaseToolError(f"{file}: not TOML: {error}") from error
    entries = source.pop("fault", [])
    if source or not isinstance(entries, list):
        found = next(iter(source), "fault")
        raise ReleaseToolError(f"{file}: got {found!r}, expected nothing but [[fault]]")
    try:
        return [_fault(entry, f"fault[{n}].") for n, entry in enumerate(entries)]
    except WireError as error:
        raise ReleaseToolError(f"{file}: {error}") from error


def _fault(source: object, path: str) -> Fault:
    if not is_object(source):
        raise FieldError(path.rstrip("."), source, "a table")
    if unknown := source.keys() - set(Fault.__dataclass_fields__):
        raise FieldError(path + min(unknown), source[min(unknown)], "no such field")
    state = _one_of(source, "state", STATES, path)
    if state == NOT_AFFECTED:
        get_string(source, "justification", path=path)
    return Fault(
        id=get_string(source, "id", path=path),
        part=canonical(get_string(source, "part", path=path)),
        versions=_strings(source, "versions", path),
        state=state,
        detail=get_string(source, "detail", path=path),
        justification=_one_of(source, "justification", ("", *JUSTIFICATIONS), path),
        response=_one_of(source, "response", ("", *RESPONSES), path),
    )


def _one_of(source: Mapping[str, object], name: str, words: tuple[str, ...], path: str) -> str:
    value = source.get(name, "")
    if not isinstance(value, str) or value not in words:
        raise FieldError(path + name, value, " or ".join(filter(None, words)))
    return value


def _strings(source: Mapping[str, object], name: str, path: str) -> tuple[str, ...]:
    value = source.get(name, [])
    if not isinstance(value, list) or not all(isinstance(it, str) and it for it in value):
        raise FieldError(path + name, value, "a list of versions")
    return tuple(value)
