"""Commands about devices, apps, accounts and access tokens."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.orm import Session

from staging.commands.common import (
    Commands,
    Result,
    add_product_option,
    command,
    data_of,
    group,
    product_of,
    store,
)
from staging.data_dir import Endpoints, read_endpoints
from staging.errors import StagingError
from staging.identity.oauth import Scope
from staging.identity.passwords import hash_password
from staging.identity.profiles import profile_file
from staging.store import accounts, apps, devices, product_setup
from staging.store.apps import TOKEN_LIFETIME_S, AppType
from staging.store.models import Account
from staging.times import iso_or_none, now_ms


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the groups ``device``, ``app`` and ``account``, and ``token``."""
    device = group(commands, "device", common, "add, list and flash devices")
    add = command(device, "add", common, _device_add, "make a device")
    add.add_argument("--uuid", metavar="U", help="14 hexadecimal digits (default: random)")
    command(device, "list", common, _device_list, "list the devices")
    profile = command(device, "profile", common, _device_profile, "print the profile to flash")
    profile.add_argument("uuid", metavar="U")
    profile.add_argument("--host", metavar="ADDR", help="the cloud's host as the device sees it")
    profile.add_argument("--device-port", type=int, metavar="N")
    profile.add_argument("--api-port", type=int, metavar="N")

    app = group(commands, "app", common, "add and list apps, bind them to products")
    _add_app_command(app, common)
    command(app, "list", common, _app_list, "list the apps")
    for name, run, text in (
        ("bind", _app_bind, "let an app control a product's devices"),
        ("unbind", _app_unbind, "take a product's devices from an app"),
    ):
        changed = command(app, name, common, run, text)
        changed.add_argument("app", type=int, metavar="APPID")
        add_product_option(changed)

    account = group(commands, "account", common, "add and list accounts")
    for name, run, text in (
        ("add", _account_add, "make an account that can log in"),
        ("password", _account_password, "change an account's password"),
    ):
        changed = command(account, name, common, run, text)
        changed.add_argument("name", metavar="NAME")
        changed.add_argument(
            "--password-file",
            type=Path,
            metavar="FILE",
            help="read it from a file, - for stdin (default: it is made, and printed once)",
        )
    command(account, "list", common, _account_list, "list the accounts")

    token = command(commands, "token", common, _token, "let an app act for a user")
    token.add_argument("--app", type=int, required=True, metavar="APPID")
    token.add_argument("--user", required=True, metavar="NAME", help="made if it is new")


