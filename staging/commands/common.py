"""Helpers that the command modules share: results, and access to the store."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from base.locales import speaks_chinese
from staging.data_dir import DataDir, Endpoints, read_endpoints
from staging.errors import StagingError
from staging.times import now_ms
from wire.errors import FieldError

if TYPE_CHECKING:
    from staging.store import Database
    from staging.store.models import Product

Commands = argparse._SubParsersAction  # noqa: SLF001  # argparse gives its class no public name


# For a URL with a password: every user of the machine can read a command line.
DATABASE_VARIABLE = "STORY_CLOUD_DATABASE"
# Goes before the locale: zh or en.
LANGUAGE_VARIABLE = "STORY_CLOUD_LANG"
ZH, EN = "zh", "en"

# Of the number of a row: every database takes so many.
ID_DIGITS = 18
PORT_MAX = 65535
# Bytes of a file that a secret is given in.
SECRET_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Result:
    """The output of a command: one object with ``--json``, otherwise lines."""

    value: Mapping[str, object]
    lines: list[str]
    code: int = 0
    """The exit code: one of `staging.commands.exits`."""


Run = Callable[[argparse.Namespace], Result]


class TooMuchError(Exception):
    """The running server does not carry a command out, for it would be busy with it too long: the command does it."""


def language(environment: Mapping[str, str]) -> str:
    """Return in which language a person reads: zh or en."""
    if (told := environment.get(LANGUAGE_VARIABLE)) in {ZH, EN}:
        return str(told)
    return ZH if speaks_chinese(environment) else EN


def data_of(options: argparse.Namespace) -> DataDir:
    """Return the folder that the command works on."""
    return DataDir(options.data.absolute())


def database_of(options: argparse.Namespace) -> Path | str:
    """Return the database: the option, the environment variable, or the data folder's own file."""
    named = options.database or os.environ.get(DATABASE_VARIABLE)
    return named or data_of(options).database


@contextmanager
def store(options: argparse.Namespace) -> Iterator[Database]:
    """Open the store for one command, or take the running server's, which carries the command out (`runs`).

    Of that a command of `at_server.ASKED` uses ``call`` alone.
    """
    if is_served(options):
        yield options.opened
        return
    from staging.opening import open_store

    data_of(options).create()
    database = open_store(data_of(options), database_of(options))
    try:
        yield database
    finally:
        database.close()


def is_served(options: argparse.Namespace) -> bool:
    """Return whether the running server carries the command out."""
    return getattr(options, "opened", None) is not None


def add_product_option(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--product``."""
    from staging.store.products import PRODUCT_NAME

    parser.add_argument("--product", metavar="NAME", help=f"default: {PRODUCT_NAME}")


def add_release_option(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a release."""
    parser.add_argument("--version", required=True, metavar="V", help="the version of the package")
    add_product_option(parser)


def product_of(options: argparse.Namespace, database: Database) -> Product:
    """Return the product that a command names, or the default one; raises NotFoundError."""
    from staging.store import product_setup, products

    if options.product is None:
        return database.call(products.default_product, now_ms())
    return database.call(product_setup.product, options.product)


def row_id(text: str) -> int:
    """Return the number of an app or a strategy, for argparse: no database has larger ones."""
    if not (text.isascii() and text.isdigit() and len(text) <= ID_DIGITS):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number as `list` shows it")
    return int(text)


def port(text: str) -> int:
    """Return a port that somebody connects to, for argparse."""
    if not (
        text.isascii() and text.isdigit() and len(text) <= ID_DIGITS and 0 < int(text) <= PORT_MAX
    ):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a port from 1 to {PORT_MAX}")
    return int(text)


def group(
    commands: Commands[argparse.ArgumentParser],
    name: str,
    common: argparse.ArgumentParser,
    text: str,
) -> Commands[argparse.ArgumentParser]:
    """Add a group of commands such as ``device``."""
    parser = commands.add_parser(name, parents=[common], help=text)
    return parser.add_subparsers(required=True, metavar="COMMAND")


def command(
    commands: Commands[argparse.ArgumentParser],
    name: str,
    common: argparse.ArgumentParser,
    run: Run,
    text: str,
) -> argparse.ArgumentParser:
    """Add one command."""
    parser = commands.add_parser(name, parents=[common], help=text, description=text)
    # The words of the command line, by which the audit log knows what a command changes.
    parser.set_defaults(run=run, words=parser.prog.partition(" ")[2])
    return parser


def add_address_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how devices reach the cloud, where the last server's addresses are not right."""
    parser.add_argument(
        "--host", "--public-host", metavar="ADDR", help="the cloud's host as the device sees it"
    )
    parser.add_argument("--device-port", type=port, metavar="N")
    parser.add_argument("--api-port", type=port, metavar="N")


def endpoints_of(options: argparse.Namespace) -> Endpoints:
    """Return the addresses for the device: from the options, else those of the last server run."""
    last = read_endpoints(data_of(options))
    host = options.host or (last.device_host if last else None)
    device_port = options.device_port or (last.device_port if last else None)
    if host is None or device_port is None or (last is None and options.api_port is None):
        raise StagingError(
            "no server ran on this folder yet; "
            "start one, or give --host, --device-port and --api-port"
        )
    if last is not None and options.api_port is None and options.host is None:
        return replace(last, device_host=host, device_port=device_port)
    port = options.api_port or (last.api.rpartition(":")[2] if last else "")
    url_host = f"[{host}]" if ":" in host else host
    mqtt_port = last.mqtt_port if last else 0
    # Where devices fetch packages, which is all that they are told of it.
    scheme = (last.packages or last.api).partition(":")[0] if last else "http"
    return Endpoints(f"{scheme}://{url_host}:{port}", host, device_port, mqtt_port)


def read_secret(name: str, file: Path) -> str:
    """Return the text of a file that a secret is given in, ``-`` the first line of standard input, without its end.

    Raises:
        FieldError: it is no UTF-8, or more than `SECRET_LIMIT` bytes.
    """
    if str(file) == "-":
        found = sys.stdin.buffer.readline(SECRET_LIMIT + 1)
    else:
        with file.open("rb") as opened:
            found = opened.read(SECRET_LIMIT + 1)
    try:
        if len(found) > SECRET_LIMIT:
            raise ValueError
        return found.decode().rstrip("\r\n")
    except ValueError:
        expected = f"UTF-8 text of at most {SECRET_LIMIT} bytes"
        raise FieldError(name, found, expected, secret=True) from None
