"""The house rules that a tool can check (docs/adr/0001): imports, places of tests, lengths of files."""

from __future__ import annotations

import ast
import functools
import re
import sys
from pathlib import Path

import pytest

from tools.architecture import FOLDERS, Import, circles, graph, imports, modules, reachable
from tools.syntax import parse

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "wire": set(),
    "audio": set(),
    "base": {"wire"},
    "transport": {"wire"},
    "machine": {"wire", "audio", "base"},
    "resources": {"wire", "audio", "base", "machine"},
    "ota": {"wire", "base"},
    "agent": {"wire", "audio", "base", "transport", "machine", "resources", "ota"},
    "release": {"wire", "base", "ota"},
    "staging": {"wire", "audio", "transport", "base"},
}
NOT_ON_A_DEVICE = {"release", "staging"}
# Input and output do not belong in wire/, nor do a clock and calls into C; ssl only reads certificates.
NOT_IN_WIRE = {
    "asyncio", "ctypes", "datetime", "io", "logging", "os", "pathlib", "socket", "sqlite3", "time",
}  # fmt: skip
LINES_MAX = 500
# Folders of tests that mirror no folder of modules.
OTHER_TESTS = {
    "locks": "what each lock of the product guards (tests/guarded.py)",
    "readme": "the commands that documents tell people to copy (docs/bench.md)",
    "upgrade": "updates from the version before this house, and back (docs/launcher.md)",
    "systemd": "units and shell scripts, which are no modules",
    "vm": "the proof on an emulated machine, whose images tools/vm makes",
}
# Modules without a test file of their own, and the files that test them.
TESTED_IN: dict[str, str] = {
    "agent.bench_command": "tests/agent/test_commands.py",
    "agent.parser": "tests/agent/test_commands.py",
    "staging.bulk_works": "tests/staging/commands/test_bulk.py",
    "staging.console.faults": "tests/staging/console/test_life.py",
    "staging.console.wires": "tests/staging/console/test_life.py",
    "staging.advise.shelf": "tests/staging/console/test_advice.py",
    "staging.advise.progress": "tests/staging/advise/test_catalogue.py",
    "staging.advise.bench": "tests/staging/advise/test_catalogue.py",
    "staging.advise.lab": "tests/staging/advise/test_catalogue.py",
    "staging.advise.record": "tests/staging/advise/test_catalogue.py",
    "staging.advise.peer": "tests/staging/advise/test_catalogue.py",
    "staging.advise.framed": "tests/staging/advise/test_catalogue.py",
    "staging.advise.cases.control": "tests/staging/advise/test_catalogue.py",
    "staging.advise.cases.framing": "tests/staging/advise/test_catalogue.py",
    "staging.advise.cases.link": "tests/staging/advise/test_catalogue.py",
    "staging.advise.cases.machine": "tests/staging/advise/test_catalogue.py",
    "staging.advise.checks.machine": "tests/staging/advise/test_catalogue.py",
    "staging.advise.helper": "tests/staging/advise/test_host.py",
    "staging.advise.cases.model": "tests/staging/advise/test_catalogue.py",
    "staging.advise.cases.reports": "tests/staging/advise/test_catalogue.py",
    "staging.advise.cases.tls": "tests/staging/advise/test_catalogue.py",
    "staging.advise.checks.common": "tests/staging/advise/test_catalogue.py",
    "staging.advise.checks.control": "tests/staging/advise/test_catalogue.py",
    "staging.advise.checks.framing": "tests/staging/advise/test_catalogue.py",
    "staging.advise.checks.link": "tests/staging/advise/test_catalogue.py",
    "staging.advise.checks.model": "tests/staging/advise/test_catalogue.py",
    "staging.advise.checks.reports": "tests/staging/advise/test_catalogue.py",
    "staging.advise.cases.update": "tests/staging/advise/test_catalogue.py",
    "staging.advise.checks.update": "tests/staging/advise/test_catalogue.py",
    "staging.advise.checks.tls": "tests/staging/advise/test_catalogue.py",
    "staging.advise.cases.download": "tests/staging/advise/test_catalogue.py",
    "staging.advise.cases.ordering": "tests/staging/advise/test_catalogue.py",
    "staging.advise.cases.trust": "tests/staging/advise/test_catalogue.py",
    "staging.advise.checks.download": "tests/staging/advise/test_catalogue.py",
    "staging.advise.checks.trust": "tests/staging/advise/test_catalogue.py",
    "staging.advise.orders": "tests/staging/advise/test_catalogue.py",
    "staging.advise.cases.voice": "tests/staging/advise/test_catalogue.py",
    "staging.advise.checks.voice": "tests/staging/advise/test_catalogue.py",
    "staging.advise.html": "tests/staging/advise/test_report.py",
    "staging.advise.junit": "tests/staging/advise/test_report.py",
    "staging.advise.compare": "tests/staging/advise/test_report.py",
    "staging.advise.sign": "tests/staging/advise/test_report.py",
    "staging.advise.papers": "tests/staging/advise/test_host.py",
    "staging.advise.web": "tests/staging/advise/test_host.py",
    "staging.advise.mqtt_peer": "tests/staging/advise/test_host.py",
    "staging.advise.visit": "tests/staging/commands/test_advising.py",
    "agent.local": "tests/agent/test_commands.py",
    "audio.errors": "tests/audio/test_speex.py",
    "audio.pcm": "tests/audio/test_speex.py",
    "audio.tflite": "tests/audio/test_embedding.py",
    "audio.wake_card": "tests/machine/test_wake_words.py",
    "audio.wake_kinds": "tests/audio/test_wake_ready.py",
    "audio.wake_ready_cards": "tests/audio/test_wake_ready.py",
    "audio.wav_chunks": "tests/audio/test_wav.py",
    "audio.wav_samples": "tests/audio/test_wav.py",
    "transport.errors": "tests/transport/test_framed.py",
    "machine.capture_kinds": "tests/machine/test_capture_back_ends.py",
    "machine.wake_protocol": "tests/machine/test_wake_child.py",
    "machine.errors": "tests/resources/test_dispatch.py",
    "resources.announce.settings": "tests/agent/test_settings.py",
    "resources.energy.settings": "tests/resources/energy/test_build.py",
    "resources.datapoint": "tests/resources/test_dispatch.py",
    "resources.points.play_mode": "tests/resources/points/test_player.py",
    "resources.playing.deck": "tests/resources/playing/test_hold.py",
    "resources.playing.events": "tests/resources/playing/test_hold.py",
    "machine.button_settings": "tests/machine/test_button_sources.py",
    "agent.doctor.mending": "tests/agent/doctor/test_sound.py",
    "agent.voice.hands": "tests/agent/voice/test_button.py",
    "agent.voice.session": "tests/agent/voice/test_listener.py",
    "staging.api.family_schema": "tests/staging/api/test_family.py",
    "staging.store.taken_again": "tests/staging/test_taken_back.py",
    "staging.store.taken_back": "tests/staging/test_taken_back.py",
    "staging.store.family": "tests/staging/store/test_voice_ledger.py",
    "staging.store.found": "tests/staging/store/test_bind_tokens.py",
    "staging.commands.device_lists": "tests/staging/commands/test_devices.py",
    "staging.device_csv": "tests/staging/console/test_bulk.py",
    "staging.spreadsheets": "tests/staging/console/test_bulk.py",
    "staging.store.bulk": "tests/staging/test_bulk_jobs.py",
    "staging.store.label_rows": "tests/staging/console/test_bulk.py",
    "staging.console.labels": "tests/staging/console/test_bulk.py",
    "staging.store.fleet_models": "tests/staging/store/test_tags.py",
    "staging.store.listings": "tests/staging/store/test_device_list.py",
    "staging.migrations.versions.0011_device_list": "tests/staging/store/test_migrations.py",
    "staging.migrations.versions.0012_health": "tests/staging/store/test_migrations.py",
    "staging.migrations.versions.0015_alarms": "tests/staging/store/test_migrations.py",
    "staging.migrations.versions.0017_listening": "tests/staging/store/test_migrations.py",
    "staging.migrations.versions.0018_twins": "tests/staging/store/test_migrations.py",
    "staging.migrations.versions.0019_untold": "tests/staging/store/test_migrations.py",
    "staging.migrations.versions.0016_webhooks": "tests/staging/store/test_migrations.py",
    "staging.store.alarm_models": "tests/staging/store/test_alarms.py",
    "staging.alarm_rules": "tests/staging/store/test_alarms.py",
    "staging.store.webhooks": "tests/staging/test_webhooks.py",
    "staging.commands.healths": "tests/staging/commands/test_alarms.py",
    "staging.migrations.versions.0007_family": "tests/staging/store/test_migrations.py",
    "resources.points.listening": "tests/resources/times/test_listening.py",
    "resources.points.rules": "tests/resources/times/test_times.py",
    "resources.points.sleep_timer": "tests/resources/times/test_times.py",
    "resources.times.build": "tests/resources/times/test_keeper.py",
    "resources.times.records": "tests/resources/times/test_keeper.py",
    "resources.playing.holds": "tests/resources/playing/test_hold.py",
    "resources.playing.programme": "tests/resources/playing/test_teller.py",
    "resources.playing.skips": "tests/resources/playing/test_teller.py",
    "resources.playing.targets": "tests/resources/playing/test_queue_orders.py",
    "ota.errors": "tests/ota/trust/test_client.py",
    "ota.fetch.folder": "tests/ota/fetch/test_spent.py",
    "ota.fetch.pool": "tests/ota/fetch/test_web.py",
    "ota.fetch.source": "tests/ota/trust/test_attacks.py",
    "ota.install.installer": "tests/ota/install/test_slots.py",
    "agent.app": "tests/agent/link/test_link.py",
    "agent.daemon": "tests/agent/test_cli.py",
    "agent.first": "tests/agent/first/test_reset.py",
    "agent.first.commands": "tests/agent/first/test_provision.py",
    "agent.first.press": "tests/agent/first/test_selftest.py",
    "agent.first.reset_command": "tests/agent/first/test_reset.py",
    "agent.first.telling": "tests/agent/first/test_provision.py",
    "agent.first.setup_api": "tests/agent/first/test_setup.py",
    "agent.diag.gathering": "tests/agent/diag/test_command.py",
    "agent.inspection": "tests/agent/config/test_command.py",
    "agent.settings_values": "tests/test_settings_limits.py",
    "agent.unreachable": "tests/agent/test_unit.py",
    "agent.words.remedies": "tests/agent/words/test_causes.py",
    "agent.exits": "tests/agent/test_commands.py",
    "agent.link.mqtt_session": "tests/agent/link/test_mqtt.py",
    "agent.link.outbox_held": "tests/agent/link/test_outbox_disk.py",
    "agent.link.outbox_rows": "tests/agent/link/test_outbox_damage.py",
    "agent.link.outbox_salvage": "tests/agent/link/test_outbox_damage.py",
    "agent.link.outbox_store": "tests/agent/link/test_outbox_disk.py",
    "agent.link.sqlite_pages": "tests/agent/link/test_outbox_damage.py",
    "staging.commands.apt_repositories": "tests/staging/packages/test_apt_repository.py",
    "staging.packages.deb_file": "tests/staging/packages/test_apt_repository.py",
    "staging.packages.index": "tests/staging/packages/test_apt_repository.py",
    "staging.packages.signer": "tests/staging/packages/test_apt_repository.py",
    "staging.broker.process": "tests/staging/broker/test_gate.py",
    "staging.fleet.run": "tests/staging/fleet/test_devices.py",
    "agent.voice.wake_card": "tests/agent/voice/test_wake_command.py",
    "agent.voice.wake_texts": "tests/agent/voice/test_wake_enrol.py",
    "release.commands.sboms": "tests/release/test_sbom.py",
    "release.faults": "tests/release/test_sbom.py",
    "release.licences": "tests/release/test_sbom.py",
    "release.parts": "tests/release/test_sbom.py",
    "release.commands.common": "tests/release/test_cli.py",
    "release.entry": "tests/agent/test_entry.py",
    "staging.commands.entry": "tests/agent/test_entry.py",
    "staging.fleet.entry": "tests/agent/test_entry.py",
    "release.commands.keys": "tests/release/test_tokens.py",
    "release.commands.packages": "tests/release/test_cli.py",
    "release.commands.repository": "tests/release/test_cli.py",
    "release.errors": "tests/release/test_repository.py",
    "release.package_files": "tests/release/test_repository.py",
    "release.tuf_types": "tests/release/test_publication.py",
    "staging.api.app": "tests/staging/api/test_openapi.py",
    "staging.api.authorize_page": "tests/staging/api/test_authorize.py",
    "staging.api.envelope": "tests/staging/api/test_failures.py",
    "staging.api.params": "tests/staging/api/test_control.py",
    "staging.api.schema": "tests/staging/api/test_contract.py",
    "staging.api.views": "tests/staging/api/test_control.py",
    "staging.labels.sheet": "tests/staging/labels/test_pdf.py",
    "staging.store.issue": "tests/staging/labels/test_export.py",
    "staging.migrations.versions.0005_issued": "tests/staging/store/test_migrations.py",
    "staging.migrations.versions.0006_sboms": "tests/staging/store/test_migrations.py",
    "staging.commands.runs": "tests/staging/commands/test_at_server.py",
    "staging.commands.asking": "tests/staging/commands/test_command_socket.py",
    "staging.migrations.versions.0008_roles": "tests/staging/store/test_migrations.py",
    "staging.store.verifying": "tests/staging/gateway/test_silent.py",
    "staging.store.ota_log": "tests/staging/api/test_ota.py",
    "staging.store.coverage": "tests/staging/store/test_rollout_acts.py",
    "staging.store.rollout_health": "tests/staging/store/test_rollout_acts.py",
    "staging.store.rollout_view": "tests/staging/store/test_rollout_acts.py",
    "staging.store.rollout_models": "tests/staging/store/test_rollout_acts.py",
    "staging.store.rollouts": "tests/staging/store/test_rollout_acts.py",
    "staging.store.silent_orders": "tests/staging/store/test_rollout_acts.py",
    "staging.migrations.versions.0013_rollouts": "tests/staging/store/test_migrations.py",
    "staging.api.audit": "tests/staging/console/test_gate.py",
    "staging.api.audited": "tests/staging/console/test_gate.py",
    "staging.commands.sessions": "tests/staging/commands/test_audited.py",
    "staging.commands.audit_entries": "tests/staging/commands/test_audited.py",
    "staging.console.audit": "tests/staging/console/test_accounts.py",
    "staging.migrations.versions.0009_support_end": "tests/staging/store/test_migrations.py",
    "staging.migrations.versions.0010_doors": "tests/staging/store/test_migrations.py",
    "staging.commands.common": "tests/staging/commands/test_cli.py",
    "staging.commands.exits": "tests/staging/commands/test_cli.py",
    "staging.console.device": "tests/staging/console/test_versions.py",
    "staging.console.products": "tests/staging/console/test_product.py",
    "staging.console.shapes": "tests/staging/console/test_heard.py",
    "staging.console.strategies": "tests/staging/console/test_versions.py",
    "staging.errors": "tests/staging/api/test_failures.py",
    "staging.gateway.tls": "tests/staging/identity/test_ca.py",
    "staging.identity.oauth": "tests/staging/api/test_authorize.py",
    "staging.migrations.config": "tests/staging/store/test_migrations.py",
    "staging.migrations.env": "tests/staging/store/test_migrations.py",
    "staging.migrations.versions.0001_initial": "tests/staging/store/test_migrations.py",
    "staging.migrations.versions.0002_whole_open_api": "tests/staging/store/test_migrations.py",
    "staging.migrations.versions.0003_cancel_and_forced": "tests/staging/store/test_migrations.py",
    "staging.migrations.versions.0004_report_numbers": "tests/staging/store/test_migrations.py",
    "staging.recognition.actions": "tests/staging/recognition/test_service.py",
    "staging.recognition.worker": "tests/staging/recognition/test_hearing.py",
    "staging.recognition.lookup": "tests/staging/recognition/test_service.py",
    "staging.recognition.model": "tests/staging/recognition/test_path.py",
    "staging.services": "tests/staging/api/test_openapi.py",
    "staging.store": "tests/staging/store/test_database.py",
    "staging.store.access": "tests/staging/api/test_auth.py",
    "staging.backup": "tests/staging/test_opening.py",
    "staging.gateway.greeting": "tests/staging/gateway/test_gateway.py",
    "staging.gateway.taps": "tests/staging/bench/test_bench.py",
    "staging.bench.lines": "tests/staging/bench/test_line.py",
    "staging.store.presence": "tests/staging/store/test_life.py",
    "staging.migrations.versions.0014_presence": "tests/staging/store/test_life.py",
    "staging.beside": "tests/staging/wirelog/test_taps.py",
    "staging.wirelog.works": "tests/staging/wirelog/test_taps.py",
    "staging.wirelog.secrets": "tests/staging/wirelog/test_taps.py",
    "staging.wirelog.mqtt_taps": "tests/staging/bench/test_mqtt_front.py",
    "staging.bench.works": "tests/staging/bench/test_bench.py",
    "staging.gateway.intake": "tests/staging/test_store_faults.py",
    "staging.gateway.presence": "tests/staging/test_store_faults.py",
    "staging.store.copies": "tests/staging/test_opening.py",
    "staging.store.retention": "tests/staging/test_upkeep.py",
    "staging.store.soundness": "tests/staging/test_opening.py",
    "staging.store.controls": "tests/staging/gateway/test_control_history.py",
    "staging.store.engine": "tests/staging/store/test_database.py",
    "staging.store.models": "tests/staging/store/test_database.py",
    "staging.store.nonces": "tests/staging/api/test_auth.py",
    "staging.store.ota": "tests/staging/api/test_ota.py",
    "staging.store.product_setup": "tests/staging/store/test_products.py",
    "staging.store.schema": "tests/staging/store/test_migrations.py",
}

