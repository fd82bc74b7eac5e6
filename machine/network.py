"""The machine's network, for ``device_info``; read from /proc and /sys without any traffic."""

from __future__ import annotations

import fcntl
import socket
import struct
from pathlib import Path

from wire.records import dataclass

# netdevice(7)
SIOCGIFADDR = 0x8915


@dataclass(frozen=True, slots=True)
class NetworkInfo:
    """The interface of the default route; unknown members are empty."""

    type: str = ""
    mac: str = ""
    ip: str = ""


def read_network(proc: Path = Path("/proc"), sys_net: Path = Path("/sys/class/net")) -> NetworkInfo:
    """Describe the interface of the default route; without one, the type is "none"."""
    name = _default_interface(proc / "net/route")
    if not name:
        return NetworkInfo(type="none")
    folder = sys_net / name
    kind = (
        "WIFI" if (folder / "wireless").exists() or (folder / "phy80211").exists() else "ETHERNET"
    )
    return NetworkInfo(kind, _read(folder / "address"), _address(name))


def _default_interface(routes: Path) -> str:
    for line in _read(routes).splitlines()[1:]:
        columns = line.split()
        if len(columns) > 7 and columns[1] == "00000000" and columns[7] == "00000000":
            return columns[0]
    return ""


def _address(name: str) -> str:
    request = struct.pack("256s", name.encode()[:15])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            answer = fcntl.ioctl(probe.fileno(), SIOCGIFADDR, request)
        except OSError:
            return ""
    return socket.inet_ntoa(answer[20:24])


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
