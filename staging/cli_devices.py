"""Commands about devices, apps and access tokens."""

from __future__ import annotations

import argparse

from staging import ca
from staging.cli_common import Commands, Result, command, data_of, group, store
from staging.errors import StagingError
from staging.files import Endpoints, read_endpoints
from staging.store import apps, devices
from staging.store.apps import TOKEN_LIFETIME_S, AppType
from staging.store.models import App, Device
from staging.times import iso_or_none, now_ms
from wire.profile import Profile, render_profile

# Nothing here listens on it; the profile must name one.
LWM2M_PORT = 5683


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the groups ``device`` and ``app``, and ``token``."""
    device = group(commands, "device", common, "add, list and flash devices")
    add = command(device, "add", common, _device_add, "make a device")
    add.add_argument("--uuid", metavar="U", help="14 hexadecimal digits (default: random)")
    command(device, "list", common, _device_list, "list the devices")
    profile = command(device, "profile", common, _device_profile, "print the profile to flash")
    profile.add_argument("uuid", metavar="U")
    profile.add_argument("--host", metavar="ADDR", help="the cloud's host as the device sees it")
    profile.add_argument("--device-port", type=int, metavar="N")
    profile.add_argument("--api-port", type=int, metavar="N")

    app = group(commands, "app", common, "add and list apps")
    _add_app_command(app, common)
    command(app, "list", common, _app_list, "list the apps")

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
    authority = ca.ensure_authority(data_of(options).ca)
    with store(options) as database:
        device = database.call(devices.get, options.uuid)
    text = render_profile(_profile(device, endpoints, authority)).decode()
    # The file to flash is JSON whatever was asked for.
    options.json = False
    return Result({}, [text])


def _endpoints(options: argparse.Namespace) -> Endpoints:
    """Return how the device reaches the cloud: as told, else as the last server was reached."""
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


def _profile(device: Device, endpoints: Endpoints, authority: str) -> Profile:
    if device.bind_token is None:
        raise StagingError(f"device {device.uuid}: its bind token is not known yet")
    return Profile(
        uuid=device.uuid,
        token=device.token,
        bind_token=device.bind_token,
        server_addr=endpoints.device_host,
        coap_port=endpoints.device_port,
        lwm2m_port=LWM2M_PORT,
        rsa_ca_crt=authority,
        configures={"otaRepository": f"{endpoints.api}/tuf"},
        mac_id="",
        version=device.version,
    )


def _app_add(options: argparse.Namespace) -> Result:
    kind = AppType(options.type)
    with store(options) as database:
        app = database.call(apps.add_app, options.name, kind, _app_secret(options), now_ms())
    value = _app_value(app) | {"secret": app.secret}
    return Result(value, [f"{name} {text}" for name, text in value.items()])


def _app_secret(options: argparse.Namespace) -> str | None:
    """Return what the app signs with (2.5.2); None: a secret key is made."""
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
        rows = [_app_value(app) for app in database.call(apps.list_apps)]
    lines = [f"{r['appId']} {r['type']} apikey={r['apikey']} {r['name']}" for r in rows]
    return Result({"apps": rows}, lines or ["no apps"])


def _app_value(app: App) -> dict[str, object]:
    return {"appId": app.id, "name": app.name, "type": app.type, "apikey": app.apikey}


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
