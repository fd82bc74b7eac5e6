"""The root file system of an image: Debian, the agent's package, and what ``systemd/image/files`` adds.

Made once per board and package list by mmdebstrap into a tar; the rest takes a minute.
"""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tools.image import native
from tools.image.board import FOLDER, Board

# What every image has. NetworkManager is not needed for one cable or one Wi-Fi, and costs seconds of the start.
PACKAGES = (
    "systemd", "systemd-sysv", "systemd-timesyncd", "systemd-resolved", "systemd-zram-generator", "dbus", "udev",
    "init-system-helpers", "python3", "iproute2", "rauc", "rauc-service", "initramfs-tools", "zstd", "e2fsprogs",
    "dosfstools", "fdisk", "mount", "kmod", "polkitd", "libspeex1", "libspeexdsp1", "ca-certificates", "alsa-utils", "mpv",
    "wpasupplicant", "tzdata",
)  # fmt: skip
# The same in every image, because the data partition has files of theirs.
USERS = {"story-agent": 980, "story-player": 981}
ENABLED = (
    "systemd-networkd", "systemd-resolved", "systemd-timesyncd", "story-machine-grow", "story-machine-start", "story-machine-wifi", "story-machine-data",
    "story-agent", "story-player.socket", "story-agent-import", "story-agent-trial.timer",
    "fstrim.timer",
)  # fmt: skip
# Logins, and what writes to a root that is read-only, or does nothing on such a machine but take time.
MASKED = (
    "systemd-remount-fs.service", "getty@tty1.service", "serial-getty@ttyS0.service", "serial-getty@.service", "ssh.service",
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
    "rauc-mark-good.service", "systemd-networkd-wait-online.service", "systemd-pstore.service",
    "systemd-update-utmp.service", "systemd-update-utmp-runlevel.service", "systemd-journal-flush.service",
    "systemd-machine-id-commit.service", "wpa_supplicant.service", "systemd-binfmt.service",
    "dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount", "modprobe@.service", "systemd-network-generator.service",
    "story-agent-restart.service", "keyboard-setup.service", "console-setup.service",
    # /var is new at each start, which they take for an update of the system.
    "systemd-journal-catalog-update.service", "systemd-update-done.service", "systemd-hwdb-update.service", "ldconfig.service",
    "systemd-random-seed.service",
)  # fmt: skip
# A speaker has no screen: mpv's libraries load these for one. And what nobody reads on it.
UNWANTED = (
    "usr/lib/*/dri", "usr/lib/*/libLLVM*", "usr/lib/*/libz3.so*", "usr/share/doc/[!s]*", "usr/share/icons", "usr/share/fonts",
    "usr/share/man", "usr/share/info", "var/lib/apt", "var/cache/apt", "var/log",
    # Where raspi-firmware's own hooks put everything once more.
    "boot/firmware/*",
)  # fmt: skip
# raspi-firmware's, which copy everything to a mounted /boot/firmware at each new initramfs, and fail where none is mounted.
FIRMWARE_HOOKS = (
    "etc/initramfs/post-update.d/z50-raspi-firmware",
    "etc/kernel/*.d/z50-raspi-firmware",
)
_INITRAMFS_PLACE = "etc/initramfs-tools/conf.d/story-machine"
_INITRAMFS = "MODULES=list\nCOMPRESS=zstd\nRESUME=none\n"
TREE = FOLDER.parents[1]
BUILD_SECONDS = 3600.0


def run(*words: str | Path, **options: object) -> None:
    """Run a program; raises CalledProcessError."""
    subprocess.run([str(it) for it in words], check=True, timeout=BUILD_SECONDS, **options)  # type: ignore[call-overload]  # subprocess's own options


def make_base(board: Board, variables: Mapping[str, str], cache: Path) -> Path:
    """Return a tar of Debian with the board's packages, made once for each list of them."""
    wanted = ",".join([*PACKAGES, *board.packages])
    sources = [line.format(**variables) for line in board.sources]
    key = hashlib.sha256("\n".join([board.suite, wanted, *sources]).encode()).hexdigest()[:12]
    tar = cache / f"debian-{board.name}-{key}.tar"
    if not tar.exists():
        part = tar.with_suffix(".part.tar")
        leave = [f"--dpkgopt=path-exclude=/usr/share/{it}/*" for it in ("man", "locale", "info")]
        # The kernel's package makes an initramfs that `slim` makes anew: without modules it takes a tenth of the time.
        small = f"mkdir -p $1/{Path(_INITRAMFS_PLACE).parent}; printf '%s' '{_INITRAMFS}' >$1/{_INITRAMFS_PLACE}"
        run(
            "mmdebstrap", "--quiet", "--variant=minbase", f"--architectures={board.architecture}",
            f"--include={wanted}", f"--essential-hook={small}", *native.hooks(), *leave, board.suite, part, *sources,
        )  # fmt: skip
        part.rename(tar)
    return tar


def make_root(board: Board, base: Path, deb: Path, folder: Path, keyring: Path | None) -> None:
    """Lay out the root file system in ``folder``, which must not exist; `slim` completes it."""
    folder.mkdir(parents=True)
    run("tar", "-C", folder, "-xf", base)
    _add_users(folder)
    shutil.copytree(FOLDER / "files", folder, dirs_exist_ok=True)
    _add_ours(folder)
    shutil.copy(deb, folder / "package.deb")
    with _mounted(folder), native.lent(folder):
        chroot(folder, "dpkg", "--install", "/package.deb")
    (folder / "package.deb").unlink()
    if keyring is not None:
        shutil.copy(keyring, folder / "etc/rauc/keyring.pem")
    _add_board(board, folder)
    _enable(folder)


