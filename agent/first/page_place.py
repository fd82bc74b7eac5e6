"""Where a phone at home finds the machine's own page, for those who set it up: its address, and what it is logged in with."""

from __future__ import annotations

import socket
from pathlib import Path

from agent.local.names import host_label
from agent.settings import LocalSettings, SettingsError, load_settings
from agent.words import Words
from machine.network import NetworkInfo, read_network

HTTPS_PORT = 443


def page_line(config: Path | None) -> Words | None:
    """Return what to tell of the page, None where it is off, or the settings do not say."""
    try:
        local = load_settings(config).local
    except SettingsError:  # whoever starts the agent is told why
        return None
    if not local.https_port:
        return None
    return told(page_address(local, read_network(), socket.gethostname()))


def told(address: str) -> Words:
    """Return the line that names the page's address."""
    return Words(
        f"设备网页：{address}（用标签上的绑定码登录）",
        f"device page: {address} (log in by the bind token of the label)",
    )


def page_address(local: LocalSettings, network: NetworkInfo, host: str) -> str:
    """Return the page's URL, by the name that is announced, else by the address of now, else by the host's name."""
    if local.announce:
        name = f"{host_label(host, network.mac)}.local"
    elif local.https_address in {"0.0.0.0", "::"}:  # noqa: S104  # compared, not bound
        name = network.ip or f"{host}.local"
    else:
        name = local.https_address.partition("%")[0]
    if ":" in name:
        name = f"[{name}]"
    return f"https://{name}/" if local.https_port == HTTPS_PORT else f"https://{name}:{local.https_port}/"  # fmt: skip
