"""Why a link ended or does not come about, in Chinese, for `agent.words.causes`: over framed CoAP and over a broker.

Each text stands in English where it is made: in `agent.link`, `transport` and `wire.framing`.
"""

from __future__ import annotations

EXACT: dict[str, tuple[str, str]] = {
    "the connection to the broker is lost": ("与消息服务器的连接断了", ""),
    "the other side stopped reading": ("对方不再读取", ""),
    "the host has no address": ("主机没有地址", ""),
    "not subscribed: the connection is closed": ("没有订阅成功：连接已断开", ""),
    "its key is encrypted, expected one without a password": ("密钥有密码，应为没有密码的", ""),
    "replaced by a newer registration of the same device": ("同一台设备重新注册了", ""),
    "a code such as 2.05": ("一个代码，如 2.05", ""),
    # A broker's reasons (MQTT 5 section 2.4), as paho names them.
    "Not authorized": ("没有权限", ""),
    "Bad user name or password": ("用户名或密码不对", ""),
    "Client identifier not valid": ("客户端名不对", ""),
    "Bad authentication method": ("认证方式不对", ""),
    "Banned": ("被禁止", ""),
    "Server unavailable": ("服务器不可用", ""),
    "Server busy": ("服务器忙", ""),
    "Server shutting down": ("服务器正在关闭", ""),
    "Session taken over": ("另一个连接用了同一个身份", ""),
    "Administrative action": ("管理员断开了它", ""),
    "Keep alive timeout": ("太久没有心跳", ""),
    "Quota exceeded": ("超过了限额", ""),
    "Packet too large": ("消息太大", ""),
    "Message rate too high": ("消息太频繁", ""),
    "Connection rate exceeded": ("连接太频繁", ""),
    "Use another server": ("要用另一个服务器", ""),
    "Server moved": ("服务器搬走了", ""),
    "Unsupported protocol version": ("协议版本不支持", ""),
    "Protocol error": ("协议错误", ""),
    "Malformed packet": ("消息格式不对", ""),
    "Unspecified error": ("没有说明的错误", ""),
    "Implementation specific error": ("服务器自己的错误", ""),
}  # fmt: skip

PATTERNS: tuple[tuple[str, str, str], ...] = (
    (r"the broker does not answer within ([\d.]+) s", "消息服务器 {0} 秒没有回答", ""),
    (r"no word of the broker within ([\d.]+) s", "消息服务器 {0} 秒没有回答", ""),
    (r"the broker is silent for ([\d.]+) s", "消息服务器 {0} 秒没有动静", ""),
    (r"the broker sent what is not MQTT: (.+)", "对方发来的不是 MQTT（{0}）", ""),
    (r"the broker ends the connection: (.+)", "消息服务器断开了连接：{0!}", ""),
    (r"connection: the broker says (.+) \((\d+)\)", "消息服务器说“{0!}”（{1}）", ""),
    (r"publish: the broker says (.+) \((\d+)\)", "消息服务器不收这条消息：“{0!}”（{1}）", ""),
    (r"subscription to (\S+): the broker says (.+) \((\d+)\)", "订阅 {0} 被消息服务器拒绝：“{1!}”（{2}）", ""),
    (r"(\d+) messages wait for the broker already", "已有 {0} 条消息在等消息服务器", ""),
    (r"the report was not taken: (.+)", "报告没有被收下：{0!}", ""),
    (r"the broker denies reports, which are kept: (.+)", "消息服务器不收报告，报告先留着：{0!}", ""),
    (r"a report failed: (.+)", "一个报告没有送到：{0!}", ""),
    (r"the cloud's answer is not read: (.+)", "云的回答读不懂：{0!}", ""),
    (r"link\.client_certificate (.+): expected a certificate and the key that belongs to it(?: and (.+))?, in PEM \((.+)\)",
     "link.client_certificate {0}：应为 PEM 格式的证书和它的密钥 {1}（{2}）", ""),
    (r"link\.client_certificate (.+?): (.+)", "link.client_certificate {0}：{1!}", "link.client_certificate {0}: {1!}"),
    (r"paho-mqtt is missing: (.+)", "没有安装 paho-mqtt：{0!}", ""),
    (r"connection lost: (.+)", "连接断了：{0!}", "connection lost: {0!}"),
    (r"silent for (\d+) s, and does not answer a ping", "{0} 秒没有动静，也不回答询问", ""),
    (r"silent for ([\d.]+) s", "{0} 秒没有动静", ""),
    (r"bad magic: got (\S+), expected (\S+)", "对方发来的不是帧：开头是 {0}，应为 {1}", ""),
    (r"frame length: got (\d+) bytes, expected (\d+) to (\d+)", "帧长不对：{0} 字节，应为 {1} 到 {2}", ""),
    (r"the exchange failed: (.+)", "这次请求出错：{0}", ""),
)  # fmt: skip
