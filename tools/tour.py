"""Runs the product end to end with real parts, and prints each step's request and answer.

    python -m tools.tour [--once] [--data DIR] [--api-port N] [--device-port N] [--mqtt]

Exit code 0 only if each step succeeds. Without --once everything keeps running afterwards.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import math
import shutil
import signal
import struct
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import httpx

from audio.errors import AudioError
from audio.pcm import Pcm
from audio.speex import SpeexDecoder
from audio.wav import read_wav
from staging.client import OpenApiClient, OpenApiError
from staging.recognition.model import missing_packages
from tools import spoken
from tools.amounts import whole
from tools.bench import OPERATOR, USER, Bench, wait_online
from tools.bench_machine import unmount_disk
from tools.processes import BenchError, command
from tools.pulse import MicServer
from wire.errors import WireError
from wire.voice import parse_history_text, unpack_frames

HERE = Path(__file__).parent
DEFAULT_API_PORT, DEFAULT_DEVICE_PORT = 8600, 9001
NEW_VERSION = "1.1.0"
UPDATE_TIMEOUT = 120.0
STEPS = 17
# The last step's fault: it ends by itself after its seconds, should the tour be stopped; off line is known within 30 s.
FAULT, FAULT_SECONDS = "half_open", 120
GONE_TIMEOUT, BACK_TIMEOUT = 60.0, 150.0
# What is asked for by voice, and its tone; another story plays before, which falls silent to listen.
SPOKEN_TITLE, SPOKEN_HERTZ = "小兔子乖乖", 900.0
BEFORE_TITLE, BEFORE_HERTZ = "两只老虎", 550.0
# A file that marks a folder of an earlier tour; the content of any other folder is not removed.
MARKER = ".story-tour"


class TourError(Exception):
    """A step of the tour failed."""


class Tour:
    """Goes through the product's functions and checks each answer."""

    def __init__(self, bench: Bench) -> None:
        """Use ``bench``, whose cloud must be running."""
        self.bench = bench
        self._step = 0

    def walk(self) -> None:
        """Run all steps; raises TourError at the first that fails."""
        self._register()
        client = self.bench.client()
        self._bind(client)
        self._describe(client)
        self._control(client)
        self._play(client)
        self._say(client)
        self._say_aloud(client)
        self._update(client)
        self._fault(client)

    @property
    def uuid(self) -> str:
        """The device's uuid."""
        return self.bench.device["uuid"]

    def _line(self, title: str, sent: str, back: object) -> None:
        self._step += 1
        text = back if isinstance(back, str) else json.dumps(back, ensure_ascii=False)
        print(f"[{self._step:2}/{STEPS}] {title}\n        → {sent}\n        ← {text}", flush=True)

    def _register(self) -> None:
        self.bench.flash_device()
        seconds = self.bench.start_agent()
        self.bench.start_helper()
        status = self.bench.agent_status()
        _expect(status["uuid"], self.uuid)
        server = str(status["link"]["server"])
        over = "MQTT 5 over TLS, behind a broker" if "mqtt" in server else "framed CoAP over TLS"
        self._line(
            f"注册 The agent registers: {over}, uuid and token",
            f'POST /reg_for_control at {server} {{"deviceUUID":"{self.uuid}",…}}',
            f"2.05, {seconds:.2f} s after the agent's start; version {status['version']}",
        )

    def _bind(self, client: OpenApiClient) -> None:
        bound = client.bind(self.uuid, self.bench.device["bindToken"])
        _expect(bound, expected=True)
        _expect(client.online([self.uuid]), {self.uuid: True})
        self._line(
            "绑定 The app binds the device", "POST /v1/device/bind uuid + bindToken", "data: true"
        )

    def _describe(self, client: OpenApiClient) -> None:
        data = client.resource(self.uuid)
        document = json.loads((HERE / "document_resource.json").read_text("utf-8"))
        count = len(document["resources"])
        _expect({**data, "resources": data["resources"][:count]}, document)
        names = ", ".join(f"{r['name']} ({r['label']})" for r in data["resources"][:count])
        self._line(
            "自描述 The self-description",
            f"GET /v1/device/resource?deviceUuid={self.uuid}",
            f"{names}: exactly the document's example, then ours",
        )

    def _control(self, client: OpenApiClient) -> None:
        for title, method, name, content, code, value in (
            ("读电量 Read the power", "GET", "power", None, "2.05", None),
            ("设音量 Set the volume", "PUT", "volume", "9", "2.04", None),
            ("读音量 Read it back", "GET", "volume", None, "2.05", "9"),
            ("拒绝 17 is out of range: refused", "PUT", "volume", "17", "4.00", None),
            ("拒绝 Power cannot be set: refused", "PUT", "power", "1", "4.05", None),
        ):
            data = client.send(self.uuid, method, name, content)
            _expect(data["code"], code)
            if value is not None:
                _expect(data["content"], value)
            sent = f"POST /v1/device/control/send {method} {name} {content or ''}".rstrip()
            self._line(title, sent, data)

    def _play(self, client: OpenApiClient) -> None:
        title = "测试音 tone"
        write_tone(self.bench.state / "media" / f"{title}.wav", seconds=20)
        started = client.send(self.uuid, "PUT", "play", title)
        _expect(started["code"], "2.04")
        _expect(client.send(self.uuid, "GET", "play")["content"], title)
        first = self._play_seconds(lambda seconds: seconds > 0)
        moved = self._play_seconds(lambda seconds: seconds > first)
        through = self.bench.agent_status()["resources"]["play"]
        _expect(client.send(self.uuid, "PUT", "play", "停止")["code"], "2.04")
        self._line(
            "播放 Play a real audio file",
            f"POST /v1/device/control/send PUT play {title}",
            f"2.04; it plays: {first:.2f} s, then {moved:.2f} s ({through}); then 停止",
        )

    def _play_seconds(self, good: Callable[[float], bool]) -> float:
        def look() -> float | None:
            seconds = self.bench.agent_status().get("play", {}).get("seconds")
            return seconds if seconds is not None and good(seconds) else None

        assert self.bench.agent is not None  # noqa: S101  # started in the first step
        return self.bench.agent.wait_for("moving play position", look, 10.0)

    def _say(self, client: OpenApiClient) -> None:
        wav = HERE / "utterance.wav"
        sent = command("story-agent", "say", wav, "--state", self.bench.state).strip()
        self._line(
            "说话 A recorded utterance goes up as Speex segments",
            f"story-agent say {wav.name}",
            sent,
        )
        entries = list(client.whole_history(self.uuid, key="voice_control"))
        segments = [parse_history_text(entry["value"]) for entry in reversed(entries)]
        _expect([s.segment for s in segments], list(range(len(segments))))
        _expect([s.eof for s in segments], [False] * (len(segments) - 1) + [True])
        spoken = read_wav(wav.read_bytes())
        heard = Pcm(spoken.rate, decode(b"".join(s.voice_data for s in segments)))
        _expect_alike(spoken, heard)
        self._line(
            "历史 … and comes back out of the history",
            "GET /v1/device/query/data/history?propertyKey=voice_control",
            f"{len(entries)} entries, newest {entries[0]['value']}; {heard.seconds:.2f} s decoded by libspeex, as loud as it was said",
        )

    def _say_aloud(self, client: OpenApiClient) -> None:
        title = "说出来的故事 A sentence is said into the microphone, and the story that it asks for sounds"
        sentence = f"播放{SPOKEN_TITLE}"
        lacking = spoken.missing()
        if lacking:
            self._line(
                title, f"({sentence})", f"left out, since this machine has no {', '.join(lacking)}"
            )
            return
        with (
            tempfile.TemporaryDirectory(prefix="story-tour-") as folder,
            spoken.sound_server(Path(folder)) as server,
        ):
            back = self._hear_story(client, server, sentence)
        self.bench.agent_again()
        self._line(title, f"(a virtual microphone) {sentence}", back)

    def _hear_story(self, client: OpenApiClient, server: MicServer, sentence: str) -> str:
        """Say ``sentence`` while another story plays; return what the sound server's monitor heard."""
        for name, hertz in ((SPOKEN_TITLE, SPOKEN_HERTZ), (BEFORE_TITLE, BEFORE_HERTZ)):
            write_tone(self.bench.state / "media" / f"{name}.wav", seconds=60, hertz=hertz)
        self._list_titles()
        self.bench.agent_again(server.variables, spoken.settings())
        monitor = spoken.Monitor(server, SPOKEN_HERTZ, BEFORE_HERTZ)
        try:
            _expect(client.send(self.uuid, "PUT", "play", BEFORE_TITLE)["code"], "2.04")
            monitor.wait_for(BEFORE_HERTZ)
            said = spoken.say(self.bench, server, sentence, typed=not self.bench.recognises)
            heard = monitor.wait_for(SPOKEN_HERTZ)
            monitor.wait_for_silence(BEFORE_HERTZ)
        finally:
            monitor.close()
        _expect(client.send(self.uuid, "GET", "play")["content"], SPOKEN_TITLE)
        client.send(self.uuid, "PUT", "play", "停止")
        how = "recognised by the cloud" if self.bench.recognises else "typed, for want of [asr]"
        return (
            f"utterance {said.session['id']}, {said.session['segments']} segments, {how}; the monitor hears "
            f"{SPOKEN_TITLE} ({SPOKEN_HERTZ:g} Hz) {heard - said.at('ended'):.2f} s after the end of speech"
        )

    def _list_titles(self) -> None:
        titles = self.bench.folder / "titles.txt"
        titles.write_text(f"{SPOKEN_TITLE}\n{BEFORE_TITLE}\n", "utf-8")
        self.bench.story_cloud("catalogue", "set", self.uuid, titles)

    def _update(self, client: OpenApiClient) -> None:
        package = self.bench.folder / f"story-machine-{NEW_VERSION}.tar.gz"
        command("story-release", "build", "--version", NEW_VERSION, "--output", package)
        self.bench.story_cloud("release", "add", package, "--version", NEW_VERSION)
        old = self.bench.agent_status()["version"]
        strategy = self.bench.story_cloud(
            "strategy", "add", "--version", NEW_VERSION, "--type", "passive", "--from", old
        )
        self.bench.story_cloud("strategy", "publish", str(strategy["strategyId"]))
        offer = client.new_version(self.uuid)
        if offer is None:
            raise TourError("no new version is offered")
        _expect(offer["newOsVersion"], NEW_VERSION)
        self._line("新版本 A version is offered", "GET /v1/device/ota/new_version", offer)
        client.update(self.uuid, offer["packageId"], offer["strategyId"])
        self._line("升级 Order it", "POST /v1/device/ota/update", "201, data: true")
        seen = self._watch_update(client)
        self._line("升级状态 Watch it", "GET /v1/device/ota/update/status", " → ".join(seen))
        status = self.bench.agent_status()
        _expect(status["version"], NEW_VERSION)
        _expect(client.send(self.uuid, "GET", "volume")["code"], "2.05")
        _expect(client.info(self.uuid)["osVersion"], NEW_VERSION)
        self._line(
            "新固件 The new version answers", "story-agent status; POST /v1/device/control/send GET volume",
            f"version {status['version']} runs from {status['code']}",
        )  # fmt: skip

    def _watch_update(self, client: OpenApiClient) -> list[str]:
        """Poll until SUCCESS and return the statuses seen, with their percentages."""
        seen: list[str] = []
        deadline = time.monotonic() + UPDATE_TIMEOUT
        while time.monotonic() < deadline:
            task = client.update_status(self.uuid)
            percent = task.get("percent")
            text = task["status"] + (f" {percent:.0%}" if percent is not None else "")
            if not seen or seen[-1] != text:
                seen.append(text)
            if task["status"] == "FAILED":
                raise TourError(f"the update failed: {task['failure']}")
            if task["status"] == "SUCCESS":
                _expect_statuses(seen)
                return seen
            time.sleep(0.05)
        raise TourError(f"no SUCCESS within {UPDATE_TIMEOUT:g} s: {' → '.join(seen)}")

    def _fault(self, client: OpenApiClient) -> None:
        def is_online() -> bool:
            return client.online([self.uuid])[self.uuid]

        self.bench.story_cloud("fault", "set", self.uuid, FAULT, f"seconds={FAULT_SECONDS}")
        gone = wait_online(is_online, wanted=False, seconds=GONE_TIMEOUT)
        mended = time.monotonic()
        self.bench.story_cloud("fault", "clear", self.uuid, FAULT)
        wait_online(is_online, wanted=True, seconds=BACK_TIMEOUT)
        back = time.monotonic() - mended
        _expect(client.send(self.uuid, "GET", "volume")["code"], "2.05")
        self._line(
            "故障 A fault of the bench: the link swallows everything, and is mended",
            f"story-cloud fault set {self.uuid} {FAULT}; then fault clear {self.uuid}",
            f"off line after {gone:.1f} s; on line again {back:.1f} s after its end, and it answers",
        )


