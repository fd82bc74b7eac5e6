"""Checks of the network: the cloud's name, its address and its certificate, each with a deadline. Nothing is registered."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from agent.doctor.findings import Finding, bad, good, hint, skipped
from agent.doctor.patient import Patient
from agent.link import ConnectError, LinkError, ResolveError
from agent.link.build import find_entrance
from agent.link.opening import Opener
from agent.words import Words
from agent.words.causes import explain
from agent.words.remedies import remedy_of
from base.clock import TrustedTime
from machine.network import read_network
from ota.launch.running import running_release
from transport.dial import Address, connect, resolve

# Seconds for each phase; a machine that needs longer works, and its owner waits.
PHASE_SECONDS = 4.0


def check_network(_patient: Patient) -> Finding:
    """Return whether there is a default route."""
    network = read_network()
    if network.type != "none":
        return good("network", f"{network.type} {network.ip}", f"{network.type} {network.ip}")
    return bad(
        "network", Words("没有默认路由", "there is no default route"),
        Words("连接 Wi-Fi 或网线", "connect the Wi-Fi or a cable"),
    )  # fmt: skip


async def check_addresses(patient: Patient) -> list[Finding]:
    """Return what the cloud's name is, and of each of its addresses whether something takes connections there."""
    profile = patient.profile
    if profile is None:
        return [skipped("dns", "没有身份文件", "there is no profile")]
    host, port = profile.server_addr, find_entrance(profile, patient.settings.link).port
    try:
        async with asyncio.timeout(PHASE_SECONDS):
            addresses = await resolve(host, port)
    except (OSError, UnicodeError, TimeoutError) as error:
        told = _told(error)
        cause = Words(f"{host}：{told.zh}", f"{host}: {told.en}")
        return [bad("dns", cause, remedy_of(ResolveError.remedy))]
    named = ", ".join(str(address.sockaddr[0]) for address in addresses)
    found = good("dns", f"{host}：{named}", f"{host}: {named}")
    reached = await asyncio.gather(*(_try(address) for address in addresses))
    return [found, *_judge_addresses(addresses, reached)]


def _judge_addresses(
    addresses: Sequence[Address], reached: Sequence[Words | None]
) -> Iterator[Finding]:
    """Yield a finding for each address: one that is dead beside another costs time and no more."""
    for address, fault in zip(addresses, reached, strict=True):
        if fault is None:
            yield good("address", f"{address} 可以连接", f"{address} takes connections")
            continue
        level = hint if None in reached else bad
        cause = Words(f"{address}：{fault.zh}", f"{address}: {fault.en}")
        yield level("address", cause, remedy_of(ConnectError.remedy))


async def _try(address: Address) -> Words | None:
    """Return why a TCP connection to an address fails, None if it does not."""
    try:
        async with asyncio.timeout(PHASE_SECONDS):
            connection, _ = await connect([address])
    except (OSError, TimeoutError) as error:
        told = str(error).removeprefix(
            f"{address}: "
        )  # `connect` names the address before each reason
        return explain(told) if told else _told(error)
    connection.close()
    return None


def _told(error: Exception) -> Words:
    if isinstance(error, TimeoutError) and not error.args:
        return Words(f"{PHASE_SECONDS:g} 秒没有回应", f"no answer within {PHASE_SECONDS:g} s")
    return explain(getattr(error, "strerror", None) or str(error))


async def check_cloud(patient: Patient) -> Finding:
    """Return whether the cloud's address answers with a certificate that is trusted."""
    profile = patient.profile
    if profile is None:
        return skipped("cloud", "没有身份文件", "there is no profile")
    entrance = find_entrance(profile, patient.settings.link)
    server = entrance.server
    clock = TrustedTime(patient.state / "ota" / "time.json", running_release().built)
    try:
        tls = entrance.tls()
        opener = Opener(profile.server_addr, entrance.port, tls, PHASE_SECONDS, clock)
        (_reader, writer), _end = await opener.open()
    except LinkError as error:
        told = explain(str(error))
        cause = Words(f"{server}：{told.zh}", f"{server}: {told.en}")
        return bad("cloud", cause, remedy_of(error.remedy))
    writer.transport.abort()
    return good(
        "cloud", f"{server} 可以连接，证书可信", f"{server} answers, and its certificate is trusted"
    )
