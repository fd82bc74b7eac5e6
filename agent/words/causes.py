"""What the agent's English texts mean: OpenSSL's, errno's and Python's words as causes, in Chinese and English.

The daemon logs and answers in English, as it comes from the system. Whoever prints such a text for a person asks
`explain` first. A text that is not known stays as it is: half a translation would hide what a maker needs.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Mapping, Sequence

from agent.words import Words, links, parts, values
from agent.words.remedies import CHINESE as REMEDIES
from wire.names import EXPECTED as A_PRODUCT

# By errno; the English name is the system's, which explains itself where no other is given.
_SYSTEM: Mapping[int, tuple[str, str]] = {
    errno.EACCES: ("没有权限", ""),
    errno.EPERM: ("不允许这样做", ""),
    errno.ENOENT: ("没有这个文件或文件夹", ""),
    errno.EISDIR: ("是文件夹，不是文件", ""),
    errno.ENOTDIR: ("路径中有一段不是文件夹", ""),
    errno.EEXIST: ("已经存在", ""),
    errno.ENOSPC: ("存储卡满了", "the card is full"),
    errno.EDQUOT: ("超过了这个用户的配额", ""),
    errno.EROFS: ("存储卡是只读的", "the card is read-only"),
    errno.EIO: ("存储卡读写出错，可能坏了", "the card fails to read or write: it may be worn out"),
    errno.EFBIG: ("文件太大", ""),
    errno.ELOOP: ("链接绕成了圈", ""),
    errno.ENAMETOOLONG: ("名字太长", ""),
    errno.EMFILE: ("打开的文件太多", ""),
    errno.ENODEV: ("没有这个设备", ""),
    errno.ENXIO: ("没有程序在用它，或没有这个设备", ""),
    errno.EBUSY: ("设备正被别的程序使用", "another program uses the device"),
    errno.ENOMEM: ("内存不够", "there is not enough memory"),
    errno.ECONNREFUSED: (
        "对方没有程序在这个端口（拒绝连接）", "nothing listens at this port (connection refused)",
    ),
    errno.ECONNRESET: ("连接被对方断开", "the other side cut the connection"),
    errno.EPIPE: ("连接被对方断开", "the other side closed the connection"),
    errno.ENETUNREACH: ("没有通往那里的网络", "no network leads there"),
    errno.EHOSTUNREACH: ("那台主机不可达", "that host cannot be reached"),
    errno.ETIMEDOUT: ("没有回应（超时）", "no answer (timed out)"),
    errno.EADDRINUSE: ("端口已被别的程序占用", "another program has this port"),
    errno.EADDRNOTAVAIL: ("这台机器没有这个地址", "this machine has no such address"),
}  # fmt: skip

# Exact texts of OpenSSL (X509_verify_cert_error_string(3)), getaddrinfo and ourselves: Chinese, English.
_EXACT: Mapping[str, tuple[str, str]] = {
    "-1, or no light.led beside it: only light.led counts": (
        " -1，或不设 light.led：两个都设时只有 light.led 起作用", ""),
    "a zone that this machine has, such as Asia/Shanghai: hours are judged in its own instead": (
        "这台机器有的时区，例如 Asia/Shanghai：现在按机器自己的时区算", ""),
    "a folder for stories alone, such as media: this one has the agent's own files in it": (
        "只放故事的文件夹，例如 media：这一个里面有代理自己的文件", ""),
    "0, or buttons.input beside it: no key is read": (
        " 0，或同时设 buttons.input：现在没有按键会被读取", ""),
    "self-signed certificate in certificate chain": (
        "证书由身份文件不认识的 CA 签发", "it is signed by a CA that the profile does not know"),
    "self signed certificate in certificate chain": (
        "证书由身份文件不认识的 CA 签发", "it is signed by a CA that the profile does not know"),
    "self-signed certificate": (
        "它是自签的，不是身份文件里的 CA 签发的", "it is signed by itself, not by the CA of the profile"),
    "self signed certificate": (
        "它是自签的，不是身份文件里的 CA 签发的", "it is signed by itself, not by the CA of the profile"),
    "unable to get local issuer certificate": (
        "它不是身份文件里的 CA 签发的", "the CA of the profile has not signed it"),
    "unable to get issuer certificate": (
        "证书链中缺少签发者", "the server does not send the whole chain"),
    "unable to verify the first certificate": (
        "证书链中缺少签发者", "the server does not send the whole chain"),
    "certificate signature failure": ("证书的签名不对", "its signature is wrong"),
    "certificate has expired": ("证书已过期", ""),
    "certificate is not yet valid": ("证书还没有生效", ""),
    "CA md too weak": ("证书的算法太弱", "its CA uses a digest that is too weak"),
    "EE certificate key too weak": ("证书的密钥太短", "its key is too short"),
    "unsuitable certificate purpose": ("它不是服务器的证书", "it is no certificate of a server"),
    "Name or service not known": ("没有这个域名", "there is no such name"),
    "No address associated with hostname": ("这个域名没有地址", "this name has no address"),
    "Temporary failure in name resolution": ("域名服务器没有回答", "no name server answers"),
    "WRONG_VERSION_NUMBER": ("对方说的不是 TLS", "what answers there does not speak TLS"),
    "HTTP_REQUEST": ("对方说的是 HTTP，不是 TLS", "what answers there speaks HTTP, not TLS"),
    "UNEXPECTED_EOF_WHILE_READING": ("对方中途断开", "the other side hung up"),
    "UNSUPPORTED_PROTOCOL": ("对方的 TLS 版本太旧", "the other side's TLS is too old"),
    "TLSV1_ALERT_PROTOCOL_VERSION": ("对方不接受 TLS 1.2 和 1.3", "the other side wants another version of TLS"),
    "NO_SHARED_CIPHER": ("没有共同的加密算法", "no cipher in common"),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": ("对方拒绝握手", "the other side refuses the handshake"),
    "TLSV1_ALERT_UNKNOWN_CA": ("对方不认识本机证书的 CA", "the other side does not know the CA of our certificate"),
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": ("对方要求客户端证书", "the other side wants a client certificate"),
    "DECRYPTION_FAILED_OR_BAD_RECORD_MAC": ("数据在途中被改动", "what arrived was changed on the way"),
    "closed by the other side": ("对方断开了连接", ""),
    "the link to the cloud is down": ("与云的链接断开", ""),
    "the link to the broker is down": ("与消息服务器的链接断开", ""),
    "the cloud did not answer in time": ("云没有及时回答", ""),
    "no cloud listens at the broker now": ("消息服务器上现在没有云", ""),
    **links.EXACT,
    **{text: (chinese, "") for text, chinese in REMEDIES.items()},
    **parts.EXACT,
    **values.EXACT,
    "true or false": ("true 或 false", ""),
    "a path": ("一个路径", ""),
    "a string of printable characters": ("可显示的文字", ""),
    A_PRODUCT: (
        "任何文字的字母和数字，中间可有单个空格、点、短横或下划线；最多 64 个字符（汉字 25 个）；不能是 root、targets、snapshot、timestamp", ""),
    "a string that is not empty": ("非空的文字", ""),
    "a string that is not empty, of printable characters": ("非空、可显示的文字", ""),
    "a string": ("文字", ""),
    "a JSON object": ("JSON 对象", ""),
    "a host name or an IP address": ("主机名或 IP 地址", ""),
    "a CA certificate in PEM": ("PEM 格式的 CA 证书", ""),
    "a CA certificate in PEM (this one is not a CA's)": ("PEM 格式的 CA 证书（这一个不是 CA 的）", ""),
    "a string that holds a JSON object": ("内容为 JSON 对象的文字", ""),
    "the other side closed the connection": ("连接被对方断开", ""),
    "the connection is closed": ("连接已断开", ""),
    "wrong token": ("密钥不对", "the token is wrong"),
    "not registered": ("没有注册", ""),
    "no regular file": ("不是普通文件", ""),
    "the endpoint shut down": ("连接已断开", ""),
    "the other side reset the exchange": ("对方拒绝了这次请求", ""),
    "UTF-8 text": ("UTF-8 文字", ""),
    "not UTF-8 text": ("不是 UTF-8 文字", ""),
    "internal error": ("内部错误", ""),
    "CoAP with OSCORE is off: set local.oscore_port in agent.toml (5683 is usual), and restart": (
        "CoAP（OSCORE）没有打开：在 agent.toml 里设 local.oscore_port（一般用 5683），再重启代理", ""),
    "1 to 32 of a-z, 0-9, - and _, no - or _ first": (" 1 到 32 个 a-z、0-9、-、_，不以 - 或 _ 开头", ""),
    "an IP address of this machine, 0.0.0.0 for all, or one of fe80:: with its interface (fe80::1%eth0)": (
        "这台机器的 IP 地址，0.0.0.0 为所有；fe80:: 的地址要带网卡名（fe80::1%eth0）", ""),
    "no interface with this name": ("没有这个名字的网卡", "there is no network card of this name"),
    "only GET": ("只能读", "it can only be read"),
    "no update was ever ordered": ("还没有下达过升级", ""),
    "another machine uses this identity: flash a profile of its own to one of the two": (
        "另一台机器用着同一个身份：给其中一台写入它自己的身份文件", ""),
}  # fmt: skip

_Row = tuple[str, str, str]
# Patterns of whole texts, then their Chinese and English; {0} is a group as it stands, {0!} explained too.
_PATTERNS: tuple[_Row, ...] = (
    (r"cannot connect: no name server answers for (\S+) within ([\d.]+) s",
     "连不上：{1} 秒内没有域名服务器回答 {0}", ""),
    (r"cannot connect: no answer from (.+) within ([\d.]+) s", "连不上：{0} 在 {1} 秒内没有回应", ""),
    (r"cannot connect: ((?:(?:\d+\.){3}\d+|\[[0-9a-fA-F:.%\w]+\]):\d+: .+)",
     "连不上：{0!}", "cannot connect: {0!}"),
    (r"((?:(?:\d+\.){3}\d+|\[[0-9a-fA-F:.%\w]+\]):\d+: [^;]+); (.+)", "{0!}；{1!}", "{0!}; {1!}"),
    (r"((?:(?:\d+\.){3}\d+|\[[0-9a-fA-F:.%\w]+\]):\d+): ([^;]+)", "{0}：{1!}", "{0}: {1!}"),
    (r"cannot connect: ([^:\s]+): (.+)", "连不上 {0}：{1!}", "cannot connect to {0}: {1!}"),
    (r"cannot connect: (.+)", "连不上：{0!}", "cannot connect: {0!}"),
    (r"no connection to (.+) within ([\d.]+) s", "{1} 秒内连不上 {0}", ""),
    (r"the server's certificate is refused: (.+)", "不接受服务器的证书：{0!}",
     "the server's certificate is refused: {0!}"),
    (r"certificate has expired \(on (.+)\)", "证书已过期（{0}）", "it has expired (on {0})"),
    (r"certificate is not yet valid \(until (.+)\)", "证书还没有生效（{0} 起）", "it is not valid before {0}"),
    (r"Hostname mismatch, certificate is not valid for '(.+)'\.?", "它是别的主机的，不是 {0} 的",
     "it is another host's, not that of {0}"),
    (r"IP address mismatch, certificate is not valid for '(.+)'\.?", "它不含地址 {0}",
     "it does not name the address {0}"),
    (r"TLS failed: no answer within ([\d.]+) s", "TLS 握手 {0} 秒没有回应", ""),
    (r"TLS failed: (.+)", "TLS 失败：{0!}", "TLS failed: {0!}"),
    (r"the cloud refuses this device: (.+)", "云不接受这台设备：{0!}", ""),
    (r"another machine uses this identity: (.+)", "另一台机器用着同一个身份：{0!}", ""),
    (r"no answer within ([\d.]+) s", "{0} 秒没有回答", ""),
    (r"(\d\.\d\d) [\"'](.+)[\"']", "{0} {1!}", "{0} {1!}"),
    (r"profile file: (.+)", "身份文件：{0!}", "profile file: {0!}"),
    (r"not JSON \((.+)\)", "不是 JSON（{0!}）", ""),
    (r"not JSON: (.+)", "不是 JSON：{0!}", ""),
    (r"waits for profile: .+", "在等身份文件", "it waits for a profile"),
    (r"waits for settings: .+", "在等设置改正", "it waits until the settings are mended"),
    (r"(\d+) hexadecimal digits", " {0} 位十六进制数字", ""),
    (r"more than (\d+) bytes", "超过 {0} 字节", ""),
    (r"at most (\d+) bytes", "最多 {0} 字节", ""),
    (r"registration: (.+)", "注册：{0!}", ""),
    (r"the cloud no longer knows this registration: (.+)", "云不再认得这次注册：{0}", ""),
    (r"the cloud cannot take reports now: (.+)", "云现在不能收报告：{0}", ""),
    (r"the broker refuses this device: (.+)", "消息服务器不接受这台设备：{0!}", ""),
    (r"the broker hung up before it answered: (.+)", "消息服务器没有回答就断开：{0!}", ""),
    (r"the broker takes no connection now: (.+)", "消息服务器现在不接受连接：{0!}", ""),
    (r"the utterance was dropped: (.+)", "这句话没有送出：{0!}", ""),
    *links.PATTERNS,
    *parts.PATTERNS,
    *values.PATTERNS,
    (r"(\S+): no result in ([\d.]+) s", "{0}：{1} 秒没有结果", ""),
    (r"(.+): no such data point, expected (.+)", "没有数据点 {0}；有：{1}", ""),
    (r"(\S+): (.+) not allowed, only (.+)", "{0}：不能 {1}，只能 {2}", ""),
    (r"(\S+): only GET", "{0}：只能读", "{0}: it can only be read"),
    (r"quiet hours until another order", "现在是安静时段，直到改规则", ""),
    (r"quiet hours until (.+)", "现在是安静时段，到 {0} 为止", ""),
    (r"today's (\d+) minutes are over", "今天的 {0} 分钟已经听完", ""),
    (r"a folder for stories alone, such as media: the agent keeps files of its own in (\w+)",
     "只放故事的文件夹，例如 media：代理自己的文件在 {0} 里", ""),
    (r"not TOML: (.+)", "不是 TOML 格式：{0!}", "not TOML: {0!}"),
    (r"settings (\S+): (.+)", "设置 {0}：{1!}", "settings {0}: {1!}"),
    (r"([^\s:]+): missing, expected (.+)", "缺少 {0}，应为{1!}", ""),
    (r"([^\s:]+): got (.+?), expected (.+)", "{0}：得到 {1}，应为{2!}", ""),
    (r"(\S+) \((one of .+)\)", " {0}（{1!}）", ""),
    (r"one of the tables (.+)", "以下之一：{0}", ""),
    (r"one of (.+)", "以下之一：{0}", ""),
    (r"an integer from (\S+) to (\S+) in steps of (\S+)", " {0} 到 {1} 的整数，步长 {2}", ""),
    (r"an integer from (\S+) to (\S+)(?:, in 64 bits)?", " {0} 到 {1} 的整数", ""),
    (r"an integer of at least (\S+)", " 至少 {0} 的整数", ""),
    (r"an integer of 64 bits", " 64 位整数", ""),
    (r"a number from (\S+) to (\S+)", " {0} 到 {1} 的数", ""),
    (r"([\d.]+) to ([\d.]+) bytes of printable text", "{0} 到 {1} 字节可显示的文字", ""),
    (r"no update is under way: (.+) is (.+)", "没有正在进行的升级：{0} 已是 {1}", ""),
    (r"update (.+) is cancelled", "升级 {0} 已取消", ""),
    (r"(\S+) has keys already: renew them, or remove it first", "{0} 已有密钥：更换它，或先删除它", ""),
    (r"(\d+) clients have keys already: remove one first", "已有 {0} 个客户端：请先删除一个", ""),
    (r"(\S+): no client of that name has keys", "没有名为 {0} 的客户端", ""),
    (r"the keys are not stored: (.+)", "密钥存不下来：{0!}", "the keys are not stored: {0!}"),
    (r"(\w+) or (\w+) is missing: pip install '(.+)', or set (\S+) = (\S+)",
     "没有安装 {0} 或 {1}：pip install '{2}'，或设 {3} = {4}", ""),
    (r"([^:]+) is missing: pip install '(.+)', or set (\S+) = (\S+)",
     "没有安装 {0}：pip install '{1}'，或设 {2} = {3}", ""),
    (r"CoAP on (\S+): (.+)", "CoAP（{0}）：{1!}", "CoAP on {0}: {1!}"),
    (r"(local\.\w+) (\d+)(?: on (\S+))?: (.+)", "{0} {1}：{3!}", "{0} {1}: {3!}"),
    (r"\[Errno \d+\] (.+)", "{0!}", "{0!}"),
    (r"(\S*/\S+|~\S+): (.+)", "{0}：{1!}", "{0}: {1!}"),
    (r"([a-z_.]+): (.+)", "{0}：{1!}", "{0}: {1!}"),
    # What Python's readers of JSON and TOML say: the place first, their own words for a maker.
    (r"(.+) at line (\d+), column (\d+)", "第 {1} 行第 {2} 列：{0}", ""),
    (r"(.+): line (\d+) column (\d+) \(char \d+\)", "第 {1} 行第 {2} 列不是 JSON：{0}",
     "no JSON at line {1}, column {2}: {0}"),
    (r"(.+) \(at line (\d+), column (\d+)\)", "第 {1} 行第 {2} 列写错了：{0}", "line {1}, column {2}: {0}"),
    (r"(.+) \(at end of document\)", "最后一行没有写完：{0}", "the last line is not finished: {0}"),
)  # fmt: skip

_STRERROR = {os.strerror(number): words for number, words in _SYSTEM.items()}
_COMPILED = [(re.compile(pattern, re.DOTALL), zh, en) for pattern, zh, en in _PATTERNS]
_HOLE = re.compile(r"\{(\d)(!?)\}")


def explain(text: str) -> Words:
    """Return a text of the agent's in both languages; what is not known stays as it is."""
    for table in (_EXACT, _STRERROR):
        if text in table:
            zh, en = table[text]
            return Words(zh, en or text)
    for pattern, zh, en in _COMPILED:
        if found := pattern.fullmatch(text):
            groups = [group or "" for group in found.groups()]
            explained = [explain(group) for group in groups]
            return Words(
                _fill(zh, groups, [words.zh for words in explained]),
                _fill(en, groups, [words.en for words in explained]) if en else text,
            )
    return Words(text, text)


def _fill(layout: str, groups: Sequence[str], explained: Sequence[str]) -> str:
    return _HOLE.sub(lambda at: (explained if at[2] else groups)[int(at[1])], layout)


def explain_error(error: OSError) -> Words:
    """Return a system's error with its file, in both languages."""
    told = explain(error.strerror or str(error) or type(error).__name__)
    if error.filename is None:
        return told
    return Words(f"{error.filename}：{told.zh}", f"{error.filename}: {told.en}")