def _expect(got: object, expected: object) -> None:
    if got != expected:
        raise TourError(f"expected {expected!r}, got {got!r}")


def _expect_statuses(seen: list[str]) -> None:
    names = list(dict.fromkeys(text.split()[0] for text in seen))
    # CREATED lasts only until the device's answer, which may come before the first poll.
    if names[-3:] != ["RUNNING", "INSTALLED", "SUCCESS"]:
        raise TourError(f"expected CREATED → RUNNING → INSTALLED → SUCCESS, saw {' → '.join(seen)}")
    if not any("%" in text for text in seen):
        raise TourError("no percent was seen while RUNNING")


def decode(voice_data: bytes) -> bytes:
    """Decode a run of narrowband Speex frames with their headers to samples."""
    with SpeexDecoder(8000) as decoder:
        return b"".join(decoder.decode(frame) for frame in unpack_frames(voice_data))


def loudness(sound: Pcm) -> float:
    """Return the root mean square of the samples."""
    samples = memoryview(sound.samples).cast("h")
    return math.sqrt(sum(sample * sample for sample in samples) / len(samples))


def _expect_alike(spoken: Pcm, heard: Pcm) -> None:
    if not 0 <= heard.seconds - spoken.seconds < 0.02:
        raise TourError(f"{spoken.seconds:.3f} s were said, {heard.seconds:.3f} s came out")
    if not 0.7 < loudness(heard) / loudness(spoken) < 1.4:
        raise TourError(f"said at {loudness(spoken):.0f} rms, came out at {loudness(heard):.0f}")


