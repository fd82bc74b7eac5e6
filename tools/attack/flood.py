"""Who sends the machine more than it can take at home: packets and connections to every port that it can have there.

A story plays on a real sound server meanwhile, and the family's app reads a data point through the cloud.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable

from tools.attack.family import agent_again
from tools.attack.site import MEGABYTE, Attack, Outcome, Site, resident
from tools.processes import free_port
from tools.pulse import PulseServer
from tools.tour import write_tone

SECONDS = 10.0
SENDERS = 4
TITLE = "long"
# What the story may lag behind the time that passed, and the longest answer: half of what the cloud waits for a machine.
LAG_SECONDS, ANSWER_SECONDS = 1.5, 5.0
# On a machine that is busy otherwise: so many times as long as before the flood.
SLOWER = 5.0
MEMORY_LIMIT = 64 * MEGABYTE
LOG_LIMIT = 40
PORTS = ("http_port", "https_port", "oscore_port")


def flood(site: Site) -> Outcome:
    """Send to HTTP, HTTPS and OSCORE at once, while a story plays and the app asks."""
    ports = {name: free_port() for name in PORTS}
    lines = "".join(f"{name} = {port}\n" for name, port in ports.items())
    hosts = 'https_address = "127.0.0.1"\noscore_address = "127.0.0.1"\n'
    (site.folder / "pulse").mkdir(exist_ok=True)
    sound = PulseServer(site.folder / "pulse")
    sound.start()
    write_tone(site.bench.state / "media" / f"{TITLE}.wav", seconds=120)
    try:
        agent_again(site, f"[local]\n{lines}{hosts}", {"PULSE_SERVER": sound.address})
        return _while_flooded(site, ports)
    finally:
        agent_again(site, "")
        sound.kill()


def _while_flooded(site: Site, ports: dict[str, int]) -> Outcome:
    device, owner = site.bench.device, site.clients["parent"]
    owner.bind(device["uuid"], site.code())
    owner.send(device["uuid"], "PUT", "play", TITLE)
    _until(lambda: _position(site) > 1.0, 20)
    lines, online = _log_lines(site), _registrations(site)
    usual = max(_ask(site) for _ in range(3))
    before, begun, place = resident(site.agent.process.pid), time.monotonic(), _position(site)
    over = threading.Event()
    sent = [0] * SENDERS
    works = (_packets, _handshakes, _requests, _garbage)
    threads = [
        threading.Thread(target=_send, args=(work, ports, over, sent, number))
        for number, work in enumerate(works)
    ]
    waits = []
    for thread in threads:
        thread.start()
    try:
        while time.monotonic() - begun < SECONDS:
            waits.append(_ask(site))
            time.sleep(0.3)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    played, passed = _position(site) - place, time.monotonic() - begun
    more = resident(site.agent.process.pid) - before
    logged, dropped = _log_lines(site) - lines, _registrations(site) - online
    owner.unbind(device["uuid"])
    return Outcome(
        passed - played < LAG_SECONDS and max(waits) < max(ANSWER_SECONDS, SLOWER * usual) and more < MEMORY_LIMIT
        and logged < LOG_LIMIT and dropped == 0,
        f"{sum(sent)} packets and connections in {passed:.0f} s: the story played {played:.1f} s of them, the app was "
        f"answered {len(waits)} times, after {max(waits):.2f} s at the latest ({usual:.2f} before), the link was lost {dropped} times, "
        f"{more / MEGABYTE:.0f} MB more, {logged} lines of log",
    )  # fmt: skip


def _ask(site: Site) -> float:
    """Return the seconds until the app has a value of the machine."""
    asked = time.monotonic()
    site.clients["parent"].send(site.bench.device["uuid"], "GET", "volume")
    return time.monotonic() - asked


def _send(
    work: Callable[[dict[str, int], random.Random], int],
    ports: dict[str, int],
    over: threading.Event,
    sent: list[int],
    number: int,
) -> None:
    chance = random.Random(number)  # noqa: S311  # inputs, not secrets
    while not over.is_set():
        with contextlib.suppress(OSError):
            sent[number] += work(ports, chance)


def _packets(ports: dict[str, int], chance: random.Random) -> int:
    """Send CoAP requests and garbage from another address each time."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((f"127.0.7.{chance.randrange(1, 255)}", 0))
        for _ in range(50):
            head = bytes([0x44, chance.choice((1, 2, 3))]) + chance.randbytes(6)
            asked = head + b"\xb6volume" if chance.random() < 0.5 else chance.randbytes(chance.randrange(1, 1400))  # fmt: skip
            sock.sendto(asked, ("127.0.0.1", ports["oscore_port"]))
    time.sleep(0.001)
    return 50


def _handshakes(ports: dict[str, int], chance: random.Random) -> int:
    """Do the costly part of TLS, and ask with a wrong token."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    address = ("127.0.0.1", ports["https_port"])
    with (
        socket.create_connection(address, 2) as raw,
        context.wrap_socket(raw, server_hostname="x") as sock,
    ):
        token = chance.randbytes(12).hex()
        sock.sendall(f"PUT /volume HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 1\r\n\r\n9".encode())  # fmt: skip
        sock.recv(4096)
    return 1


def _requests(ports: dict[str, int], chance: random.Random) -> int:
    """Ask the port on loopback one request after the other."""
    with socket.create_connection(("127.0.0.1", ports["http_port"]), 2) as sock:
        sock.settimeout(2)
        for number in range(50):
            path = chance.choice(("resource", "status", "volume", "nothing"))
            sock.sendall(f"GET /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            if not sock.recv(65536):
                return number
    return 50


def _garbage(ports: dict[str, int], chance: random.Random) -> int:
    """Open connections to both, and send what is neither TLS nor HTTP, or nothing."""
    opened = []
    for _ in range(40):
        sock = socket.create_connection(("127.0.0.1", ports[chance.choice(("http_port", "https_port"))]), 2)  # fmt: skip
        opened.append(sock)
        sock.sendall(chance.randbytes(chance.choice((0, 3, 500))))
    for sock in opened:
        sock.close()
    return len(opened)


def _position(site: Site) -> float:
    told = json.loads(site.bench.local().request("GET", "/player").body)
    return float(told["position"] or 0.0)


def _until(look: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not look() and time.monotonic() < end:
        time.sleep(0.1)


def _log_lines(site: Site) -> int:
    return len(site.agent.log.read_text("utf-8", "replace").splitlines())


def _registrations(site: Site) -> int:
    """Return how often the cloud has taken the machine's registration."""
    return site.log().count(f"device {site.bench.device['uuid']}: registered")


ATTACKS = (Attack("flood at home", "keep the machine from playing, or from its cloud", flood),)
