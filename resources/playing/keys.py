"""The key of a story on the network: its URL without what changes from day to day. Pure.

Shops and podcasts sign URLs: the same story has another signature, time and session each time.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

# Members of a query that say who asks and until when, not what: of object stores (AWS, Google, Aliyun,
# Tencent, Qiniu), CDNs and podcast hosts.
_VOLATILE = frozenset(
    {"auth_key", "awsaccesskeyid", "googleaccessid", "ossaccesskeyid", "expires", "sign", "sig",
     "signature", "token", "access_token", "security-token", "key-pair-id", "policy", "nonce",
     "timestamp", "sessionid", "wssecret", "wstime", "txsecret", "txtime", "hdnea", "hdnts"}
)  # fmt: skip
_VOLATILE_STARTS = ("x-amz-", "x-goog-", "x-oss-", "x-cos-", "q-sign-", "utm_")
# Beside a signature these are times; alone they may be an episode or a title.
_TIMES = frozenset({"e", "t", "ts", "time", "expire", "deadline"})


def url_key(url: str) -> str:
    """Return the key of an http(s) URL, without its scheme, user, fragment and volatile members.

    A URL that cannot be taken apart has the key "".
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return ""
    place = host if port in {None, 80, 443} else f"{host}:{port}"
    members = [member for member in parts.query.split("&") if member]
    kept = [member for member in members if not _is_volatile(_name(member))]
    if len(kept) < len(members):
        kept = [member for member in kept if _name(member) not in _TIMES]
    return urlunsplit(("", place, parts.path or "/", "&".join(kept), ""))


def _name(member: str) -> str:
    return member.partition("=")[0].lower()


def _is_volatile(name: str) -> bool:
    return name in _VOLATILE or name.startswith(_VOLATILE_STARTS)