def write_tone(path: Path, seconds: float, rate: int = 16000, hertz: float = 440.0) -> None:
    """Write a quiet tone as a WAV file; of whole hertz, for it is repeated each second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    period = [round(3000 * math.sin(2 * math.pi * hertz * n / rate)) for n in range(rate)]
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        for _ in range(math.ceil(seconds)):
            out.writeframes(struct.pack(f"<{rate}h", *period))


def how_to_go_on(bench: Bench) -> str:
    """Return instructions for what can be done now, with commands ready to copy."""
    cloud, state = bench.cloud_data, bench.state
    uuid = bench.device["uuid"]
    return f"""
现在可以 What you can do now (everything runs until Ctrl-C 按 Ctrl-C 停止):
  控制台 The console: {bench.api}/console/
    用户 user {USER}  密码 password {bench.password(USER)}  (测试员 tester: 这台设备 this device)
    用户 user {OPERATOR}  密码 password {bench.password(OPERATOR)}  (管理员 operator: 产品、版本、账号、审计 products, versions, accounts, audit)
  接口说明 The open API described: {bench.api}/docs
  .venv/bin/story-agent status --state {state}
  .venv/bin/story-agent set volume 5 --state {state}
  .venv/bin/story-agent say tools/utterance.wav --state {state}
  .venv/bin/story-cloud device list --data {cloud}
  .venv/bin/story-cloud say {uuid} 音量调到3 --data {cloud}
  .venv/bin/story-cloud fault set {uuid} cut seconds=20 --data {cloud}
  .venv/bin/story-cloud fault set {uuid} disk_full seconds=60 --data {cloud}
  curl --unix-socket {state}/agent.sock http://agent/volume
