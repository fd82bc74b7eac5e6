"""The one package that an update may install, and the decision whether an order's package is it.

No I/O: `ota.trust.client` reads the signed entry, and `check_target` compares it with this machine
and the order. The order can only refuse: what a `Target` holds comes from signed metadata.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ota.errors import ContentError
from ota.trust.terms import MapFile, ThisMachine, admit, parse_terms
from wire.errors import WireError, show
from wire.ota import OtaOrder
from wire.records import dataclass

if TYPE_CHECKING:
    from tuf.api._payload import TargetFile  # tuf.api.metadata's, which mypy sees only there


@dataclass(frozen=True, slots=True)
class Target:
    """A package that signed metadata admits: its path there, length in bytes and SHA-256 (hex).

    ``data_budget``: total bytes that its download may cost; None: the machine's default limit.
    ``map``: the map for fetching only missing parts of an image; None: it is fetched whole.
    """

    path: str
    length: int
    sha256: str
    version: str
    product: str
    data_budget: int | None = None
    map: MapFile | None = None


def target_path(product: str, version: str) -> str:
    """Return the target path of a product's version."""
    return f"{product}/{version}.tar.gz"


def map_file_name(version: str, sha256: str) -> str:
    """Return the name of the map with that hash, which is next to the package of ``version``."""
    return f"{sha256}.{version}.map"


def target_file_names(version: str, sha256: str) -> tuple[str, str]:
    """Return the names that a package's URL may end in: consistent-snapshot, and plain."""
    return f"{sha256}.{version}.tar.gz", f"{version}.tar.gz"


def check_target(signed: TargetFile, order: OtaOrder, machine: ThisMachine) -> Target:
    """Check the signed entry against this machine and the order.

    Raises:
        ContentError: they disagree; names the field.
    """
    try:
        terms = parse_terms(signed.custom)
    except WireError as error:
        raise ContentError("bad target", str(error)) from error
    sha256 = signed.hashes.get("sha256")
    if sha256 is None:
        raise ContentError("bad target", "no sha256 in the signed hashes")
    admit(terms, order.version, machine)
    if order.size != signed.length:
        detail = f"ota.size: got {order.size}, expected {signed.length}"
        raise ContentError("wrong size", detail)
    _check_url(order, sha256)
    return Target(
        signed.path,
        signed.length,
        sha256,
        order.version,
        machine.product,
        terms.data_budget,
        terms.map,
    )


def _check_url(order: OtaOrder, sha256: str) -> None:
    names = target_file_names(order.version, sha256)
    try:
        name = unquote(urlsplit(order.url).path).rpartition("/")[2]
    except ValueError as error:
        raise ContentError("wrong URL", f"ota.url: {show(order.url)} is no URL") from error
    if name not in names:
        raise ContentError("wrong URL", f"ota.url: ends in {show(name)}, expected {names[0]}")
