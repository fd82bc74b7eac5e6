"""What each side of the link says that it reads, so that nothing is sent that the other cannot use.

The device names them in ``device_info`` (``"reads": ["deadline", …]``), the cloud in its answer to
the registration. Firmware and clouds that name none are sent what the device document has, no more.
A name that a reader does not know is kept and means nothing to it.
"""

from __future__ import annotations

from collections.abc import Mapping

from wire.errors import FieldError

Abilities = frozenset[str]

# Read by devices: requests may carry the time after which they are refused (docs/adr/0033).
DEADLINE = "deadline"
# Read by devices: ``PUT /answer``, the cloud's answer to an utterance.
ANSWER = "answer"
ANSWER_PATH = (ANSWER,)
# Read by devices whose owner lets the cloud open the microphone: ``POST /listen`` (docs/adr/0031).
LISTEN = "listen"
LISTEN_PATH = (LISTEN,)
# Read by clouds: the report ``utterance_times``, how long each part of listening took.
UTTERANCE_TIMES = "utterance_times"
# Read by clouds: a report may have a number, by which a repeated one is dropped.
NUMBER = "number"
# Read by clouds: reports may come in batches and out of order, each with its time (docs/adr/0034).
BATCH = "batch"
# Read by devices: ``PUT /family``, a new bind token and whose the machine is (docs/adr/0051, `wire.family`).
FAMILY = "family"
# Read by clouds: the report ``voice_erase``, utterances that a parent erases on the machine (`wire.family`).
VOICE_ERASE = "voice_erase"
# Read by devices: ``/diag``, by which the machine's owner fetches its diagnosis at the cloud (`wire.diag`).
DIAG = "diag"
DIAG_PATH = (DIAG,)
# Read by both: an empty CON is answered, so that a quiet link can be tested (RFC 7252 section 4.3).
PING = "ping"

MEMBER = "reads"
# A peer cannot fill memory with names.
NAMES_LIMIT = 32
NAME_LENGTH_LIMIT = 32

# What this version of either side reads; a part that reads more adds its name here.
DEVICE_READS: Abilities = frozenset({ANSWER, DEADLINE, DIAG, FAMILY, PING})
CLOUD_READS: Abilities = frozenset({BATCH, NUMBER, PING, UTTERANCE_TIMES, VOICE_ERASE})


def parse_reads(source: Mapping[str, object], *, path: str = "") -> Abilities:
    """Return the names in the member ``reads``; none if there is no such member.

    Raises:
        FieldError: it is not a list of at most NAMES_LIMIT short strings.
    """
    value = source.get(MEMBER, [])
    if not isinstance(value, list) or len(value) > NAMES_LIMIT:
        raise FieldError(path + MEMBER, value, f"a list of at most {NAMES_LIMIT} names")
    names = [name for name in value if isinstance(name, str) and len(name) <= NAME_LENGTH_LIMIT]
    if len(names) < len(value):
        expected = f"names of at most {NAME_LENGTH_LIMIT} characters"
        raise FieldError(path + MEMBER, value, expected)
    return frozenset(names)


def to_json(reads: Abilities) -> list[str]:
    """Return the value of the member ``reads``, in a fixed order."""
    return sorted(reads)