The open API with curl (每次请求都要新的 nonce, a new nonce each time):
  AK={bench.app["apikey"]} SK={bench.app["secret"]} TOKEN={bench.token}
  N=$(openssl rand -hex 8)
  curl -H "X-IOT-APP: $AK" -H "X-IOT-Token: $TOKEN" \\
       -H "X-IOT-Signature: $N:$(printf %s "$N$AK$SK$TOKEN" | sha1sum | cut -c1-40)" \\
       '{bench.api}/v1/device/resource?deviceUuid={uuid}'
  N=$(openssl rand -hex 8)
  curl -X POST -H "X-IOT-APP: $AK" -H "X-IOT-Token: $TOKEN" \\
       -H "X-IOT-Signature: $N:$(printf %s "$N$AK$SK$TOKEN" | sha1sum | cut -c1-40)" \\
       -d '{{"deviceUuid": "{uuid}", "method": "PUT", "name": "volume", "content": "6"}}' \\
       {bench.api}/v1/device/control/send
  .venv/bin/python examples/app.py {bench.api} $AK $SK $TOKEN {uuid} {bench.device["bindToken"]}
  或在控制台 or on the console: {bench.api}/console/explorer  (管理员 operator)
Logs 日志: {bench.folder}/agent.log, {bench.folder}/cloud.log
"""


def prepare_folder(folder: Path) -> Path:
    """Return ``folder``, emptied of an earlier tour's files and locked; raises BenchError."""
    if folder.exists() and not folder.is_dir():
        raise BenchError(f"{folder} is no folder; choose another: make run DATA=DIR")
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise BenchError(
            f"{folder} holds something that is not a tour's; choose another: make run DATA=DIR"
        )
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / MARKER).open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BenchError(
            f"a tour already runs in {folder}; choose another: make run DATA=DIR"
        ) from error
    for entry in folder.iterdir():
        if entry.name == MARKER:
            continue
        unmount_disk(entry)  # a tour that was killed could not
        shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    globals()["_lock"] = lock  # held until the process ends
    return folder


