#!/usr/bin/env bash
# Install what `make run` needs, and, with the word `test`, what `make test` adds: system packages, .venv, the project in it.
#
#   tools/setup.sh [run|test]      PYTHON=python3.13: another Python; MQTT=1: a broker too; SPEECH=no: no speech models are fetched
#
# Quick when nothing changed, and then without a network. It mends what an interrupted run left. Python packages come
# by the hashes in tools/locks alone (docs/adr/0048).
set -euo pipefail
cd "$(dirname "$0")/.."

# What the product itself needs; a sound server and a voice for the tour's spoken sentence.
run_packages=(libspeex1 libspeexdsp1 mpv alsa-utils pulseaudio-utils python3-venv pulseaudio espeak-ng)
[ -z "${MQTT:-}" ] || run_packages+=(mosquitto)
# Never pipewire-alsa: it and pulseaudio remove each other.
test_packages=(libasound2-plugins pipewire pipewire-pulse wireplumber curl openssl dbus rauc squashfs-tools softhsm2 postgresql
               mosquitto chromium chromium-driver fonts-noto-cjk libportaudio2 libmpv2 fdisk
               gnupg groff-base poppler-utils zbar-tools zsh fish tshark gcc libc6-dev e2fsprogs systemd)
run_locks=(tools/locks/device.txt tools/locks/cloud.txt)
# What has no wheel is built with what the one before has brought.
test_locks=(tools/locks/test.txt tools/locks/source.txt)
# The speech models of story-cloud[asr] are in a folder of their own: all but their own tests is tested as most machines are, without them.
speech_lock=tools/locks/asr.txt speech=build/asr speech_limit=300

wheels=build/setup-wheels unfinished=build/setup.unfinished step=run ahead='' ahead_lock=''
words() { case ${LC_ALL:-${LC_MESSAGES:-${LANG:-}}} in zh*) printf '%s' "$1" ;; *) printf '%s' "$2" ;; esac; }
say() { printf 'setup %s: %s\n' "$step" "$(words "$1" "$2")"; }
fail() { say "$1" "$2" >&2; exit 1; }

# --- system packages ---

missing_packages() {
  local package there
  there=$(dpkg-query -W -f='/${Package} ${Status}/\n' "$@" 2>/dev/null) || true  # it tells of those that it knows
  for package in "$@"; do
    # A Python other than the system's has its own venv.
    [ "$package" = python3-venv ] && "$python" -c 'import ensurepip' 2>/dev/null && continue
    [[ $there == *"/$package install ok installed/"* ]] || printf '%s ' "$package"
  done
}

# The tests start their own PostgreSQL; installing the package must not leave another one running.
cluster_setting=/etc/postgresql-common/createcluster.d/story-agent.conf
no_default_cluster() {
  "${root[@]}" sh -c "mkdir -p ${cluster_setting%/*} && echo 'create_main_cluster = false' >$cluster_setting"
}

# apt-get as root, with its words in English; another one that runs is waited for, at most ten minutes. A service that a
# package starts must hold neither our output nor our lock.
apt_get() {
  local began=$SECONDS code
  while :; do
    code=0
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -o DPkg::Lock::Timeout=600 \
      -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" >"$log.part" 2>&1 </dev/null 4>&- 9>&- || code=$?
    cat "$log.part" >>"$log"
    [ "$code" != 0 ] && grep -q 'Could not get lock' "$log.part" && [ $((SECONDS - began)) -lt 600 ] || return "$code"
    say "另一个 apt 正在运行，等它结束" "another apt runs; waiting for it"
    sleep 10
  done
}

# dpkg that was killed goes on where it was; what it lacks is fetched.
mend_dpkg() {
  [ -z "$(dpkg --audit 2>/dev/null)" ] && ! compgen -G '/var/lib/dpkg/updates/[0-9]*' >/dev/null && return
  say "上次安装被打断，先补完" "an installation was interrupted: finishing it first"
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C dpkg --force-confdef --force-confold --configure -a \
    >>"$log" 2>&1 </dev/null 4>&- 9>&- || true  # apt says what is wrong
  apt_get -y -qq --fix-broken install || true
}