KNOWN = modules()


@functools.cache
def edges() -> dict[str, frozenset[Import]]:
    """Return every module's imports; not at this file's import, which each worker of a run does."""
    return graph()


def top(name: str) -> str:
    return name.partition(".")[0]


def targets(module: str) -> set[str]:
    return {item.target for item in edges()[module]}


def of(*folders: str) -> list[str]:
    return [name for name in KNOWN if top(name) in folders]


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_each_folder_imports_only_what_it_may(folder: str) -> None:
    names = of(folder)
    assert names
    ours = {*MAY_IMPORT, "tools", "tests", "benchmarks", "cloud"}
    for name in names:
        foreign = ({top(target) for target in targets(name)} & ours) - MAY_IMPORT[folder] - {folder}
        assert not foreign, f"{name} imports {foreign}"


def test_arrows_go_down_only() -> None:
    """The order of the folders is that of the table in docs/architecture.md."""
    assert tuple(MAY_IMPORT) == FOLDERS
    for place, folder in enumerate(FOLDERS):
        assert MAY_IMPORT[folder] <= set(FOLDERS[:place])


def test_no_circle_of_modules() -> None:
    """Imports inside functions and for type checkers count: both only hide a cycle."""
    assert circles(edges()) == []


def test_wire_has_no_input_output_no_clock_and_no_calls_into_c() -> None:
    assert len(of("wire")) > 20
    for name in of("wire"):
        assert not {top(target) for target in targets(name)} & NOT_IN_WIRE, name


