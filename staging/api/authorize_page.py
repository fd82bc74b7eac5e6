"""The HTML of the log-in and consent page, in Chinese and English: no script, nothing external."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from html import escape

from staging.identity import oauth

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 26rem; padding: 2rem 1rem; }
label, input, button { display: block; width: 100%; box-sizing: border-box; font: inherit; }
input { padding: .6rem; margin: .2rem 0 1rem; border: 1px solid #767676; border-radius: .3rem; }
button { padding: .7rem; margin-top: .6rem; border: 1px solid #1a5fb4; border-radius: .3rem;
  background: none; color: inherit; cursor: pointer; }
button[value=allow] { background: #1a5fb4; color: #fff; }
:focus-visible { outline: 3px solid #e66100; outline-offset: 2px; }
[role=alert] { border-left: .3rem solid #c01c28; padding-left: .8rem; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


class Language(StrEnum):
    """The languages of the page."""

    CHINESE = "zh-CN"
    ENGLISH = "en"

    @classmethod
    def of(cls, accepted: str) -> Language:
        """Return the language that an Accept-Language header names first, by default Chinese."""
        for part in accepted.lower().split(","):
            tag = part.strip().partition(";")[0]
            if tag.startswith("zh"):
                return cls.CHINESE
            if tag.startswith("en"):
                return cls.ENGLISH
        return cls.CHINESE


@dataclass(frozen=True, slots=True)
class Form:
    """The content of the page; ``problem``: the text key of the last try's error."""

    app: str
    scopes: list[str]
    csrf: str = field(repr=False)
    name: str = ""
    problem: str | None = None


_TEXTS: Mapping[Language, Mapping[str, str]] = {
    Language.CHINESE: {
        "title": "登录并授权",
        "asks": "应用“{app}”请求以下权限:",
        "user": "账号",
        "password": "密码",
        "allow": "登录并同意授权",
        "deny": "拒绝",
        "login": "账号或密码不正确",
        "wait": "失败次数过多, 请稍后再试",
        "form": "页面已过期, 请重新填写",
        "allScope": "全部权限",
        "account": "查看您的账号名",
        "device": "绑定、解绑和管理您的设备",
        "control": "控制您的设备",
        "data": "查看设备上报的数据",
        "ota": "查看并执行设备升级",
    },
    Language.ENGLISH: {
        "title": "Log in and allow access",
        "asks": "The app “{app}” asks to:",
        "user": "Account",
        "password": "Password",
        "allow": "Log in and allow",
        "deny": "Refuse",
        "login": "Wrong account or password",
        "wait": "Too many failed tries; wait a while",
        "form": "The page was too old; please fill it in again",
        "allScope": "do everything with your devices and account",
        "account": "see your account's name",
        "device": "bind, unbind and manage your devices",
        "control": "control your devices",
        "data": "see what your devices report",
        "ota": "see and order updates of your devices",
    },
}


def render(form: Form, language: Language) -> str:
    """Return the page; its form posts to the page's own URL with the same parameters."""
    texts = {key: escape(text) for key, text in _TEXTS[language].items()}
    problem = f'<p role="alert">{texts[form.problem]}</p>' if form.problem else ""
    scopes = "".join(f"<li>{texts[scope]}</li>" for scope in form.scopes)
    return f"""<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{texts["title"]}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{texts["title"]}</h1>
{problem}
<p>{texts["asks"].format(app=escape(form.app))}</p>
<ul>{scopes}</ul>
<form method="post">
<input type="hidden" name="csrf" value="{escape(form.csrf)}">
<label for="user">{texts["user"]}</label>
<input id="user" name="user" value="{escape(form.name)}" autocomplete="username" maxlength="64">
<label for="password">{texts["password"]}</label>
<input id="password" name="password" type="password" autocomplete="current-password" maxlength="256">
<button name="answer" value="allow">{texts["allow"]}</button>
<button name="answer" value="deny">{texts["deny"]}</button>
</form>
</main>
</body>
</html>
"""


def headers(redirect: str) -> dict[str, str]:
    """Return the page's headers: no script, no frame, form target only this site or the app."""
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
            # Browsers apply form-action also to the redirect that follows the form.
            f"form-action 'self' {oauth.origin(redirect)}; frame-ancestors 'none'"
        ),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