# How much apt is about to do, in its own words.
told_size() {
  apt_get install --no-install-recommends --assume-no "$@" || true
  sed -nE 's/.* ([0-9]+) newly installed.*/\1 packages/p; s/^Need to get (.*) of archives.*/, \1 to fetch/p; s/^After this operation, (.*) of additional.*/, \1 on the disk/p' \
    "$log.part" | tr -d '\n'
}

# A line each fifteen seconds, as long as this set-up lives.
watch() {
  local began=$SECONDS last
  # What holds no output of ours keeps nobody waiting for its end.
  while sleep 15 >/dev/null 2>&1 4>&- 9>&- && kill -0 $$ 2>/dev/null; do
    last=$(tail -n 1 "$1" 2>/dev/null | cut -c1-100) || true
    say "…… $((SECONDS - began)) 秒：$last" "… $((SECONDS - began)) s: $last"
  done
}

# Run a command whose output goes into a file, and tell meanwhile how far it is.
with_watch() {
  local file=$1 watcher code=0
  shift
  watch "$file" >&4 9>&- &
  watcher=$!
  "$@" || code=$?
  kill "$watcher" 2>/dev/null || true
  wait "$watcher" 2>/dev/null || true
  return "$code"
}

install_packages() {
  local missing began=$SECONDS root=() log size
  command -v dpkg-query >/dev/null || { say "不是 Debian，这些软件包要自己装：$*" "no Debian: these packages must be there: $*"; return; }
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null && sudo -n true 2>/dev/null || fail \
      "缺少系统软件包，请安装后再试：  sudo apt-get install --no-install-recommends $missing" \
      "these system packages are missing; install them and try again:  sudo apt-get install --no-install-recommends $missing"
    root=(sudo -n)
  fi
  log=$(mktemp)
  mend_dpkg
  say "读取软件包目录" "reading the lists of packages"
  apt_get update -qq || true  # an old list may do
  # shellcheck disable=SC2086  # one word per package
  size=$(told_size $missing)
  say "安装系统软件包 $missing— $size" "installing system packages $missing— $size"
  [[ $missing != *postgresql* ]] || no_default_cluster
  # shellcheck disable=SC2086
  with_watch "$log.part" apt_get install -y --no-install-recommends $missing || {
    tail -n 5 "$log.part" >&2
    fail "apt-get 装不上：$missing（全部输出：$log）。网络通吗？磁盘满了吗？" \
      "apt-get could not install: $missing (its whole output: $log). Is the network reachable, the disk full?"
  }
  [[ $missing != *postgresql* ]] || "${root[@]}" rm -f "$cluster_setting"
  rm -f "$log" "$log.part"
  say "系统软件包已装好，$((SECONDS - began)) 秒" "system packages are installed, $((SECONDS - began)) s"
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
    say "取不到 Debian 的 nginx，用到它的测试会跳过" "Debian's nginx cannot be fetched; the tests that need it will be skipped"
  fi
  rm -rf "$folder"
}

# --- Python and .venv ---

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

# Whoever names no Python keeps .venv's.
choose_python() {
  python=${PYTHON:-}
  [ -n "$python" ] || python=$(.venv/bin/python -c 'import sys; print(sys._base_executable)' 2>/dev/null) || python=python3
  command -v "$python" >/dev/null && return
  [ -z "${PYTHON:-}" ] || fail "没有 $python；换一个：make setup PYTHON=…" "there is no $python; name another: make setup PYTHON=…"
  run_packages+=(python3)
}

check_python() {
  command -v "$python" >/dev/null || fail "没有 $python；请先安装 Python 3.11 或更新" "there is no $python: install Python 3.11 or newer"
  version=$(version_of "$python") || fail "$python 运行不了" "$python does not run"
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail \
    "需要 Python 3.11 或更新，而 $(command -v "$python") 是 $version；换一个：make setup PYTHON=…" \
    "Python 3.11 or newer is needed, and $(command -v "$python") is $version; name another: make setup PYTHON=…"
  grep -q "^# $(uname -m) " "${run_locks[0]}" || fail \
    "tools/locks 里没有 $(uname -m) 的软件包；不核对哈希、自己装：$python -m venv .venv && .venv/bin/pip install -c tools/constraints.txt -e . -e ./cloud" \
    "tools/locks has no packages for $(uname -m); by hand, without hashes: $python -m venv .venv && .venv/bin/pip install -c tools/constraints.txt -e . -e ./cloud"
  grep -q "^# $(uname -m) $version: " "${run_locks[0]}" || fail \
    "tools/locks 里没有 $(uname -m) 上 Python $version 的软件包；有：$(known)；换一个：make setup PYTHON=…" \
    "tools/locks has no packages for Python $version on $(uname -m), but for $(known); name another: make setup PYTHON=…"
}