def test_what_starts_at_boot_imports_the_standard_library_only() -> None:
    """It imports only itself and base.files, since a boot record is written as every other durable file is.

    The comparison with what was signed imports the metadata's library, in functions (tests/ota/launch/test_signed.py).
    """
    launch = [name for name in of("ota") if name.startswith("ota.launch.")]
    assert launch
    signed = frozenset(it for it in edges()["ota.launch.signed"] if top(it.target) != "tuf")
    found = {**edges(), "ota.launch.signed": signed}
    for name in launch:
        for target in reachable(found, name):
            allowed = target.startswith("ota.launch") or target == "base.files"
            assert allowed or top(target) in sys.stdlib_module_names, f"{name}: {target}"


@pytest.mark.parametrize("package", ["ota", "ota.launch", "base", "agent"])
def test_the_packages_around_what_starts_at_boot_are_empty(package: str) -> None:
    """Python runs them before `ota.launch.launch` in any case."""
    assert not has_code(KNOWN[package])


def test_a_device_reaches_no_release_tool_and_no_cloud() -> None:
    on_a_device = of(*MAY_IMPORT.keys() - NOT_ON_A_DEVICE)
    assert len(on_a_device) > 200
    for name in on_a_device:
        reached = {target for target in reachable(edges(), name) if top(target) in NOT_ON_A_DEVICE}
        assert not reached, f"{name} imports {reached}"
        # Nor does it start one as a process, or import one by its name.
        quoted = {text for text in strings(KNOWN[name]) if is_name_of(text, NOT_ON_A_DEVICE)}
        assert not quoted, f"{name} names {quoted}"


