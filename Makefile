# The two commands of the README: `make run` shows the product at work, `make test` proves it.
# Variables: ONCE=1 (make run ends after the tour), MQTT=1 (the device speaks MQTT, to a broker), DATA=DIR, API_PORT=N, DEVICE_PORT=N, PYTHON=python3.13,
# SPEECH=no (make test fetches no speech models).
SHELL := /bin/bash
BIN := .venv/bin

.PHONY: test-kills setup setup-run locks test-setup manuals docs run test deb test-deb test-readme image test-vm test-pi test-cuts lint types bench mutation fuzz attack audit command-proof report-proof soak store-proof worker-proof revoke-proof kill-proof black-box coverage console-proof tester-day rollout-proof wake-proof voice-proof listen-proof presence-proof advise advise-proof clean sim sim-night sim-storage sim-planted replay

# Both steps: what `make run` needs, and what the tests add to it.
setup:
	@PYTHON="$(PYTHON)" MQTT="$(MQTT)" SPEECH="$(SPEECH)" bash tools/setup.sh test

# The first step alone.
setup-run:
	@PYTHON="$(PYTHON)" MQTT="$(MQTT)" bash tools/setup.sh run

# The lock files of all Python packages, with the hashes of their files, after a change of tools/constraints.txt (docs/packages.md).
locks: setup
	@$(BIN)/python -m tools.locks

run: setup-run
	@$(BIN)/python -m tools.tour $(if $(ONCE),--once) $(if $(MQTT),--mqtt) $(if $(DATA),--data "$(DATA)") \
	  $(if $(API_PORT),--api-port $(API_PORT)) $(if $(DEVICE_PORT),--device-port $(DEVICE_PORT))

# mypy has one core, and the tests wait for real sound much of the time: side by side. What the set-up could not fetch for lint, it does not try to fetch again.
test: lint
	@$(MAKE) --no-print-directory -j2 SPEECH=no types suite

# Five workers on two cores, for the same reason. ARGS=… are more words for pytest.
# The tests are compiled once, before five workers would each do it; tests/test_conftest.py compares the names that both collect.
suite: export PYTHONDONTWRITEBYTECODE =
suite: export STORY_NAMES_OF_TESTS = build/names-of-tests.txt
suite: setup
	@rm -f $(STORY_NAMES_OF_TESTS)
	@$(if $(ARGS),,$(BIN)/pytest --collect-only -qq -m "not long" >/dev/null 2>&1 || true)
	$(BIN)/pytest -n 5 --dist loadfile --no-loadscope-reorder $(if $(ARGS),$(ARGS),-m "not long")

# Updates and publications that are killed at each of their writes; two minutes that `make test` does not have.
test-kills: setup
	$(BIN)/pytest -n 2 -m long tests/ota tests/release tests/tools

# The Debian packages for amd64 and arm64 into build/deb, from wheels whose hashes are in systemd/deb/locks (docs/packages.md).
deb: setup-run
	@$(BIN)/python -m tools.deb

# The packages in clean Debian 12 and 13 systems: lintian, install, register, upgrade, update, remove, purge; half an hour. Needs root, mmdebstrap, systemd-container, lintian and a
# Debian mirror; with ARM64=1, an arm64 system too, which needs qemu-user-static; with BEFORE=FILE, the upgrade is from an earlier package.
test-deb: setup deb
	@$(BIN)/python -m tests.deb.proof --debs build/deb $(if $(ARM64),--arm64) $(if $(BEFORE),--before $(BEFORE)) --write build/deb/proof.md

# The README's commands on a clean Debian 12, its set-up killed in each act (docs/setup-proof.md); a quarter of an hour. Needs root, mmdebstrap and a Debian mirror.
# STEPS="fresh tests" runs these alone.
test-setup: setup
	@$(BIN)/python -m tests.deb.setup_proof $(if $(STEPS),--only $(STEPS)) --write build/setup-proof.md

