"""What to do about a link that is down, in Chinese: by the English texts of `agent.link`'s errors."""

from __future__ import annotations

from collections.abc import Mapping

from agent.words import Words

CHINESE: Mapping[str, str] = {
    "nothing: the machine connects again by itself": "不用做什么：机器会自己再连接",
    "check the machine's network and name server, and serverAddr in its profile":
        "检查网络和域名服务器，以及身份文件里的 serverAddr",
    "check the machine's network, a firewall, and that the cloud runs at this address and port":
        "检查网络、防火墙，以及云是否在这个地址和端口运行",
    "log in if the network shows a log-in page first; else check what answers at this port":
        "若网络要先登录，请登录；否则检查这个端口上是什么程序",
    "check serverAddr and rsaCaCrt in the profile, and the certificate of the cloud":
        "检查身份文件里的 serverAddr 和 rsaCaCrt，以及云的证书",
    "set the machine's clock right, or renew the certificate of the cloud":
        "校准机器的时钟，或更换云的证书",
    "pip install 'story-agent[mqtt]', or set link.kind = \"coap\"":
        "pip install 'story-agent[mqtt]'，或设 link.kind = \"coap\"",
    "put link.client_certificate and link.client_key right in the settings, or leave them out":
        "改正设置里的 link.client_certificate 和 link.client_key，或去掉它们",
    "check the cloud and its log: it answers, and does not accept this device":
        "检查云和它的日志：它有回答，但不接受这台设备",
    "nothing if it passes: the machine connects again by itself; if it lasts, check the cloud and its log":
        "若很快恢复，不用做什么：机器会自己再连接；若一直如此，检查云和它的日志",
    "flash the profile that belongs to this machine, or register it with the cloud":
        "写入属于这台机器的身份文件，或在云里登记它",
    "flash a profile of its own to one of the two machines (a card was copied)":
        "给其中一台写入它自己的身份文件（有人复制了存储卡）",
    "let this device write below story/{uuid}/up and read below story/{uuid}/down in the broker's access list":
        "在消息服务器的访问列表里，允许这台设备写 story/{uuid}/up、读 story/{uuid}/down",
    "check that the cloud's workers run behind this broker, and that its access list lets this device read below story/{uuid}/down":
        "检查云的进程是否在这个消息服务器后面运行，以及它的访问列表是否允许这台设备读 story/{uuid}/down",
    "nothing: the report is kept and sent again; if it lasts, check the cloud's store":
        "不用做什么：报告会保留并重发；若一直如此，检查云的数据库",
}  # fmt: skip


def remedy_of(text: str) -> Words:
    """Return a link's remedy in both languages."""
    return Words(CHINESE.get(text, text), text)
