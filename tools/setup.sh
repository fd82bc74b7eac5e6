#!/usr/bin/env bash
# Install everything that `make run` and `make test` need: system packages, .venv, the project in it.
# Quick when nothing changed. Run it with `make setup`.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
# The device's packages (the first line), and those that the bench and the tests add.
packages=(libspeex1 libspeexdsp1 mpv alsa-utils pulseaudio-utils python3-venv
          pulseaudio libasound2-plugins pipewire pipewire-pulse wireplumber curl openssl dbus rauc squashfs-tools softhsm2 postgresql
          mosquitto chromium chromium-driver fonts-noto-cjk libportaudio2 espeak-ng
          gnupg groff-base poppler-utils zbar-tools zsh fish)

# Never pipewire-alsa: it and pulseaudio remove each other.

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

missing_packages() {
  local package
  for package in "${packages[@]}"; do
    # A Python other than the system's has its own venv.
    [ "$package" = python3-venv ] && "$python" -c 'import ensurepip' 2>/dev/null && continue
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$package"
  done
}

# The tests start their own PostgreSQL; installing the package must not leave another one running.
cluster_setting=/etc/postgresql-common/createcluster.d/story-agent.conf
no_default_cluster() {
  "${sudo[@]}" sh -c "mkdir -p ${cluster_setting%/*} && echo 'create_main_cluster = false' >$cluster_setting"
}

install_packages() {
  local missing sudo=()
  command -v dpkg-query >/dev/null || { say "no Debian: these packages must be there: ${packages[*]}"; return; }
  missing=$(missing_packages)
  [ -z "$missing" ] && return
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null \
      || fail "these system packages are missing; install them and try again:  sudo apt-get install $missing"
    sudo=(sudo -n)
  fi
  say "installing system packages: $missing"
  local log
  log=$(mktemp)
  [[ $missing != *postgresql* ]] || no_default_cluster
  # shellcheck disable=SC2086  # one word per package
  if ! { "${sudo[@]}" apt-get update -qq \
         && "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
              apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    fail "apt-get could not install: $missing (its whole output: $log)"
  fi
  "${sudo[@]}" rm -f "$cluster_setting"
  rm -f "$log"
}

# Debian's nginx, a server for the download tests: only unpacked, because installation would start it.
fetch_nginx() {
  [ -x build/nginx/usr/sbin/nginx ] || [ -x /usr/sbin/nginx ] || ! command -v dpkg-deb >/dev/null && return
  local folder
  folder=$(mktemp -d)
  if (cd "$folder" && apt-get download -qq nginx && dpkg-deb -x nginx_*.deb nginx) >/dev/null 2>&1; then
    rm -rf build/nginx
    mv "$folder/nginx" build/nginx
  else
    say "Debian's nginx cannot be fetched; the tests that need it will be skipped"
  fi
  rm -rf "$folder"
}

install_project() {
  local wanted stamp=.venv/.installed
  wanted=$(cat pyproject.toml cloud/pyproject.toml cloud/hatch_build.py tools/constraints.txt tools/setup.sh | sha256sum)
  [ -x .venv/bin/story-cloud ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return
  # Recreate a virtual environment that was moved or is incomplete.
  .venv/bin/python -c '' 2>/dev/null || { rm -rf .venv; "$python" -m venv .venv; }
  say "installing the project and what it needs into .venv"
  .venv/bin/python -m pip install -qq --disable-pip-version-check \
    -c tools/constraints.txt -e '.[dev,mic,vad,mqtt,mdns,oscore,gpio,wake,qr]' -e './cloud[hsm]' \
    || fail "pip could not install the project; is the package index reachable?"
  # The metadata of an earlier set-up with setuptools would be found before the installed one.
  rm -rf story_agent.egg-info
  printf '%s' "$wanted" >"$stamp"
}

# The caller's environment must not redirect Python to other packages.
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
command -v "$python" >/dev/null || {
  packages+=(python3)
  [ "$python" = python3 ] || fail "there is no $python; name another: make setup PYTHON=…"
}
mkdir -p build
# Concurrent runs would interfere.
exec 9>build/setup.lock
flock -w 600 9 || fail "another setup has been running for ten minutes"
install_packages
fetch_nginx
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
  || fail "Python 3.11 or newer is needed, this is $("$python" --version); name another: make setup PYTHON=…"
install_project