# The card image of a board (pi, pi-debian or qemu) and, with KEYS, the bundle for machines in the field, into build/image (docs/image.md). Needs root.
# ROOT_JSON=FILE: the releases' root; ZONE=Asia/Shanghai: where the family lives; KEYS=DIR: keyring.pem and rauc.key; MIRROR, RASPBERRY_MIRROR, RASPBERRY_KEYRING.
BOARD ?= pi
IMAGE := build/image
ARCHITECTURE = $(if $(filter qemu,$(BOARD)),amd64,arm64)
IMAGE_WORDS = --output $(IMAGE) $(if $(KEYS),--keys $(KEYS)) $(if $(ROOT_JSON),--root-json $(ROOT_JSON)) $(if $(ZONE),--zone $(ZONE)) $(if $(MIRROR),--mirror $(MIRROR)) \
  $(if $(RASPBERRY_MIRROR),--raspberry-mirror $(RASPBERRY_MIRROR)) $(if $(RASPBERRY_KEYRING),--raspberry-keyring $(RASPBERRY_KEYRING))
image: setup-run
	@$(BIN)/python -m tools.deb --only story-agent --architecture $(ARCHITECTURE)
	@$(BIN)/python -m tools.image $(BOARD) --deb "$$(ls -t build/deb/story-agent_*_$(ARCHITECTURE).deb | head -1)" $(IMAGE_WORDS)

# The image's twin in an emulator: from flashing to an update with a power cut (docs/vm-proof.md). Needs root, qemu-system-x86 and a Debian
# mirror besides what `make image` needs. TWIN=keep uses the images that are there; STEPS="sound reboot" runs these alone.
TWIN_KEYS := $(IMAGE)/keys
test-vm: setup
	@test -s $(TWIN_KEYS)/rauc.key || { mkdir -p $(TWIN_KEYS) && openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=story-rauc \
	  -keyout $(TWIN_KEYS)/rauc.key -out $(TWIN_KEYS)/keyring.pem 2>/dev/null; }
ifneq ($(TWIN),keep)
	@$(BIN)/python -m tools.deb --only story-agent --architecture amd64
	@for version in 1.0.0 1.1.0; do $(BIN)/python -m tools.image qemu --version $$version --keys $(TWIN_KEYS) --output $(IMAGE) \
	  $$([ $$version = 1.1.0 ] || echo --no-bundle) \
	  --deb "$$(ls -t build/deb/story-agent_*_amd64.deb | head -1)" || exit 1; done
endif
	@$(BIN)/python -m tests.vm.image_proof --images $(IMAGE) --folder $(IMAGE)/proof --write $(IMAGE)/proof.md $(if $(STEPS),--only $(STEPS))

# The Pi's image of Debian's archive, on an emulated Pi 3: its own kernel, device tree and root (docs/vm-proof.md). Needs root,
# qemu-system-arm, qemu-user-static and a Debian mirror besides what `make image` needs. TWIN=keep uses the image that is there.
test-pi: setup
ifneq ($(TWIN),keep)
	@$(BIN)/python -m tools.deb --only story-agent --architecture arm64
	@$(BIN)/python -m tools.image pi-debian --version 1.0.0 --output $(IMAGE) --deb "$$(ls -t build/deb/story-agent_*_arm64.deb | head -1)"
endif
	@$(BIN)/python -m tests.vm.image_proof --board pi-debian --images $(IMAGE) --folder $(IMAGE)/pi-proof --write $(IMAGE)/pi-proof.md $(if $(STEPS),--only $(STEPS))

# Many power cuts in every phase of an update on an emulated Debian machine, an hour and more; needs root, qemu-system-x86, mmdebstrap,
# rauc, mtools, dosfstools and a Debian mirror (docs/vm-proof.md). RUNS=N cuts for each installer, and one
# update to a system whose agent is dead.
VM := build/vm
test-cuts: setup
	@test -s $(VM)/rauc.key || { mkdir -p $(VM) && openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=story-rauc \
	  -keyout $(VM)/rauc.key -out $(VM)/keyring.pem 2>/dev/null; }
	@tools/vm/build_image.sh $(VM) 1.0.0 1.1.0
	@$(BIN)/python -m tests.vm.proof --images $(VM) --installer slots --runs $(or $(RUNS),20) --write $(VM)/slots.md
	@$(BIN)/python -m tests.vm.proof --images $(VM) --installer rauc --runs $(or $(RUNS),20) --write $(VM)/rauc.md
	@$(BIN)/python -m tests.vm.proof --images $(VM) --dead --write $(VM)/dead.md
	@PLAYER=1 tools/vm/build_image.sh $(VM)/player 1.0.0
	@$(BIN)/python -m tests.vm.player --images $(VM)/player --write $(VM)/player.md