def _add_app_command(
    app: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    add = command(app, "add", common, _app_add, "make an app, bound to the default product")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--type", choices=[kind.value for kind in AppType], required=True)
    add.add_argument("--package", metavar="P", help="Android: the package name")
    add.add_argument("--apk-signature", metavar="S", help="Android: the signature of the apk")
    add.add_argument("--bundle-id", metavar="B", help="iOS: the bundle id")
    add.add_argument(
        "--scope",
        dest="scopes",
        action="append",
        default=[],
        choices=[scope.value for scope in Scope],
        help="what users may allow it (default: all)",
    )
    add.add_argument(
        "--redirect-uri",
        dest="redirect_uris",
        action="append",
        default=[],
        metavar="URI",
        help="where users come back to (default: the open API document's address)",
    )


def _device_add(options: argparse.Namespace) -> Result:
    with store(options) as database:
        device = database.call(devices.add, options.uuid, now_ms())
    value = {"uuid": device.uuid, "token": device.token, "bindToken": device.bind_token}
    return Result(value, [f"{name} {text}" for name, text in value.items()])


def _device_list(options: argparse.Namespace) -> Result:
    with store(options) as database:
        views = database.call(devices.views)
    rows = [
        {
            "uuid": view.device.uuid,
            "status": view.device.status,
            "osVersion": view.os_version,
            "batch": view.batch,
            "product": view.product,
            "accountUuid": view.account_uuid,
            "lastHeartbeatTime": iso_or_none(view.device.last_heartbeat_time),
            "bindTokenDiffers": view.device.bind_token_differs,
        }
        for view in views
    ]
    lines = [
        f"{row['uuid']} {row['status']} version={row['osVersion']} batch={row['batch']} "
        f"account={row['accountUuid'] or '-'} heartbeat={row['lastHeartbeatTime'] or '-'}"
        + (" BIND-TOKEN-DIFFERS" if row["bindTokenDiffers"] else "")
        for row in rows
    ]
    return Result({"devices": rows}, lines or ["no devices"])


def _device_profile(options: argparse.Namespace) -> Result:
    endpoints = _endpoints(options)
    with store(options) as database:
        device = database.call(devices.get, options.uuid)
    text = profile_file(data_of(options), device, endpoints).decode()
    # The profile is JSON, with and without --json.
    options.json = False
    return Result({}, [text])


def _endpoints(options: argparse.Namespace) -> Endpoints:
    """Return the addresses for the device: from the options, else those of the last server run."""
    last = read_endpoints(data_of(options))
    host = options.host or (last.device_host if last else None)
    device_port = options.device_port or (last.device_port if last else None)
    if host is None or device_port is None or (last is None and options.api_port is None):
        raise StagingError(
            "device profile: no server ran on this folder yet; "
            "start one, or give --host, --device-port and --api-port"
        )
    if last is not None and options.api_port is None and options.host is None:
        return Endpoints(last.api, host, device_port)
    port = options.api_port or (last.api.rpartition(":")[2] if last else "")
    url_host = f"[{host}]" if ":" in host else host
    return Endpoints(f"http://{url_host}:{port}", host, device_port)


def _app_add(options: argparse.Namespace) -> Result:
    kind = AppType(options.type)
    with store(options) as database:
        app = database.call(
            apps.add_app,
            options.name,
            kind,
            _app_secret(options),
            now_ms(),
            scopes=options.scopes,
            redirect_uris=options.redirect_uris,
        )
    value = apps.summary(app) | {"secret": app.secret}
    return Result(value, [f"{name} {text}" for name, text in value.items()])


def _app_secret(options: argparse.Namespace) -> str | None:
    """Return the secret that the app signs with (2.5.2), or None to generate a secret key."""
    parts = {
        AppType.WEB: {},
        AppType.ANDROID: {
            "--package": options.package,
            "--apk-signature": options.apk_signature,
        },
        AppType.IOS: {"--bundle-id": options.bundle_id},
    }[AppType(options.type)]
    missing = [name for name, value in parts.items() if not value]
    if missing:
        raise StagingError(f"app add --type {options.type}: {' and '.join(missing)} missing")
    return "".join(parts.values()) or None


def _app_list(options: argparse.Namespace) -> Result:
    with store(options) as database:
        rows = [apps.summary(app) for app in database.call(apps.list_apps)]
    lines = [f"{r['appId']} {r['type']} apikey={r['apikey']} {r['name']}" for r in rows]
    return Result({"apps": rows}, lines or ["no apps"])


def _app_bind(options: argparse.Namespace) -> Result:
    return _change_binding(options, product_setup.bind_app, "is bound to")


def _app_unbind(options: argparse.Namespace) -> Result:
    return _change_binding(options, product_setup.unbind_app, "is no longer bound to")


def _change_binding(
    options: argparse.Namespace, change: Callable[[Session, int, int], None], says: str
) -> Result:
    with store(options) as database:
        product = product_of(options, database)
        database.call(change, options.app, product.id)
    value = {"appId": options.app, "product": product.name}
    return Result(value, [f"app {options.app} {says} {product.name}"])


def _account_add(options: argparse.Namespace) -> Result:
    password, hashed = _read_password(options)
    with store(options) as database:
        account = database.call(accounts.add, options.name, hashed, now_ms())
    return _account_result(account, password)


def _account_password(options: argparse.Namespace) -> Result:
    password, hashed = _read_password(options)
    with store(options) as database:
        account = database.call(accounts.set_password, options.name, hashed)
    return _account_result(account, password)


def _read_password(options: argparse.Namespace) -> tuple[str | None, str]:
    """Return the password if generated here, and its hash; never reads it from the command line."""
    if options.password_file is None:
        made = secrets.token_urlsafe(12)
        return made, hash_password(made)
    if str(options.password_file) == "-":
        text = sys.stdin.readline()
    else:
        text = options.password_file.read_text("utf-8")
    return None, hash_password(text.rstrip("\r\n"))


def _account_result(account: Account, password: str | None) -> Result:
    value = {"accountUuid": account.uuid, "userName": account.user_name}
    if password is not None:
        value["password"] = password
    return Result(value, [f"{name} {text}" for name, text in value.items()])


def _account_list(options: argparse.Namespace) -> Result:
    with store(options) as database:
        rows = [
            {
                "accountUuid": account.uuid,
                "userName": account.user_name,
                "status": account.status,
                "canLogIn": account.password is not None,
            }
            for account in database.call(accounts.every)
        ]
    lines = [
        f"{r['accountUuid']} {r['status']} {'log-in' if r['canLogIn'] else 'no-password'}"
        f" {r['userName']}"
        for r in rows
    ]
    return Result({"accounts": rows}, lines or ["no accounts"])


def _token(options: argparse.Namespace) -> Result:
    with store(options) as database:
        token, user = database.call(apps.issue_token, options.app, options.user, now_ms())
    value = {
        "access_token": token,
        "expires_in": TOKEN_LIFETIME_S,
        "accountUuid": user.uuid,
        "userName": user.user_name,
    }
    return Result(value, [f"{name} {text}" for name, text in value.items()])