known() { sed -nE 's/^# (\S+ [0-9.]+): .*/\1/p' "${run_locks[0]}" | paste -sd, | sed 's/,/, /g'; }

# A .venv that was moved, is of another Python, or in which an installation was interrupted, is made anew.
make_venv() {
  [ ! -e "$unfinished" ] && [ "$(version_of .venv/bin/python)" = "$version" ] && return
  say "建立 .venv（Python $version）" "making .venv, with Python $version"
  rm -rf .venv
  touch "$unfinished"
  "$python" -m venv .venv || { rm -rf .venv; fail "$python 建不了 .venv；缺 python3-venv？" "$python cannot make .venv; is python3-venv missing?"; }
  rm -f "$unfinished"
}

pip() { PYTHONUNBUFFERED=1 .venv/bin/python -m pip --disable-pip-version-check --no-input "$@" </dev/null; }

pip_failed() {
  local log=$1
  grep -E 'ERROR|error:' "$log" | tail -n 3 >&2 || tail -n 3 "$log" >&2
  if grep -q 'DO NOT MATCH THE HASHES' "$log"; then
    fail "有文件与 tools/locks 里的哈希不符，没有安装（全部输出：$log）" "a file is not the one whose hash is in tools/locks: nothing of it was installed (whole output: $log)"
  fi
  fail "pip 没有装完（全部输出：$log）。软件源连得上吗？磁盘满了吗？" "pip did not finish (its whole output: $log). Is the package index reachable, the disk full?"
}

# Fetch what is missing of a lock into a folder of its own, where the list of it is too.
fetch_lock() {
  local lock=$1 folder="$wheels/$(basename "$1" .txt)" log count began=$SECONDS
  rm -rf "$folder"
  mkdir -p "$folder"
  .venv/bin/python tools/locks/missing.py "$lock" >"$folder/wanted.txt"
  [ -s "$folder/wanted.txt" ] || return 0
  count=$(wc -l <"$folder/wanted.txt") log=$(mktemp)
  say "下载 $count 个 Python 软件包（$lock 共 $(told_lock "$lock")）" "fetching $count Python packages ($lock has $(told_lock "$lock"))"
  with_watch "$log" pip download --no-deps --require-hashes --use-pep517 --no-build-isolation --progress-bar off \
    -d "$folder" -r "$folder/wanted.txt" >"$log" 2>&1 || pip_failed "$log"
  rm -f "$log"
  say "下载好了，$((SECONDS - began)) 秒" "fetched, $((SECONDS - began)) s"
}

sum_of() { sha256sum <"$1"; }
is_installed() { [ "$(cat ".venv/.$(basename "$1" .txt)" 2>/dev/null)" = "$(sum_of "$1")" ]; }

# Let a lock be fetched while the one before it is installed.
fetch_ahead() {
  is_installed "$1" && return
  fetch_lock "$1" &
  ahead=$! ahead_lock=$1
}

# Install what is missing of a lock without a network, once it is fetched: only that part is what an interruption spoils.
install_lock() {
  local lock=$1 folder="$wheels/$(basename "$1" .txt)" log began=$SECONDS
  is_installed "$lock" && return
  if [ "$lock" = "$ahead_lock" ]; then wait "$ahead" || exit 1; else fetch_lock "$lock"; fi
  if [ -s "$folder/wanted.txt" ]; then
    log=$(mktemp)
    say "安装，已用 $((SECONDS - began)) 秒" "installing them, after $((SECONDS - began)) s"
    touch "$unfinished"
    with_watch "$log" pip install --no-deps --require-hashes --use-pep517 --no-build-isolation --no-compile --no-index --find-links "$folder" \
      -r "$folder/wanted.txt" >"$log" 2>&1 || pip_failed "$log"
    # pip compiles with one core. A file that is no Python of this version is no error of ours.
    .venv/bin/python -m compileall -q -j 0 .venv/lib/python*/site-packages >/dev/null 2>&1 || true
    rm -rf "$unfinished" "$log"
    say "装好了，$((SECONDS - began)) 秒" "installed, $((SECONDS - began)) s"
  fi
  rm -rf "$folder"
  sum_of "$lock" >".venv/.$(basename "$lock" .txt)"
}