def test_what_a_device_starts_with_makes_its_records_in_one_way() -> None:
    """The standard library takes four times as long for each class (docs/adr/0081); these rooms may not import `wire`."""
    for name in of(*MAY_IMPORT.keys() - NOT_ON_A_DEVICE - {"audio"}):
        if name in {"wire.records", "base.files"} or name.startswith("ota.launch"):
            continue
        assert "dataclasses.dataclass" not in names_imported(KNOWN[name]), name


def names_imported(path: Path) -> set[str]:
    nodes = ast.walk(parse(path.read_text("utf-8")))
    found = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return {f"{node.module}.{each.name}" for node in found for each in node.names}


def test_the_store_knows_no_http_and_no_coap() -> None:
    carriers = {"fastapi", "starlette", "uvicorn", "httpx", "aiocoap", "transport"}
    rooms = {f"staging.{room}" for room in ("api", "console", "gateway", "commands", "recognition")}
    for name in (name for name in KNOWN if name.startswith("staging.store")):
        for target in targets(name):
            above = {target, ".".join(target.split(".")[:2])} & rooms
            assert not above, f"{name} imports {target}"
            assert top(target) not in carriers, f"{name} imports {target}"


def strings(path: Path) -> set[str]:
    nodes = ast.walk(parse(path.read_text("utf-8")))
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def is_name_of(text: str, folders: set[str]) -> bool:
    return text in KNOWN and "." in text and top(text) in folders