def chroot(folder: Path, *words: str) -> None:
    """Run a program of the image in it."""
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "DEBIAN_FRONTEND": "noninteractive",
        "LC_ALL": "C.UTF-8",
    }
    run("chroot", folder, *words, env=environment)


@contextlib.contextmanager
def _mounted(folder: Path) -> Iterator[None]:
    """Give it /proc, which systemd-tmpfiles wants."""
    run("mount", "-t", "proc", "proc", folder / "proc")
    try:
        yield
    finally:
        run("umount", folder / "proc")


def _add_users(folder: Path) -> None:
    for name, number in USERS.items():
        line = ["useradd", "--system", "--no-create-home", "--uid", str(number), "--user-group"]
        chroot(folder, *line, "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", name)


def _add_ours(folder: Path) -> None:
    """Put in RAUC's files, the watchdog's, and the Wi-Fi's program."""
    rauc = TREE / "systemd" / "rauc"
    for source, target in (
        (rauc / "tryboot", "usr/lib/rauc/tryboot"),
        (rauc / "trial-end", "usr/lib/rauc/trial-end"),
        (rauc / "system.conf", "etc/rauc/system.conf"),
        (rauc / "60-story-agent-root.rules", "etc/udev/rules.d/60-story-agent-root.rules"),
        (rauc / "10-story-agent-watchdog.conf", "etc/systemd/system.conf.d/10-story-agent-watchdog.conf"),
        (rauc / "story-agent-trial.service", "etc/systemd/system/story-agent-trial.service"),
        (rauc / "story-agent-trial.timer", "etc/systemd/system/story-agent-trial.timer"),
        (TREE / "systemd/story-agent-import.service", "usr/lib/systemd/system/story-agent-import.service"),
        (FOLDER / "wifi_import.py", "usr/lib/story-machine/wifi_import.py"),
        (TREE / "docs/image.md", "usr/share/doc/story-machine/image.md"),
    ):  # fmt: skip
        (folder / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / target)
    (folder / "etc/rauc/tryboot.conf").write_text("A 2\nB 3\n")
    for name in ("data", "boot/firmware", "etc/story-agent", "usr/share/story-machine"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "boot/select").symlink_to("firmware")  # its name in tryboot
    (folder / "etc/resolv.conf").unlink(missing_ok=True)
    (folder / "etc/resolv.conf").symlink_to("/run/systemd/resolve/stub-resolv.conf")
    (folder / "etc/hostname").write_text("story-machine\n")
    (folder / "etc/hosts").write_text("127.0.0.1 localhost story-machine\n::1 localhost\n")
    # Empty, not missing: systemd makes one for this start, and story-machine-start puts the kept one over it.
    (folder / "etc/machine-id").write_text("")


def _add_board(board: Board, folder: Path) -> None:
    if board.slow:
        drop_in(folder, "story-agent.service", "slow", "[Service]\nTimeoutStartSec=600\nWatchdogSec=120\n")  # fmt: skip
    if board.bench_shell:
        unit = folder / "etc/systemd/system/bench-shell.service"
        unit.write_text(
            "[Unit]\nDefaultDependencies=no\n[Service]\nExecStart=/bin/sh\nStandardInput=tty-force\n"
            "StandardOutput=tty\nTTYPath=/dev/ttyS1\nRestart=always\nRestartSec=1\n"
            "Environment=PS1= LC_ALL=C.UTF-8\nUtmpMode=init\n[Install]\nWantedBy=sysinit.target\n"
        )
        chroot(folder, "systemctl", "--quiet", "enable", "bench-shell.service")
    modules = folder / "etc/initramfs-tools/modules"
    modules.write_text("".join(f"{it}\n" for it in board.initramfs_modules))
    (folder / _INITRAMFS_PLACE).write_text(_INITRAMFS)


def drop_in(folder: Path, unit: str, name: str, text: str) -> None:
    """Write a drop-in of a unit."""
    path = folder / "etc/systemd/system" / f"{unit}.d" / f"{name}.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _enable(folder: Path) -> None:
    chroot(folder, "systemctl", "--quiet", "mask", *MASKED)
    chroot(folder, "systemctl", "--quiet", "enable", *ENABLED)
    # Nobody logs in: there is neither a shell on the console nor a password.
    chroot(folder, "passwd", "--quiet", "--lock", "root")


def slim(board: Board, folder: Path) -> None:
    """Make the initramfs, and take out what the machine does not need."""
    remove(folder, (*board.unwanted, *FIRMWARE_HOOKS))
    for modules in folder.glob("usr/lib/modules/*"):
        chroot(folder, "depmod", modules.name)
    chroot(folder, "update-initramfs", "-u", "-k", "all")
    (folder / "usr/share/story-machine/packages.txt").write_text(installed(folder))
    remove(folder, UNWANTED)


def remove(folder: Path, patterns: Sequence[str]) -> None:
    """Remove what the globs find below the root."""
    for path in (it for pattern in patterns for it in folder.glob(pattern)):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def installed(folder: Path) -> str:
    """Return name and version of each Debian package in the image, a line each."""
    form = "--showformat=${Package} ${Version}\\n"
    words: Sequence[str] = ("dpkg-query", f"--admindir={folder}/var/lib/dpkg", "--show", form)
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout
