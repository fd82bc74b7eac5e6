"""Helpers that the command modules share: results, and access to the store."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from staging.data_dir import DataDir
from staging.store import Database, product_setup, products
from staging.store.models import Product
from staging.store.products import PRODUCT_NAME
from staging.times import now_ms

Commands = argparse._SubParsersAction  # noqa: SLF001  # argparse gives its class no public name


# For a URL with a password: every user of the machine can read a command line.
DATABASE_VARIABLE = "STORY_CLOUD_DATABASE"


@dataclass(frozen=True, slots=True)
class Result:
    """The output of a command: one object with ``--json``, otherwise lines."""

    value: Mapping[str, object]
    lines: list[str]


Run = Callable[[argparse.Namespace], Result]


def data_of(options: argparse.Namespace) -> DataDir:
    """Return the folder that the command works on."""
    return DataDir(options.data.absolute())


def database_of(options: argparse.Namespace) -> Path | str:
    """Return the database: the option, the environment variable, or the data folder's own file."""
    named = options.database or os.environ.get(DATABASE_VARIABLE)
    return named or data_of(options).database


@contextmanager
def store(options: argparse.Namespace) -> Iterator[Database]:
    """Open the store for one command."""
    data_of(options).create()
    database = Database(database_of(options))
    try:
        yield database
    finally:
        database.close()


def add_product_option(parser: argparse.ArgumentParser) -> None:
    """Add the option ``--product``."""
    parser.add_argument("--product", metavar="NAME", help=f"default: {PRODUCT_NAME}")


def add_release_option(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a release."""
    parser.add_argument("--version", required=True, metavar="V", help="the version of the package")
    add_product_option(parser)


def product_of(options: argparse.Namespace, database: Database) -> Product:
    """Return the product that a command names, or the default one; raises NotFoundError."""
    if options.product is None:
        return database.call(products.default_product, now_ms())
    return database.call(product_setup.product, options.product)


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
    parser.set_defaults(run=run)
    return parser
