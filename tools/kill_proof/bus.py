"""A private system bus for one machine, with a fake logind that records requests to reboot."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from tools.processes import BenchError, Service

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>{address}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow own="*"/><allow user="*"/>
<allow receive_sender="*"/></policy></busconfig>"""
START_SECONDS = 20.0


class PrivateBus:
    """The bus; `reboot_asked` is set when a client has asked logind for a reboot."""

    def __init__(self, folder: Path) -> None:
        """Start the bus with its socket in ``folder``; raises BenchError."""
        self.address = f"unix:path={folder}/bus"
        self.reboot_asked = threading.Event()
        self._up, self._over = threading.Event(), threading.Event()
        (folder / "bus.conf").write_text(CONFIG.format(address=self.address))
        words = [f"--config-file={folder / 'bus.conf'}", "--nofork", "--print-address=1"]
        daemon = shutil.which("dbus-daemon") or "dbus-daemon"
        self._daemon = Service(daemon, words, folder / "bus.log")
        self._daemon.wait_for_line("unix:path=")
        self._logind = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._logind.start()
        if not self._up.wait(START_SECONDS):
            raise BenchError(f"the bus {self.address} does not work")

    def has_rauc(self) -> bool:
        """Return whether RAUC's service is on the bus."""
        words = ["dbus-send", f"--bus={self.address}", "--print-reply",
                 "--dest=org.freedesktop.DBus", "/", "org.freedesktop.DBus.GetNameOwner",
                 "string:de.pengutronix.rauc"]  # fmt: skip
        done = subprocess.run(words, capture_output=True, timeout=START_SECONDS, check=False)
        return done.returncode == 0

    def close(self) -> None:
        """Stop logind and the bus."""
        self._over.set()
        self._logind.join(START_SECONDS)
        self._daemon.stop()

    async def _serve(self) -> None:
        bus = await MessageBus(bus_address=self.address).connect()
        bus.add_message_handler(self._answer)
        await bus.request_name("org.freedesktop.login1")
        self._up.set()
        await asyncio.to_thread(self._over.wait)
        bus.disconnect()

    def _answer(self, message: Message) -> Message | bool:
        if message.message_type is not MessageType.METHOD_CALL or message.member != "Reboot":
            return False
        self.reboot_asked.set()
        return Message.new_method_return(message)


def rauc_status(address: str, system: Path) -> dict[str, Any]:
    """Return the output of ``rauc status``; raises BenchError."""
    words = ["rauc", "-c", str(system), "status", "--detailed", "--output-format=json"]
    done = subprocess.run(
        words,
        env=os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": address},
        capture_output=True,
        timeout=START_SECONDS,
        check=False,
    )
    if done.returncode:
        raise BenchError(f"rauc status: {done.stderr.decode(errors='replace').strip()}")
    return dict(json.loads(done.stdout))
