"""The server and its workers, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import argparse
import json
import logging
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from staging import logs
from staging.commands.common import PORT_MAX, Commands, data_of, database_of
from staging.data_dir import Endpoints
from staging.errors import StagingError
from staging.gateway.bounds import DAY_BYTES
from staging.listening import public_host
from staging.proxies import parse_network
from staging.recognition.hearing import DEFAULT_MODEL
from staging.store.retention import REPORT_DAYS
from wire.errors import FieldError
from wire.family import DAYS_MAX
from wire.topics import answer_topic

if TYPE_CHECKING:
    from staging.web_tls import WebTls

# A hundred years of days, and some GB a day.
NUMBER_MAX = 36_500
API_PORT, DEVICE_PORT = 8080, 9001
# A month is enough for a tester to look at what was not understood.
VOICE_DAYS = 30


def add_commands(
    commands: Commands[argparse.ArgumentParser], common: argparse.ArgumentParser
) -> None:
    """Add the commands ``serve`` and ``worker``."""
    serve = commands.add_parser("serve", parents=[common], help="run the cloud until SIGTERM")
    _add_listen(serve, "where both ports listen: an address of this machine, 0.0.0.0 for all")
    serve.add_argument(
        "--public-host",
        action="append",
        type=public_host,
        metavar="NAME",
        help="how devices and apps reach this machine, for profiles and the certificate; repeat it "
        "for further names, the first is announced (default: the address that listens)",
    )
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
    serve.add_argument(
        "--mqtt-port",
        type=_port,
        metavar="N",
        help="start a broker (mosquitto) there for devices that speak MQTT (docs/mqtt.md)",
    )
    serve.add_argument(
        "--recogniser",
        metavar="MODULE:FACTORY",
        help="recognise with this speech model instead of Whisper; implies --recognise",
    )
    _add_voice_days(serve)
    serve.add_argument(
        "--report-days", type=_number, default=REPORT_DAYS, metavar="N",
        help="delete other reports after so many days, but the newest of each kind; 0: never "
        f"(default: {REPORT_DAYS})",
    )  # fmt: skip
    serve.add_argument(
        "--device-mb", type=_number, default=DAY_BYTES >> 20, metavar="N",
        help="MiB of reports that a device may send in a day; others come later; 0: no limit "
        f"(default: {DAY_BYTES >> 20})",
    )  # fmt: skip
    serve.add_argument(
        "--bench-faults",
        action="store_true",
        help="let testers make faults on purpose; on a bench only (docs/fault-bench.md)",
    )
    serve.set_defaults(run=_serve)
    worker = commands.add_parser(
        "worker",
        parents=[common],
        help="serve the devices at the broker of a story-cloud serve, beside it",
    )
    worker.add_argument("--name", required=True, metavar="W", help="unlike all other workers'")
    _add_listen(worker, "where the API listens")
    worker.add_argument("--api-port", type=_port, default=0, metavar="N")
    worker.add_argument("--recognise", action="store_true", help="as of serve")
    _add_voice_days(worker)
    worker.set_defaults(run=_work)


def _add_listen(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--listen``, also under its old name, which scripts have, and how the API's port is secured."""
    parser.add_argument("--listen", default="127.0.0.1", metavar="ADDR", help=text)
    parser.add_argument("--host", dest="listen", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    parser.add_argument(
        "--tls-cert", type=Path, metavar="FILE",
        help="the API's certificate and chain, PEM; read again on SIGHUP",
    )  # fmt: skip
    parser.add_argument(
        "--tls-key", type=Path, metavar="FILE", help="its key (default: in the same file)"
    )
    parser.add_argument(
        "--tls",
        action="store_true",
        help="secure the API with a certificate of the cloud's own CA; without this or a certificate it is "
        "so on every address but loopback",
    )
    parser.add_argument(
        "--plain-http",
        action="store_true",
        help="serve the API without TLS on an address that others reach: behind a proxy that has it",
    )
    parser.add_argument(
        "--trusted-proxy",
        action="append",
        type=parse_network,
        default=[],
        metavar="NETWORK",
        help="believe the X-Forwarded-For and X-Forwarded-Proto of proxies at this address or network; repeatable",
    )


def _add_voice_days(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--voice-days",
        type=_days,
        default=VOICE_DAYS,
        metavar="N",
        help=f"delete the children's voice after N days ({VOICE_DAYS}); 0: not before somebody erases it",
    )


def _days(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= DAYS_MAX):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected days from 0 to {DAYS_MAX}")
    return int(text)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= PORT_MAX):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a port from 0 to {PORT_MAX}")
    return int(text)


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= NUMBER_MAX):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number from 0 to {NUMBER_MAX}")
    return int(text)


def _begin() -> None:
    # Until the server reads its certificates again at it (`staging.server`).
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    logs.set_up(logging.INFO)


def _web_tls(options: argparse.Namespace) -> WebTls | None:
    from staging.web_tls import choose

    return choose(
        options.listen, options.tls_cert, options.tls_key,
        own=options.tls, plain=options.plain_http,
    )  # fmt: skip


def _serve(options: argparse.Namespace) -> None:
    from staging import server

    web = _web_tls(options)
    _begin()
    wanted = server.ServeOptions(
        data=data_of(options),
        database=database_of(options),
        host=options.listen,
        api_port=options.api_port,
        device_port=options.device_port,
        legacy_tls=options.legacy_tls,
        recognise=options.recognise or options.recogniser is not None,
        recogniser=DEFAULT_MODEL if options.recogniser is None else options.recogniser,
        mqtt_port=options.mqtt_port,
        voice_days=options.voice_days,
        public_hosts=tuple(dict.fromkeys(options.public_host or ())),
        report_days=options.report_days,
        day_bytes=options.device_mb << 20,
        bench_faults=options.bench_faults,
        web_tls=web,
        trusted_proxies=tuple(options.trusted_proxy),
    )
    server.run(wanted, lambda endpoints: _tell(options, endpoints))


def _work(options: argparse.Namespace) -> None:
    from staging import server

    answer_topic("0" * 14, options.name)  # raises on a name that is no part of a topic
    if options.name == server.SERVER_NAME:
        raise FieldError("--name", options.name, "another one: this is the server's")
    database = database_of(options)
    if not str(database).startswith("postgresql"):
        # Also what a forgotten --database would be: another store than the server's.
        raise StagingError("--database: a worker needs the server's PostgreSQL (docs/mqtt.md)")
    web = _web_tls(options)
    _begin()
    wanted = server.ServeOptions(
        data=data_of(options),
        database=database,
        host=options.listen,
        api_port=options.api_port,
        device_port=0,
        legacy_tls=False,
        recognise=options.recognise,
        voice_days=options.voice_days,
        worker=options.name,
        web_tls=web,
        trusted_proxies=tuple(options.trusted_proxy),
    )
    server.run(wanted, lambda endpoints: _tell(options, endpoints))


def _tell(options: argparse.Namespace, endpoints: Endpoints) -> None:
    if options.json:
        told: dict[str, object] = {"api": endpoints.api, "device": endpoints.device}
        if endpoints.mqtt_port:
            told["mqttPort"] = endpoints.mqtt_port
        print(json.dumps(told), flush=True)
        return
    mqtt = f" mqtt={endpoints.mqtt_port}" if endpoints.mqtt_port else ""
    print(f"ready api={endpoints.api} device={endpoints.device}{mqtt}", flush=True)
