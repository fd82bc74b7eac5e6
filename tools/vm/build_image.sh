#!/usr/bin/env bash
# Build the virtual machine for `make test-cuts`: a Debian root image with the agent, kernel and initrd.
#
#   tools/vm/build_image.sh OUT VERSION...      e.g. build/vm 1.0.0 1.1.0
#   PLAYER=1 tools/vm/build_image.sh OUT VERSION    with mpv, the player's units, and the check of tests/vm/player.py
#
# Writes OUT/root-VERSION.ext4 (used read-only: /var is a tmpfs, persistent data is on the disk with the
# label "state"), OUT/vmlinuz and OUT/initrd. The agent's version is the image's VERSION. Needs root,
# mmdebstrap, e2fsprogs and a Debian mirror; OUT/debian.tar caches the mirror's packages.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ $# -ge 2 ] || { echo "usage: $0 OUT VERSION..." >&2; exit 2; }
out=$1; shift
mkdir -p "$out"
root=$out/root

if [ ! -s "$out/debian.tar" ]; then
  mmdebstrap --quiet --format=tar --variant=minbase --include=systemd,systemd-sysv,dbus,udev,python3,python3-venv,iproute2,rauc,rauc-service,linux-image-cloud-amd64,initramfs-tools,e2fsprogs,dosfstools,mount,kmod,polkitd,libspeex1,ca-certificates${PLAYER:+,mpv} \
    bookworm "$out/debian.tar.part"
  mv "$out/debian.tar.part" "$out/debian.tar"
fi

rm -rf "$root"
mkdir "$root"
tar -C "$root" -xf "$out/debian.tar"
cp "$root"/boot/vmlinuz-* "$out/vmlinuz"
cp "$root"/boot/initrd.img-* "$out/initrd"
rm -rf "$root"/boot/* "$root"/usr/share/{doc,man,locale,perl} "$root"/var/cache/apt "$root"/var/lib/apt
# Modules that a machine without USB, PCI cards and uncommon file systems never loads.
rm -rf "$root"/usr/lib/modules/*/kernel/{sound,drivers/{gpu,infiniband,media,scsi,target,usb,nvme,hid,input,iio},fs/{btrfs,xfs,ceph,nfs,nfsd,smb,cifs,ocfs2,f2fs,gfs2,jfs}}
chroot "$root" depmod "$(basename "$root"/usr/lib/modules/*)"

# The agent: Debian's Python, our packages and their dependencies, built from this tree.
tree=$out/tree
rm -rf "$tree"
mkdir "$tree"
find wire audio base transport machine resources ota agent pyproject.toml README.md LICENSE -type f -not -path "*/__pycache__/*" -print0 \
  | xargs -0 cp --parents -t "$tree"
chroot "$root" python3 -m venv --without-pip /opt/story-agent
site=$(echo "$root"/opt/story-agent/lib/python3*/site-packages)
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-warn-script-location \
  --target "$site" -c tools/constraints.txt "$tree"
rm -rf "$site/bin"
printf '#!/opt/story-agent/bin/python3\nimport sys\nfrom agent.cli import main\nsys.exit(main())\n' \
  >"$root/opt/story-agent/bin/story-agent"
chmod 755 "$root/opt/story-agent/bin/story-agent"
chroot "$root" python3 -m compileall -q /opt/story-agent/lib || true  # some packages have test data that does not compile

install -D -m 644 systemd/story-agent.service "$root/usr/lib/systemd/system/story-agent.service"
install -D -m 644 systemd/story-agent.sysusers "$root/usr/lib/sysusers.d/story-agent.conf"
install -D -m 644 systemd/50-story-agent.rules "$root/etc/polkit-1/rules.d/50-story-agent.rules"
chroot "$root" systemd-sysusers
size=400M
if [ -n "${PLAYER:-}" ]; then
  size=1200M
  install -m 644 -t "$root/usr/lib/systemd/system" systemd/story-player.socket systemd/story-player@.service
  install -D -m 644 tests/vm/player_check.py "$root/usr/lib/story-check/player_check.py"
  printf '[Unit]\nAfter=story-agent.service\n[Service]\nType=oneshot\nExecStart=/opt/story-agent/bin/python3 /usr/lib/story-check/player_check.py\nTimeoutStartSec=900\n[Install]\nWantedBy=multi-user.target\n' \
    >"$root/etc/systemd/system/story-check.service"
  chroot "$root" systemctl --quiet enable story-player.socket story-check