def test_no_file_is_longer_than_a_reader_bears() -> None:
    others = [path for name in ("tools", "benchmarks") for path in (ROOT / name).rglob("*.py")]
    for path in [*KNOWN.values(), *others]:
        assert len(path.read_text("utf-8").splitlines()) <= LINES_MAX, path


def has_code(path: Path) -> bool:
    body = parse(path.read_text("utf-8")).body
    return any(not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)) for n in body)


def mirrored(module: str) -> str:
    """Return the test file of a module: ota.fetch.whole → tests/ota/fetch/test_whole.py."""
    path = KNOWN[module].relative_to(ROOT)
    stem = path.parent.name if path.name == "__init__.py" else path.stem
    return f"tests/{path.parent.as_posix()}/test_{stem}.py"


def names(test: Path, module: str) -> bool:
    """Return whether a test file imports a module, or names it in its text."""
    found = {item.target for item in imports(test, KNOWN)}
    named = re.compile(rf"(?<![\w.]){re.escape(module)}(?!\.?\w)")
    return module in found or named.search(test.read_text("utf-8")) is not None


def test_every_module_has_its_tests() -> None:
    with_code = [name for name, path in KNOWN.items() if has_code(path)]
    missing = [
        f'    "{name}": "{mirrored(name)}",'
        for name in with_code
        if name not in TESTED_IN and not (ROOT / mirrored(name)).is_file()
    ]
    assert not missing, "\n".join(["no test file, and no line in TESTED_IN:", *missing])


@pytest.mark.parametrize("module", TESTED_IN)
def test_a_module_without_a_test_file_is_tested_where_the_table_says(module: str) -> None:
    assert module in KNOWN, "no such module: take the line out"
    assert has_code(KNOWN[module]), "nothing to test: take the line out"
    assert not (ROOT / mirrored(module)).is_file(), "it has a test file: take the line out"
    test = ROOT / TESTED_IN[module]
    assert test.is_file(), "no such test file"
    assert names(test, module), f"{TESTED_IN[module]} neither imports nor names {module}"


def test_each_folder_of_tests_mirrors_one_of_modules() -> None:
    tests = {
        path.parent.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")
    }
    for folder in tests - {Path()}:
        assert (ROOT / folder).is_dir() or folder.parts[0] in OTHER_TESTS, f"tests/{folder}"
    assert {name for name in OTHER_TESTS if not (ROOT / "tests" / name).is_dir()} == set()