# The tests go on without the speech models: on a machine that has no wheels of them, without a network, or on a slow one.
fetch_speech() {
  local sum log began=$SECONDS
  sum="$version $(sha256sum <"$speech_lock")"
  [ "$(cat "$speech/.lock" 2>/dev/null)" != "$sum" ] && [ "${SPEECH:-}" != no ] && [ -n "$(told_lock "$speech_lock")" ] || return 0
  log=$(mktemp)
  say "下载语音识别模型，只供识别测试用（$speech_lock 共 $(told_lock "$speech_lock")）；SPEECH=no 则不下载" \
    "fetching the speech models, for the tests of recognition alone ($speech_lock has $(told_lock "$speech_lock")); SPEECH=no leaves them out"
  rm -rf "$speech" "$speech.part"
  if ! with_watch "$log" timeout "$speech_limit" .venv/bin/python -m pip --disable-pip-version-check --no-input install \
    --retries 1 --no-deps --require-hashes --only-binary=:all: --no-compile --progress-bar off --target "$speech.part" -r "$speech_lock" >"$log" 2>&1 </dev/null; then
    rm -rf "$speech.part"
    grep -E 'ERROR|error:' "$log" | tail -n 1 >&2 || true
    say "语音识别模型没有取到，用到它的测试会跳过（全部输出：$log）；再试：make setup" \
      "the speech models could not be fetched; the tests that need them will be skipped (whole output: $log); to try again: make setup" >&2
    return
  fi
  printf '%s' "$sum" >"$speech.part/.lock"
  mv "$speech.part" "$speech"
  rm -f "$log"
  say "模型已就绪，$((SECONDS - began)) 秒" "the models are there, $((SECONDS - began)) s"
}

told_lock() { sed -nE "s/^# $(uname -m) $version: //p" "$1"; }

install_project() {
  local sum log stamp=.venv/.project
  sum=$(cat pyproject.toml cloud/pyproject.toml cloud/hatch_build.py tools/setup.sh | sha256sum)
  [ -x .venv/bin/story-cloud ] && [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ] && return
  log=$(mktemp)
  touch "$unfinished"
  pip install --no-deps --no-build-isolation --no-index -e . -e ./cloud >"$log" 2>&1 || pip_failed "$log"
  # The metadata of an earlier set-up with setuptools would be found before the installed one.
  rm -rf story_agent.egg-info "$unfinished" "$log"
  printf '%s' "$sum" >"$stamp"
}

# The caller's environment must not redirect Python to other packages or other folders.
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV PIP_TARGET PIP_PREFIX PIP_USER PIP_REQUIRE_HASHES PIP_CONSTRAINT PIP_NO_DEPS
case ${1:-run} in run | test) ;; *) printf 'setup: got %q, expected run or test\n' "$1" >&2; exit 2 ;; esac
mkdir -p build
exec 4>&1 9>build/setup.lock
flock -n 9 || { say "另一个 make setup 正在运行，等它结束" "another set-up runs; waiting for it"; flock -w 600 9; } \
  || fail "另一个 make setup 已运行十分钟" "another set-up has been running for ten minutes"
choose_python
command -v "$python" >/dev/null && check_python
install_packages "${run_packages[@]}"
check_python
make_venv
# What fails here does not go on talking in the background.
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
# Fetching waits for the network, and installing for one core: what the tests add comes meanwhile.
[ "${1:-run}" != test ] || [ -n "$(missing_packages "${test_packages[@]}")" ] || step=test fetch_ahead "${test_locks[0]}"
for lock in "${run_locks[@]}"; do install_lock "$lock"; done
install_project
[ "${1:-run}" = test ] || { rm -rf "$wheels"; exit 0; }
step=test
install_packages "${test_packages[@]}"
fetch_nginx
fetch_speech &
speech_job=$!
for lock in "${test_locks[@]}"; do install_lock "$lock"; done
wait "$speech_job"
rm -rf "$wheels"
