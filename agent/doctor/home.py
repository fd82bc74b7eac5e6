"""The doctor's check of the local ports and the home network: what is missing, in use, damaged or not set up."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping

from agent.doctor.findings import Finding, bad, good, hint, skipped
from agent.doctor.patient import Patient
from agent.local.keyring import FOLDER_NAME, Keyring
from agent.settings import LocalSettings
from agent.words import Words
from agent.words.causes import explain

CHECK = "home"
_PORTS = ("http_port", "https_port", "coap_port", "oscore_port")
_ANOTHER_PORT = Words(
    "在 agent.toml 里换一个端口，或停掉占用它的程序（ss -tulpn）",
    "name another port in agent.toml, or end the program that has it (ss -tulpn)",
)
_ANOTHER_RIGHT = Words(
    "在 agent.toml 里换一个 1024 以上的端口", "name a port above 1023 in agent.toml"
)
_LOG = Words("journalctl -u story-agent 看原因", "journalctl -u story-agent says more")
# What the agent says about a port, and what helps; the first that is in it counts.
_REMEDIES = {"Address already in use": _ANOTHER_PORT, "Permission denied": _ANOTHER_RIGHT}
# How the agent says that an extra is missing, with what to install.
_MISSING = " is missing: "


def check_home(patient: Patient) -> list[Finding]:
    """Return whether what the settings want is served, and to whom."""
    local = patient.settings.local
    wanted = [f"{name} {port}" for name in _PORTS if (port := getattr(local, name))]
    if not wanted:
        return [skipped(CHECK, "没有打开本地端口", "no local port is wanted")]
    faults = [*_missing(local), *_faults(patient), *_clients(patient)]
    return faults or [good(CHECK, ", ".join(wanted), ", ".join(wanted))]


def _missing(local: LocalSettings) -> Iterator[Finding]:
    wanted = {"oscore": local.oscore_port and ("cbor2", "filelock"), "mdns": local.announce and ("zeroconf",)}  # fmt: skip
    for extra, modules in wanted.items():
        missing = [name for name in modules or () if importlib.util.find_spec(name) is None]
        if missing:
            names, install = ", ".join(missing), f"pip install 'story-agent[{extra}]'"
            yield bad(
                CHECK, Words(f"没有安装 {names}", f"{names} is missing"), Words(install, install)
            )


def _faults(patient: Patient) -> Iterator[Finding]:
    faults = patient.says("faults")
    for name, text in faults.items() if isinstance(faults, Mapping) else ():
        if name.startswith("local.") and _MISSING not in str(text):  # see `_missing`
            told = explain(str(text))
            remedy = next((_REMEDIES[each] for each in _REMEDIES if each in str(text)), _LOG)
            yield bad(CHECK, Words(f"{name}：{told.zh}", f"{name}: {told.en}"), remedy)


def _clients(patient: Patient) -> Iterator[Finding]:
    if not patient.settings.local.oscore_port:
        return
    try:
        entries = Keyring(patient.state / FOLDER_NAME).read()
    except OSError as error:
        told = explain(str(error.strerror or error))
        yield bad(
            CHECK, Words(f"客户端的密钥读不出来：{told.zh}", f"the clients' keys cannot be read: {told.en}"),
            Words("用 sudo 再试；检查存储卡", "try again with sudo; check the card"),
        )  # fmt: skip
        return
    for entry in entries:
        if entry.keys is None:
            again, told = f"story-agent lan renew {entry.name}", explain(entry.fault)
            yield bad(
                CHECK, Words(f"客户端 {entry.name} 的文件已损坏：{told.zh}", f"client {entry.name} is damaged: {told.en}"),
                Words(again, again),
            )  # fmt: skip
    if not entries:
        yield hint(
            CHECK, Words("家庭网络上还没有客户端", "no client on the home network has keys"),
            Words("story-agent lan add 名称 > secret.json", "story-agent lan add NAME > secret.json"),
        )  # fmt: skip