def run(options: argparse.Namespace) -> int:
    """Run the tour; return the exit code."""
    bench = Bench(prepare_folder(options.data.absolute()), supervised=True, breakable=True)
    try:
        print("故事机之旅 The tour: a staging cloud and an agent, on this machine only", flush=True)
        recognise = not missing_packages()
        bench.start_cloud(
            options.api_port,
            options.device_port,
            recognise=recognise,
            mqtt=options.mqtt,
            faults=True,
        )
        Tour(bench).walk()
        print("全部通过 Every step did what it says.", flush=True)
        if not options.once:
            print(how_to_go_on(bench), flush=True)
            signal.pause()
    except (TourError, BenchError, OpenApiError, WireError, AudioError, httpx.HTTPError) as error:
        print(f"失败 The tour stopped: {error}\nLogs: {bench.folder}", file=sys.stderr, flush=True)
        return 1
    except KeyboardInterrupt:
        print("\n正在停止 Stopping …", flush=True)
    finally:
        bench.stop()
    return 0


def _interrupt(*_: Any) -> NoReturn:
    raise KeyboardInterrupt


def main() -> int:
    """Parse the command line and run the tour; returns the exit code."""
    parser = argparse.ArgumentParser(description="The main job end to end.")
    parser.add_argument("--once", action="store_true", help="end after the tour")
    parser.add_argument("--data", type=Path, default=Path("run"), metavar="DIR")
    parser.add_argument("--api-port", type=whole(1, 65535), default=DEFAULT_API_PORT, metavar="N")
    parser.add_argument(
        "--device-port", type=whole(1, 65535), default=DEFAULT_DEVICE_PORT, metavar="N"
    )
    parser.add_argument("--mqtt", action="store_true", help="the device speaks MQTT, to a broker")
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return run(parser.parse_args())
    except BenchError as error:
        print(f"make run: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
