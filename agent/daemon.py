"""``story-agent run``: read profile and settings, run the agent, report errors in one line."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
import traceback
from pathlib import Path

from agent.app import Agent
from agent.exits import EX_CONFIG, EX_FAILED, EX_OK
from agent.first import NOTE_NAME, WISH_NAME, is_reset_wished
from agent.first.profile_file import FoundProfile, read_profile
from agent.last_words import keep
from agent.local.sockets import LocalAccessError
from agent.logs import Redactor, set_up_logging
from agent.loop import AgentLoop
from agent.run_words import RunOptions
from agent.settings import Settings, SettingsError, doubts_of, load_settings
from agent.settings_files import watched_files
from agent.state import AgentBusyError, usable_state
from base import zone
from base.memory import share_arenas
from ota.launch.running import running_version
from ota.launch.starts import forget
from ota.trial.log import TrialLog
from transport.errors import TransportError

# Errors that are reported without a traceback; any other is a bug.
_EXPECTED = (AgentBusyError, LocalAccessError, TransportError, OSError)

# Of those, the ones that another version of the agent meets as well: the launcher need not try it.
_OF_ANY_VERSION = (AgentBusyError, LocalAccessError)

_log = logging.getLogger(__name__)


def run_daemon(options: RunOptions) -> tuple[int, bool]:
    """Run until stopped; return the exit code and whether to restart for an update."""
    share_arenas()
    try:
        state, fault = _make_state(options.state)
        found, settings = _read_configuration(options)
    except SettingsError as error:
        return _answer_fault(options, error)
    profile = found.profile
    set_up_logging(profile.secrets, verbose=options.verbose)
    found.tell()
    _tell_import(options.state)
    for doubt in doubts_of(settings, options.state):
        _log.warning("settings: %s", doubt)
    zone.use(settings.clock.zone)
    agent: Agent | None = None

    async def run() -> None:
        nonlocal agent
        agent = Agent(
            profile,
            settings,
            state,
            running_version(),
            fault,
            lambda: load_settings(options.config),
        )
        agent.diag_words = _diag_words(options)
        await agent.run()

    try:
        with asyncio.Runner(loop_factory=AgentLoop) as runner:
            runner.run(run())
    except Exception as error:  # noqa: BLE001  # sorted into expected errors and bugs
        return _report_error(options.state, error, Redactor(profile.secrets))
    forget(options.state)
    return EX_OK, agent is not None and agent.restart_wanted


def _diag_words(options: RunOptions) -> list[str]:
    config = ["--config", str(options.config)] if options.config else []
    return ["--state", str(options.state), "--profile", str(options.profile), *config]


def _report_error(state: Path, error: Exception, redactor: Redactor) -> tuple[int, bool]:
    """Report an expected error in one line; log a bug with its traceback, without secrets."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, _OF_ANY_VERSION):
        forget(state)
    if isinstance(error, _EXPECTED):
        _print_error(state, redactor.redact(str(error)))
        return EX_FAILED, False
    _log.critical("the agent stops on an unexpected %s", type(error).__name__, exc_info=error)
    if not any(isinstance(handler, TrialLog) for handler in logging.getLogger().handlers):
        # The error came before the trial log was set up.
        keep(state, redactor.redact("".join(traceback.format_exception(error))))
    return EX_FAILED, False


def _print_error(state: Path, text: str) -> None:
    line = f"story-agent: {text}"
    print(line, file=sys.stderr)
    keep(state, line)


def _read_configuration(options: RunOptions) -> tuple[FoundProfile, Settings]:
    """Read the files, after the end of a factory reset that was broken off; raises SettingsError."""
    if is_reset_wished(options.state):
        from agent.first.reset import finish  # noqa: PLC0415  # after a reset only

        finish(options.state, options.profile, options.config)
    return read_profile(options.profile), load_settings(options.config)


def _answer_fault(options: RunOptions, fault: SettingsError) -> tuple[int, bool]:
    """Wait for files that can be used, or end with the code for bad configuration."""
    from agent.first.setup import SetupMode, waits  # noqa: PLC0415  # only without a profile

    try:
        state, _ = _make_state(options.state)
        is_waiting = waits(state, fault)
    except SettingsError as error:
        fault, is_waiting = error, False
    if not is_waiting:
        _print_error(options.state, str(fault))
        forget(options.state)
        return EX_CONFIG, False
    set_up_logging((), verbose=options.verbose)
    _tell_import(options.state)

    def read() -> None:
        found, _ = _read_configuration(options)
        found.tell()

    async def wait() -> bool:
        files = {
            "profile": options.profile,
            "settings": options.config or options.profile,
            "reset": state / WISH_NAME,
            **{str(path): path for path in watched_files(options.config)},
        }
        mode = SetupMode(state, files, read, running_version())
        gc.enable()  # `agent.cli` has kept it off for a start that is soon over; this one may last
        return await mode.run()

    try:
        with asyncio.Runner(loop_factory=AgentLoop) as runner:
            wants_restart = runner.run(wait())
    except Exception as error:  # noqa: BLE001  # sorted into expected errors and bugs
        return _report_error(options.state, error, Redactor(()))
    forget(options.state)
    return EX_OK, wants_restart


def _tell_import(state: Path) -> None:
    """Log what became of a profile on the boot partition, where there was one."""
    if os.path.exists(state / NOTE_NAME):  # noqa: PTH110  # False, too, in a folder of another user
        from agent.first.import_note import tell_note  # noqa: PLC0415  # once in a machine's life

        tell_note(state)


def _make_state(path: Path) -> tuple[Path, str | None]:
    try:
        return usable_state(path)
    except OSError as error:
        raise SettingsError(f"state folder {path}: {error.strerror or error}") from error
