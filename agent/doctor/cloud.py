"""Checks of the network: the cloud's name, its address and its certificate, each with a deadline. Nothing is registered."""

from __future__ import annotations

from agent.doctor.findings import Finding, bad, good, skipped
from agent.doctor.patient import Patient
from agent.link import (
    ClientCertificateError,
    LinkError,
    MissingExtraError,
    OutOfDateError,
    UntrustedError,
)
from agent.link.build import find_entrance
from agent.link.opening import Opener
from agent.words import Words
from base.clock import TrustedTime
from machine.network import read_network
from ota.launch.running import running_release

# Seconds for each phase; a machine that needs longer works, and its owner waits.
PHASE_SECONDS = 4.0

REMEDIES = {
    "resolve": "检查网络和域名服务器，以及身份文件里的 serverAddr",
    "connect": "检查网络、防火墙，以及云是否在这个地址和端口运行",
    "tls": "检查时钟，以及身份文件里的 CA 是否是这个云的；公共 Wi-Fi 可能要先登录",
}


def check_network(_patient: Patient) -> Finding:
    """Return whether there is a default route."""
    network = read_network()
    if network.type != "none":
        return good("network", f"{network.type} {network.ip}", f"{network.type} {network.ip}")
    return bad(
        "network", Words("没有默认路由", "there is no default route"),
        Words("连接 Wi-Fi 或网线", "connect the Wi-Fi or a cable"),
    )  # fmt: skip


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
        return bad("cloud", Words(f"{server}：{error}", f"{server}: {error}"), _remedy(error))
    writer.transport.abort()
    return good(
        "cloud", f"{server} 可以连接，证书可信", f"{server} answers, and its certificate is trusted"
    )


def _remedy(error: LinkError) -> Words:
    if isinstance(error, MissingExtraError):
        return Words("pip install 'story-agent[mqtt]'，或设 link.kind = \"coap\"", error.remedy)
    if isinstance(error, ClientCertificateError):
        return Words(
            "改正设置里的 link.client_certificate 和 link.client_key，或去掉它们", error.remedy
        )
    if isinstance(error, OutOfDateError):
        return Words("检查时钟；若时钟正确，云要更换证书", error.remedy)
    if isinstance(error, UntrustedError):
        return Words("身份文件里的 CA 不是这个云的，或有人截断连接", error.remedy)
    return Words(REMEDIES.get(error.phase, "机器会自己再连接"), error.remedy)