# Every report arrives once, through connections cut at random bytes and kill -9 of devices and cloud; a few
# minutes. REPORTS=N; DEVICES=N share them; LINK=coap or mqtt (docs/adr/0034); TOGETHER=N: so many are put at once; CUT=N: bytes at most until a cut.
report-proof: setup
	@$(BIN)/python -m tools.report_proof --reports $(or $(REPORTS),2500) --devices $(or $(DEVICES),1) --link $(or $(LINK),coap) --together $(or $(TOGETHER),1) $(if $(CUT),--cut-bytes $(CUT))

# Updates of real processes, killed at random moments, on disks that fill (docs/mutation.md). KILLS=N; BEFORE=1: from the version that was released before.
kill-proof: setup
	@$(BIN)/python -m tools.kill_proof --kills $(or $(KILLS),100) $(if $(BEFORE),--before)

# All proofs with real processes under faults, one after the other: a night. What was run becomes rows of docs/mutation.md, also of one that is ended early (kill -TERM, or MINUTES=N for each proof).
# REPORTS=N over each link, UPDATES=N in all.
NIGHT = --night $(if $(MINUTES),--minutes $(MINUTES))
black-box: setup
	@for link in coap mqtt; do $(BIN)/python -m tools.report_proof --reports $(or $(REPORTS),1000000) --devices 8 --together 50 --cut-bytes 22000 --kill-seconds 30 --link $$link $(NIGHT) && \
	  $(BIN)/python -m tools.report_proof --link $$link && $(BIN)/python -m tools.command_proof --link $$link || exit 1; done
	@for base in "" --before; do $(BIN)/python -m tools.kill_proof --updates $$((($(or $(UPDATES),500) + 1) / 2)) $$base $(NIGHT) || exit 1; done

lint: setup
	$(BIN)/ruff format --check --quiet . || { echo "make test: some files are not formatted; run .venv/bin/ruff format ." >&2; exit 1; }
	$(BIN)/ruff check --quiet .

types: setup
	$(BIN)/mypy wire audio base transport machine resources ota release agent staging cloud tools benchmarks tests

# A million broken inputs for every reader of strangers' bytes and, with CLOUD=N, so many for the open API, the console and the gateway (docs/security.md).
# HOURS=N: the readers alone, by atheris, which looks for new code; it goes into a folder of its own. ONLY=TEXT: readers whose name has it.
ATHERIS := build/atheris
fuzz: setup
ifdef HOURS
	@test -d $(ATHERIS) || $(BIN)/pip install -q --no-deps --target $(ATHERIS) "atheris>=3"
	@PYTHONPATH=$(ATHERIS) $(BIN)/python -m tools.fuzz_guided --hours $(HOURS) --only "$(ONLY)"
else
	@$(BIN)/python -m tools.fuzz $(if $(INPUTS),--inputs $(INPUTS)) --cloud $(or $(CLOUD),100000)
endif

# The real agent and cloud on one virtual clock, all chance from a seed (docs/simulation.md). SEEDS=N, FIRST=N, HOURS=H; SEED=N runs one, with its trace; TWICE=N compares; LINK=mqtt or coap is that of all seeds.
sim: setup
	@$(BIN)/python -m tools.sim --seeds $(or $(SEEDS),100) --first $(or $(FIRST),1) --hours $(or $(HOURS),24) $(if $(SEED),--seed $(SEED)) $(if $(TWICE),--twice $(TWICE)) $(if $(LINK),--link $(LINK))

# As many days as a night has, on all cores, from the first seed that no night has run; the running total is in docs/simulation.md. DAYS=N, JOBS=N, MINUTES=N.
sim-night: setup
	@$(BIN)/python -m tools.sim.night $(if $(DAYS),--days $(DAYS)) $(if $(JOBS),--jobs $(JOBS)) $(if $(HOURS),--hours $(HOURS)) $(if $(MINUTES),--minutes $(MINUTES))

