"""The server, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import json
import logging
import signal

from staging import logs, server
from staging.commands.common import Commands, data_of, database_of
from staging.data_dir import Endpoints

PORT_MAX = 65535
API_PORT, DEVICE_PORT = 8080, 9001


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the command ``serve``."""
    serve = commands.add_parser("serve", parents=[common], help="run the cloud until SIGTERM")
    serve.add_argument("--host", default="127.0.0.1", metavar="ADDR", help="where to listen")
    serve.add_argument("--api-port", type=_port, default=API_PORT, metavar="N")
    serve.add_argument("--device-port", type=_port, default=DEVICE_PORT, metavar="N")
    serve.add_argument(
        "--legacy-tls",
        action="store_true",
        help="admit the weak suites of 2017 firmware; on a bench only",
    )
    serve.add_argument(
        "--recognise",
        action="store_true",
        help="let what devices hear control them; needs the extra [asr] (docs/recognition.md)",
    )
    serve.set_defaults(run=_serve)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= PORT_MAX):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a port from 0 to {PORT_MAX}")
    return int(text)


def _serve(options: argparse.Namespace) -> None:
    # Nothing is read again on demand: certificates are renewed by the hour (`staging.upkeep`).
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    logs.set_up(logging.INFO)
    wanted = server.ServeOptions(
        data=data_of(options),
        database=database_of(options),
        host=options.host,
        api_port=options.api_port,
        device_port=options.device_port,
        legacy_tls=options.legacy_tls,
        recognise=options.recognise,
    )

    def ready(endpoints: Endpoints) -> None:
        if options.json:
            print(json.dumps({"api": endpoints.api, "device": endpoints.device}), flush=True)
        else:
            print(f"ready api={endpoints.api} device={endpoints.device}", flush=True)

    server.run(wanted, ready)
