"""Takes the Wi-Fi from a file on the boot partition: wifi.txt, which any computer with a card reader can write.

    name=Grandma's Wi-Fi
    password=the password
    country=CN

It becomes wpa_supplicant's file on the data partition, and wifi.txt is deleted, because it holds a password. What is
wrong with it is written to wifi-error.txt beside it, in Chinese and English, and the Wi-Fi that was there stays.
"""

# ruff: noqa: INP001, RUF001  # a program of the image, whose words are Chinese too

from __future__ import annotations

import hashlib
import os
import re
import sys
from pathlib import Path

BOOT = Path("/boot/firmware")
TARGET = Path("/data/wifi/wpa_supplicant-wlan0.conf")
NAME, FAULT = "wifi.txt", "wifi-error.txt"
# A file of three lines; a video by mistake must not fill the memory.
FILE_MAX = 4096
# IEEE 802.11i, annex H.4: 4096 rounds, 32 bytes.
_ROUNDS, _KEY_BYTES = 4096, 32
_KEYS = {"name": "name", "ssid": "name", "password": "password", "psk": "password", "country": "country"}  # fmt: skip


class WifiError(ValueError):
    """wifi.txt cannot be used; the message is for people, Chinese first. It never has the password."""


def parse(data: bytes) -> dict[str, str]:
    """Return name, password ("" for an open network) and country of wifi.txt; raises WifiError."""
    if len(data) > FILE_MAX:
        raise WifiError(
            f"{NAME} 太大了。 {NAME} is too large: {len(data)} bytes, expected three lines"
        )
    try:
        text = data.decode("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig")
    except UnicodeDecodeError:
        raise WifiError(f"{NAME} 不是 UTF-8 文本，请用记事本另存为 UTF-8。 {NAME} is no text; save it as UTF-8") from None  # fmt: skip
    found = {"password": "", "country": "CN"}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, equals, value = line.partition("=")
        member = _KEYS.get(key.strip().lower())
        if not equals or member is None:
            # The line itself is not told: it may be the password.
            raise WifiError(f"{NAME} 第 {number} 行看不懂，应为 name=、password= 或 country=。 line {number}: expected name=, password= or country=")  # fmt: skip
        found[member] = value.strip(" \t") if member != "password" else value
    return _checked(found)


def _checked(found: dict[str, str]) -> dict[str, str]:
    name, password, country = found.get("name", ""), found["password"], found["country"].upper()
    if not 1 <= len(name.encode()) <= 32:
        raise WifiError(f"name= 应为 1 到 32 个字节。 name=: {len(name.encode())} bytes, expected 1 to 32")  # fmt: skip
    if password and not (8 <= len(password.encode()) <= 63 or re.fullmatch(r"[0-9A-Fa-f]{64}", password)):  # fmt: skip
        raise WifiError(f"password= 应为 8 到 63 个字符。 password=: {len(password.encode())} characters, expected 8 to 63")  # fmt: skip
    if not re.fullmatch(r"[A-Z]{2}", country):
        raise WifiError("country= 应为两个字母，例如 CN。 country=: expected two letters, for example CN")  # fmt: skip
    return {"name": name, "password": password, "country": country}


def render(wifi: dict[str, str]) -> str:
    """Return wpa_supplicant's file. The name is in hex and the password a key, so that nothing needs quoting."""
    name, password = wifi["name"].encode(), wifi["password"]
    if not password:
        access = "key_mgmt=NONE"
    elif len(password) == 64:
        access = f"key_mgmt=WPA-PSK\n\tpsk={password.lower()}"
    else:
        key = hashlib.pbkdf2_hmac("sha1", password.encode(), name, _ROUNDS, _KEY_BYTES)
        access = f"key_mgmt=WPA-PSK\n\tpsk={key.hex()}"
    return (
        f"ctrl_interface=DIR=/run/wpa_supplicant\ncountry={wifi['country']}\n"
        f"network={{\n\tssid={name.hex()}\n\tscan_ssid=1\n\t{access}\n}}\n"
    )


def write(path: Path, text: str) -> None:
    """Write a file whole, for its owner alone."""
    part = path.with_name(path.name + ".new")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_names(path.parent)


def sync_names(folder: Path) -> None:
    """Let what was renamed and removed in a folder be so after a power cut."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def take(boot: Path = BOOT, target: Path = TARGET) -> str:
    """Take wifi.txt if there is one, and return a line for the log; raises WifiError and OSError."""
    found = [it for it in boot.iterdir() if it.name.lower() == NAME]
    if not found:
        return "no wifi.txt"
    try:
        with found[0].open("rb") as file:
            text = render(parse(file.read(FILE_MAX + 1)))
    except WifiError as error:
        (boot / FAULT).write_text(f"{error}\r\n", "utf-8-sig")
        raise
    write(target, text)
    # The password's bytes too: a deleted name leaves them on the card.
    with found[0].open("r+b") as file:
        file.write(bytes(found[0].stat().st_size))
        os.fsync(file.fileno())
    found[0].unlink()
    (boot / FAULT).unlink(missing_ok=True)
    sync_names(
        boot
    )  # else a file of zeros may be there again, and is told as a bad one at each start
    return "the Wi-Fi was taken from wifi.txt, and the file deleted"


def main() -> int:
    """Take it; 1 if it cannot be used."""
    try:
        line, code = take(), 0
    except WifiError as error:
        line, code = str(error), 1
    except OSError as error:
        line, code = f"{error.filename}: {error.strerror}", 1
    sys.stderr.write(f"story-machine-wifi: {line}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
