"""Apps: added, listed, and bound to products."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from sqlalchemy.orm import Session

from staging.commands.common import (
    Commands,
    Result,
    add_product_option,
    command,
    group,
    product_of,
    row_id,
    store,
)
from staging.errors import NotFoundError, StagingError
from staging.identity.oauth import Scope
from staging.store import apps, product_setup
from staging.store.apps import AppType
from staging.times import now_ms


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the group ``app``."""
    app = group(commands, "app", common, "add and list apps, bind them to products")
    _add_app_command(app, common)
    command(app, "list", common, _list, "list the apps")
    origins = command(
        app, "origins", common, _origins, "say which web pages may call the API for an app (CORS)"
    )
    origins.add_argument("app", type=row_id, metavar="APPID")
    for option, text in (("--add", "such as https://app.example"), ("--remove", "one of them")):
        origins.add_argument(option, action="append", default=[], metavar="ORIGIN", help=text)
    for name, run, text in (
        ("bind", _bind, "let an app control a product's devices"),
        ("unbind", _unbind, "take a product's devices from an app"),
    ):
        changed = command(app, name, common, run, text)
        changed.add_argument("app", type=row_id, metavar="APPID")
        add_product_option(changed)
    secret = group(app, "secret", common, "the secret that an app signs with")
    renew = command(
        secret, "renew", common, _renew_secret, "give an app another secret; the old one ends"
    )
    renew.add_argument("app", type=row_id, metavar="APPID")
    _add_identity(renew)


def _add_app_command(
    app: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    add = command(app, "add", common, _add, "make an app, bound to the default product")
    add.add_argument("name", metavar="NAME")
    add.add_argument("--type", choices=[kind.value for kind in AppType], required=True)
    _add_identity(add)
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


def _add_identity(parser: argparse.ArgumentParser) -> None:
    """Add the options of what an app of a phone signs with (2.5.2)."""
    parser.add_argument("--package", metavar="P", help="Android: the package name")
    parser.add_argument("--apk-signature", metavar="S", help="Android: the signature of the apk")
    parser.add_argument("--bundle-id", metavar="B", help="iOS: the bundle id")


def _add(options: argparse.Namespace) -> Result:
    kind = AppType(options.type)
    with store(options) as database:
        app = database.call(
            apps.add_app,
            options.name,
            kind,
            _app_secret(options, kind),
            now_ms(),
            scopes=options.scopes,
            redirect_uris=options.redirect_uris,
        )
    value = apps.summary(app) | {"secret": app.secret}
    return Result(value, [f"{name} {text}" for name, text in value.items()])


def _renew_secret(options: argparse.Namespace) -> Result:
    with store(options) as database:
        found = database.call(apps.find, options.app)
        if found is None:
            raise NotFoundError(f"app {options.app}: there is none")
        new = _app_secret(options, AppType(found.type))
        app = database.call(apps.renew_secret, options.app, new)
    value = {"appId": app.id, "name": app.name, "secret": app.secret}
    return Result(value, [f"{name} {text}" for name, text in value.items()])


def _app_secret(options: argparse.Namespace, kind: AppType) -> str | None:
    """Return the secret that the app signs with (2.5.2), or None to generate a secret key."""
    parts = {
        AppType.WEB: {},
        AppType.ANDROID: {
            "--package": options.package,
            "--apk-signature": options.apk_signature,
        },
        AppType.IOS: {"--bundle-id": options.bundle_id},
    }[kind]
    missing = [name for name, value in parts.items() if not value]
    if missing:
        raise StagingError(f"{options.words}: {' and '.join(missing)} missing for {kind}")
    return "".join(parts.values()) or None


def _list(options: argparse.Namespace) -> Result:
    with store(options) as database:
        rows = [apps.summary(app) for app in database.call(apps.list_apps)]
    lines = [f"{r['appId']} {r['type']} apikey={r['apikey']} {r['name']}" for r in rows]
    return Result({"apps": rows}, lines or ["no apps"])


def _origins(options: argparse.Namespace) -> Result:
    options.only_shown = not (options.add or options.remove)  # for the audit log
    with store(options) as database:
        app = database.call(apps.set_origins, options.app, options.add, options.remove)
        value = {"appId": app.id, "webOrigins": app.web_origins}
    return Result(value, list(app.web_origins) or ["no web pages"])


def _bind(options: argparse.Namespace) -> Result:
    return _change_binding(options, product_setup.bind_app, "is bound to")


def _unbind(options: argparse.Namespace) -> Result:
    return _change_binding(options, product_setup.unbind_app, "is no longer bound to")


def _change_binding(
    options: argparse.Namespace, change: Callable[[Session, int, int], None], outcome: str
) -> Result:
    with store(options) as database:
        product = product_of(options, database)
        database.call(change, options.app, product.id)
    value = {"appId": options.app, "product": product.name}
    return Result(value, [f"app {options.app} {outcome} {product.name}"])