# All sequences of up to three of our own storage operations, each cut at every call, with each loss; half an hour of one core. LENGTH=2: two minutes.
sim-storage: setup
	@$(BIN)/python -m tools.sim.storage --length $(or $(LENGTH),3)

# Bugs are put into the product one after another, and looked for; ONLY=TEXT, SEEDS=N at most for each. It goes on where it stopped, by
# WRITE=FILE (build/planted.md); ANEW=1 begins again, PAGE=1 puts the rows into docs/simulation.md.
sim-planted: setup
	@$(BIN)/python -m tools.sim.planted --seeds $(or $(SEEDS),500) $(if $(ONLY),--only "$(ONLY)") $(if $(WRITE),--write $(WRITE)) $(if $(ANEW),--anew) $(if $(PAGE),--page)

# What a machine's diagnosis says of its days, again in the simulation: BUNDLE=story-agent-diag-….tar.gz. HOURS=N: the last of them.
replay: setup
	@$(BIN)/python -m tools.sim.replay $(BUNDLE) $(if $(HOURS),--hours $(HOURS))

# What docs/security.md says is tried on a cloud and an agent on loopback, held or broken, a few minutes. ONLY="log-in brake,live pages"; WRITE=FILE;
# STORE=postgresql, and with it WORKERS=2: at workers, the machine behind their broker.
attack: setup
	@$(BIN)/python -m tools.attack --only "$(ONLY)" $(if $(WRITE),--write $(WRITE)) $(if $(STORE),--store $(STORE)) $(if $(WORKERS),--workers $(WORKERS))

# The versions of tools/constraints.txt against the known advisories (osv.dev, which has PyPI's): needs the network, or ADVISORIES=FILE, OSV's all.zip of PyPI.
audit: setup
	@$(BIN)/python -m tools.audit $(if $(ADVISORIES),--advisories "$(ADVISORIES)")

# Workers of the cloud are killed while 200 devices report over MQTT (docs/scale.md).
worker-proof: setup
	@$(BIN)/python -m tools.worker_proof

# Sessions, tokens and devices' tokens are taken back, and how soon that reaches pages, apps and devices, also at a worker and behind a broker (docs/accounts.md).
revoke-proof: setup
	@$(BIN)/python -m tools.revoke_proof $(if $(WRITE),--write "$(WRITE)")

# Versions go out to 1,000 simulated devices, in a real store on a moved clock: one that fails is halted, a good one is not (docs/rollouts.md). SEEDS=N, DEVICES=N, ONLY=bad or good.
rollout-proof: setup
	@$(BIN)/python -m tools.rollout_proof --seeds $(or $(SEEDS),100) --devices $(or $(DEVICES),1000) $(if $(ONLY),--only $(ONLY)) $(if $(WRITE),--write $(WRITE))

# Every page of the console in each width, language and theme by axe-core, and a tester's way by keyboard alone (docs/console.md); ten minutes.
console-proof: setup
	@$(BIN)/python -m tests.staging.console.proof

# A tester's day on the console, in Chromium, with 300 simulated machines on a real cloud (docs/console.md). MACHINES=N: a small one.
tester-day: setup
	@$(BIN)/python -m tests.staging.console.day $(MACHINES)

# A family records a wake word by the command, and is heard, on a real sound server (docs/wake.md); three minutes.
wake-proof: setup
	$(BIN)/python -m tools.wake_proof

# Marked voice is erased by API, machine and unbinding, and looked for in every file of cloud and machine (docs/family.md); a minute. LINK=coap or mqtt; STORE=postgresql.
voice-proof: setup
	$(BIN)/python -m tools.voice_proof --link $(or $(LINK),coap) --store $(or $(STORE),sqlite) $(if $(WRITE),--write $(WRITE))

# The sound server, the recorder, the player, the link and the cloud die in every state of listening (docs/listening.md); eight minutes.
listen-proof: setup
	$(BIN)/python -m tools.listen_proof

# How soon the cloud knows that a machine was frozen, or is behind a black hole (docs/link.md); five minutes. LINK=coap or mqtt.
presence-proof: setup
	@$(BIN)/python -m tools.presence_proof --link $(or $(LINK),coap) --times $(or $(TIMES),2)