fi
install -D -m 755 -t "$root/usr/lib/rauc" systemd/rauc/tryboot systemd/rauc/trial-end
install -m 644 systemd/rauc/story-agent-trial.* "$root/etc/systemd/system/"
[ ! -e "$out/keyring.pem" ] || install -D -m 644 "$out/keyring.pem" "$root/etc/rauc/keyring.pem"
mkdir -p "$root/etc/rauc"
sed -e 's,/dev/disk/by-partuuid/53544f52-05,/dev/vda,' -e 's,/dev/disk/by-partuuid/53544f52-06,/dev/vdb,' -e '/^# Linux, which/,$d' \
  systemd/rauc/system.conf >"$root/etc/rauc/system.conf"
sed -e 's,ENV{ID_PART_ENTRY_UUID}=="53544f52-05|53544f52-06",KERNEL=="vda|vdb",' \
  systemd/rauc/60-story-agent-root.rules >"$root/etc/udev/rules.d/60-story-agent-root.rules"
printf 'A 2\nB 3\n' >"$root/etc/rauc/tryboot.conf"

cat >"$root/etc/fstab" <<'FSTAB'
tmpfs                    /var                 tmpfs  mode=0755,size=64m                          0 0
/dev/disk/by-label/state /data                ext4   noatime                                     0 2
/data/story-agent        /var/lib/story-agent none   bind,x-systemd.requires-mounts-for=/data    0 0
/data/etc                /etc/story-agent     none   bind,x-systemd.requires-mounts-for=/data    0 0
/dev/disk/by-label/SELECT /boot/select        vfat   noatime,nofail,x-systemd.device-timeout=300s  0 0
FSTAB
mkdir -p "$root"/data "$root"/etc/story-agent "$root"/boot/select
cat >"$root/etc/systemd/network/20-wired.network" <<'NETWORK'
[Match]
Type=ether
[Network]
DHCP=ipv4
NETWORK
# The bench's cloud listens on the host's loopback, which QEMU's user network maps to 10.0.2.2; its
# certificate is for localhost.
printf '10.0.2.2 localhost\n127.0.0.1 story-machine\n' >"$root/etc/hosts"
echo story-machine >"$root/etc/hostname"
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
mkdir -p "$root/etc/systemd/journald.conf.d" "$root/etc/systemd/system/story-agent.service.d"
printf '[Journal]\nStorage=volatile\n' >"$root/etc/systemd/journald.conf.d/vm.conf"
# An emulated processor starts Python slowly. The log goes to the serial port by a word of the kernel's (tests/vm/emulator.py).
printf '[Unit]\nRequiresMountsFor=/var/lib/story-agent /etc/story-agent\n[Service]\nTimeoutStartSec=300\nWatchdogSec=120\n' \
  >"$root/etc/systemd/system/story-agent.service.d/vm.conf"
chroot "$root" systemctl --quiet enable systemd-networkd story-agent story-agent-trial.timer
chroot "$root" systemctl --quiet mask systemd-timesyncd serial-getty@ttyS0 getty@tty1 apt-daily.timer \
  apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer e2scrub_all.timer e2scrub_reap systemd-remount-fs

uuid=5b6f1c1e-6f0e-4b0f-9d7a-3c9b2f7f4d11
for version in "$@"; do
  info=$(echo "$site"/story_agent-*.dist-info)
  sed -i "s/^Version: .*/Version: $version/" "$info/METADATA"
  mv -T "$info" "$site/story_agent-$version.dist-info" 2>/dev/null || true
  rm -f "$out/root-$version.ext4"
  truncate -s "$size" "$out/root-$version.ext4"
  # Blocks of 4 KiB, so that block deltas find a file wherever it lies (docs/adr/0011). All images have
  # the same UUID and hash seed, so that directory blocks stay identical.
  mke2fs -q -t ext4 -b 4096 -O ^has_journal -m 0 -L root -U "$uuid" -E hash_seed="$uuid" \
    -d "$root" "$out/root-$version.ext4"
done
rm -rf "$tree"
du -sh "$root" | cut -f1