COVERAGE := build/coverage
$(COVERAGE)/lib: | setup
	@PYTHONPATH= $(BIN)/pip install -q --no-deps --target $@ "coverage>=7.10"

# The source is changed in one place at a time, and a test has to fail (docs/mutation.md). EACH=mutants of each subject; ONLY="framing files"; SEED=N.
# KIND="sync locks numbers smaller": each removed sync or lock, each number a thousand times as large or a thousandth, in the whole product; UNDER="agent/link ota": there alone; EACH=N: so many of them.
mutation: setup $(COVERAGE)/lib
	@$(BIN)/python -m tools.mutation $(if $(EACH),--each $(EACH)) $(if $(ONLY),--only $(ONLY)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(KIND),--kind $(KIND)) $(if $(UNDER),--under $(UNDER)) $(if $(WRITE),--write $(WRITE))

# Which branches of wire, transport, outbox, updater, trust and launcher no test runs (docs/mutation.md); ten minutes. Coverage goes into a folder of its own.
COVERED := tests/wire tests/transport tests/ota $(wildcard tests/agent/link/test_outbox*.py)
coverage: export COVERAGE_PROCESS_START = $(CURDIR)/pyproject.toml
coverage: export PYTHONPATH = $(CURDIR)/$(COVERAGE)/lib:$(CURDIR)/$(COVERAGE)/site
coverage: setup $(COVERAGE)/lib
	@rm -rf $(COVERAGE)/data && mkdir -p $(COVERAGE)/data $(COVERAGE)/site
	@printf 'import coverage\ncoverage.process_startup()\n' > $(COVERAGE)/site/sitecustomize.py
	@$(BIN)/python -m coverage run -m pytest -q -n 0 -m "not long" $(or $(ARGS),$(COVERED))
	@$(BIN)/python -m coverage combine -q && $(BIN)/python -m coverage report

bench: setup
	$(BIN)/python -m benchmarks.run

# The advisor's checks on our own agent (docs/advisor.md): SUITE=quick or full, LINK=coap or mqtt, SEED=N, REPORT=DIR.
advise: setup
	@$(BIN)/python -m tools.advise --suite $(or $(SUITE),quick) --link $(or $(LINK),coap) --seed $(or $(SEED),1) $(if $(REPORT),--report $(REPORT))

# Every check of the advisor on every broken twin.
advise-proof: setup
	ADVISE_PROOF=1 $(BIN)/python -m pytest -q -n 0 tests/staging/advise/test_catalogue.py

# No command is carried out late: a real cloud and agent, and a link between them that stalls (docs/link.md).
# LINK=coap or mqtt.
command-proof: setup
	$(BIN)/python -m tools.command_proof --link $(or $(LINK),coap)

# A full disk takes no device off line; needs root, for a small disk of its own. DURATION=SECONDS (docs/staging.md).
store-proof: setup
	@$(BIN)/python -m tools.store_proof --seconds $(or $(DURATION),20)

# Plays, says, sets, updates and cuts of the link for half an hour: memory and descriptors of agent and cloud stay
# flat. MINUTES=N.
soak: setup
	@$(BIN)/python -m tools.soak --minutes $(or $(MINUTES),30)

# Man pages and shell completions, made from the parsers, as they belong below /usr/share.
manuals: setup-run
	@$(BIN)/python -m tools.manuals $(or $(DIR),build/share)

# The documents as a site, build/docs/pages/index.html; warnings and links that lead nowhere are errors. Its generator comes from PyPI at the first time.
SITE := build/docs
docs: setup
	@$(SITE)/env/bin/mkdocs --version >/dev/null 2>&1 || { rm -rf $(SITE)/env && mkdir -p $(SITE) && $(BIN)/python -m venv $(SITE)/env && \
	  $(SITE)/env/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: -r tools/locks/site.txt; }
	@$(BIN)/python -m tools.site $(SITE) --mkdocs $(SITE)/env/bin/mkdocs

# The commands of README and bench guide, run as they stand there (docs/bench.md). ONLY="bench" needs no root; flashing needs root, mmdebstrap,
# systemd-container and a Debian mirror.
test-readme: setup
	@$(BIN)/python -m tests.readme.proof $(if $(ONLY),--only $(ONLY)) --write build/readme-proof.md

clean:
	rm -rf .venv run build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
