"""Bugs that are put into the product on purpose, by name: each must be found (docs/simulation.md).

    python -m tools.sim.planted [--only NAME] [--seeds N] [--write FILE] [--anew] [--page]

It goes on where it stopped: each row is in FILE as soon as it is known. Each bug is a change of one module's text, applied when that is imported, in a process of its own; nothing is written to
the tree. The exhaustive cuts of `tools.sim.storage` look for it, or the seeds of `tools.sim`. Exit code 0 only if
all are found.
"""

from __future__ import annotations

import argparse
import functools
import importlib.abc
import importlib.machinery
import os
import re
import subprocess
import sys
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.amounts import whole
from tools.ending import run_main
from tools.sim.planted_table import NOT_FOUND, Row, of_page, read, render, with_rows

PAGE = Path("docs/simulation.md")
VARIABLE = "SIM_PLANTED"
# The link of the seeds that look for a bug; "": each seed's own.
LINKS = {"seeds": "", "coap": "coap", "mqtt": "mqtt"}


@dataclass(frozen=True, slots=True)
class Plant:
    """A bug: in ``module``, ``old`` becomes ``new``; ``by`` is "storage KIND LENGTH", or "seeds" (each with its own link), "coap" or "mqtt" and, for other days than the usual, HOURS DENSITY SETTLE."""

    name: str
    module: str
    old: str
    new: str
    by: str


PLANTS = (
    Plant("no fsync of a record", "base.files", "                    os.fsync(self._file.fileno())\n", "", "storage task 1"),
    Plant("no fsync of a record's folder", "base.files", "            fsync_path(self._path.parent)", "            pass", "storage task 1"),
    Plant("no fsync of a new folder's parent", "base.files", "            fsync_path(path.parent)\n            _note_settled", "            _note_settled", "storage task 1"),
    Plant("a record is written in its place", "base.files", 'path.with_name(f".{path.name}.tmp")\n        self._mode', "path\n        self._mode", "storage task 2"),
    Plant("boot.json is written in its place", "ota.launch.boot", 'write_atomically(folder / "boot.json", text.encode(errors="replace"))', '(folder / "boot.json").write_bytes(text.encode(errors="replace"))', "storage launcher's record 2"),
    Plant("the task's folder is made without a sync", "ota.order.task", "    make_folder(path.parent)\n", "    path.parent.mkdir(parents=True, exist_ok=True)\n", "storage task 1"),
    Plant("the outbox does not sync its log", "agent.link.outbox_file", "PRAGMA synchronous=FULL", "PRAGMA synchronous=NORMAL", "storage outbox 1"),
    Plant("the outbox does not commit", "agent.link.outbox_file", "        with self._db as db:\n            ids =", "        for db in (self._db,):\n            ids =", "storage outbox 1"),
    Plant("`once` is not remembered", "agent.link.outbox_file", '            db.execute("INSERT OR IGNORE INTO once (name) VALUES (?)", (once,))\n            db.execute("DELETE', '            db.execute("DELETE', "storage outbox 1"),
    Plant("what is finished stays on the disk", "agent.link.outbox_store", "(at_once or len", "(len", "storage outbox 2"),
    Plant("salvage takes a torn page for the newest", "agent.link.sqlite_pages", "if end else {}", "if not log else {}", "storage outbox 2"),
    Plant("places are not synced", "resources.playing.position_store", "synchronous=FULL", "synchronous=NORMAL", "storage positions 1"),
    Plant("places are not committed", "resources.playing.position_store", "        with self._open_db as db:\n            for key, heard", "        for db in (self._open_db,):\n            for key, heard", "storage positions 1"),
    Plant("a beat is not synced", "resources.playing.beat_file", " | os.O_DSYNC", "", "storage positions 1"),
    Plant("both beats share a sector", "resources.playing.beat_file", "turn % 2 * BLOCK", "0 * turn", "storage positions 2"),
    Plant("a forgotten title keeps its beat", "resources.playing.position_store", "            self._beats.clear()", "            pass", "storage positions 2"),
    Plant("the floor of time is written in its place", "base.clock", "write_atomically(self._path, ", "self._path.write_bytes(", "storage trusted time 1"),
    Plant("a report is finished before it is sent", "agent.link.delivery", "        await _send(link, batch)\n        await outbox.finish(batch, at_once=False)", "        await outbox.finish(batch, at_once=False)\n        await _send(link, batch)", "seeds"),
    Plant("a dead peer is waited for 1000 times as long", "transport.liveness", "PATIENCE_SECONDS = 7.0", "PATIENCE_SECONDS = 7000.0", "coap"),
    Plant("the link waits 1000 times as long", "agent.link.pace", "        return min(seconds, TRIAL_SECONDS) if self._on_trial() else seconds", "        return 1000 * seconds", "seeds"),
    Plant("the outbox is not delivered after a busy cloud", "agent.link.delivery", "            if await _ends_within(link, _wait_after(error, backoff)):", "            return\n            if await _ends_within(link, _wait_after(error, backoff)):", "seeds"),
    Plant("a knob is looked at 1000 times as rarely", "agent.watch", "WATCH_SECONDS = 60.0", "WATCH_SECONDS = 60000.0", "seeds"),
    Plant("a crashing version is tried 1000 times as often", "ota.launch.launch", "TRIAL_ATTEMPTS = 3", "TRIAL_ATTEMPTS = 3000", "seeds"),
    Plant("the microphone stays open when it is told to be off", "machine.microphone_switch", "            if self.close_first is not None:\n                await self.close_first(on=on)\n            if not on:", "            if not on:", "seeds"),
    Plant("a command has no deadline", "agent.link.guard", "        if remaining is None:", "        if remaining != 0.5:", "seeds"),
    Plant("the rules forbid nothing", "wire.rules", "        if self.begin < self.end:", "        if self.begin >= 0:\n            return False\n        if self.begin < self.end:", "seeds"),
    Plant("a change's nonce is kept in memory alone", "staging.store.nonces", "            return await self._database.write(apps.claim_nonce, used)", "            return True", "seeds"),
    Plant("the cloud answers before it has stored", "staging.gateway.intake", "            return await self._database.write(\n                effects.apply_all, identity.id, epoch, wanted, self._clock()\n            )", "            self.late = __import__('asyncio').ensure_future(self._database.write(\n                effects.apply_all, identity.id, epoch, wanted, self._clock()\n            ))\n            return Applied(heard, 0, ())", "seeds"),
    Plant("a report that the cloud could not take is dropped", "agent.link.cloud", '        raise CloudBusyError(f"the', '        raise ReportRejectedError(f"the', "seeds"),
    Plant("a report is taken for a repeat of the one before", "staging.store.repeats", "if place and number <= ranges[place - 1][1]:", "if place and number <= ranges[place - 1][1] + 1:", "seeds"),
    Plant("the cloud keeps what is told twice", "staging.store.effects", "not seen.is_new(report.number):", "seen.is_new(report.number) is None:", "seeds"),
    Plant("a report wakes nobody", "agent.link.outbox", "            self.emptied.clear()\n            self.filled.set()", "            self.emptied.clear()", "seeds"),
    Plant("a link that fails is tried again at once", "agent.link.pace", "        return self._outage.next()", "        return 0.0", "seeds"),
    Plant("requests to a machine wait without a bound", "staging.gateway.session", "if self.waiting >= REQUEST_LIMIT:", "if self.waiting < 0:", "seeds"),
    Plant("two orders change at once what plays", "resources.playing.teller", "            async with self._programme.lock:\n                await self._change", "            if order is not None:\n                await self._change", "seeds"),
    Plant("the end of a title is not heard", "resources.playing.programme", "        self._advance = asyncio.create_task(self._go_on(turn, reason))", "", "seeds"),
    Plant("a story goes on behind the place where it was left", "resources.playing.resume", "    return max(0.0, at - BACK_SECONDS)", "    return at + BACK_SECONDS", "seeds"),
    Plant("the sleep timer does not end", "resources.times.sleep_timer", "        return None if self.pending is None else self.pending.until - self._clock()", "        return None", "seeds"),
    Plant("the volume's limit does not bind a knob", "resources.loudness.loudness", "self._level.limit = lambda: level_of(self.loudest)", "self._level.limit = lambda: 1.0", "seeds"),
    Plant("the mixer is not read back", "machine.level", "if outputs.default in told.levels and not is_near(outputs.level, level):", "if outputs.default not in outputs.levels:", "seeds"),
    Plant("the child lock is not stored", "resources.points.child_lock", '        await self._record.save({"locked": bool(value)}, self.description.name)\n', "", "seeds"),
    Plant("a microphone that was turned off is on after a start", "machine.microphone_switch", "            write_atomically(self._path, TEXT)", "            return", "seeds"),
    Plant("the battery is not heeded", "resources.energy.guard", "                await self._switch_off()\n", "                return\n", "seeds 3 4 600"),
    Plant("a cancellation is answered and not done", "ota.updater", '            effort.cancel(CancelledOrderError("cancelled: by an order"))\n', "", "seeds"),
    Plant("a package is switched to before it is synced", "ota.install.slots", "                fsync_tree(self._temp)\n", "", "seeds"),
    Plant("the broker's word is taken for the cloud's", "agent.link.mqtt_session", "            answer = await self._ask(self._topic(Kind.REPORT), payload, REPORT_TIMEOUT)", "            told = self._outgoing(self._topic(Kind.REPORT), payload, response_topic=str(self._answers), correlation=b'x')\n            await self._open_connection().publish(told, deadline=REPORT_TIMEOUT)\n            answer = Answer(0x44)", "mqtt"),
    Plant("a machine leaves no will", "agent.link.mqtt", "will=Will(str(Topic(uuid, Kind.STATE)), state_payload(State(online=False))),", "", "mqtt"),
    Plant("nobody is told that a machine is there", "agent.link.mqtt_session", "state_payload(State(online=True,", "state_payload(State(online=False,", "mqtt"),
    Plant("a worker that lost its broker waits 1000 times as long", "staging.broker.worker", "            seconds = backoff.next()", "            seconds = 1000 * backoff.next()", "mqtt"),
    Plant("what a broker hands over again is done again", "agent.link.guard", "        first = self._answers.get(request.id)", "        first = None", "mqtt"),
    Plant("an agent takes what the one before was handed", "agent.link.mqtt", "clean_start=self._is_first,", "clean_start=False,", "mqtt"),
    Plant("what waited at the broker is done before the time is known", "agent.link.mqtt_requests", "        await self._begun.wait()\n", "", "mqtt"),
    Plant("the cloud does not read who is there", "staging.broker.gate", "            (every(Kind.STATE), 1),\n", "", "mqtt"),
    Plant("a version has 1000 times as long to prove itself", "agent.settings", "confirm_timeout_seconds: float = 120.0", "confirm_timeout_seconds: float = 120000.0", "seeds"),
    Plant("a story is listened to for the wake word", "agent.voice.wake_build", "wanted=lambda: ears.may_open and not story_sounds(),", "wanted=lambda: ears.may_open,", "seeds"),
    Plant("a wake word's process that died stays dead", "machine.wake_process", "            await self._pause()", "            await asyncio.sleep(1e6)", "seeds"),
    Plant("the wake word keeps the microphone open when it is told to be off", "agent.voice.ears", "            await self.wake.adjust()", "            pass", "seeds"),
    Plant("a wake word is not answered", "agent.voice.wake", "        if self._deaf() or not self._wanted():\n            return\n", "        return\n", "seeds"),
    Plant("an older title that is found later undoes the next one", "resources.playing.teller", "            await self._take(number)  # an older order that waits for its title would undo it\n", "", "seeds"),
    Plant("an order that waits is not given up for a newer one", "resources.playing.teller", "        if number < self._wins.taken and starts_sound(order):\n            raise GivenUpError\n", "", "seeds"),
    Plant("a title that is to be repeated goes on with the next", "resources.playing.queue", "if mode is PlayMode.REPEAT_ONE:", "if mode is PlayMode.REPEAT_ONE and not self.tracks:", "seeds"),
    Plant("an output that was stuck is never told again", "machine.level", "known = self._taken() if again else self._known", "known = self._known", "seeds"),
    Plant("quiet hours do not pass midnight", "wire.rules", "minute >= self.begin or minute < self.end", "minute >= self.begin and minute < self.end", "seeds"),
    Plant("a day's measure is not counted", "resources.times.day_book", "Played(self.day, self.seconds + seconds,", "Played(self.day, self.seconds,", "seeds"),
    Plant("the child lock stops no button", "resources.dispatch", "if local and method == Method.PUT and (", "if local and method == Method.GET and (", "seeds"),
    Plant("a request that is repeated is carried out again", "agent.link.guard", "        if first is not None:", "        if first is not None and not request.path:", "seeds"),
    Plant("a signature is not compared", "staging.identity.signature", "    return hmac.compare_digest(signature.digest, _digest(signature.nonce, apikey, secret, token))", "    return bool(_digest(signature.nonce, apikey, secret, token))", "seeds"),
    Plant("a package's hash is not compared", "ota.fetch.partial", "        if sha256 == self.source.sha256:", "        if sha256:", "seeds"),
    Plant("a token lives a minute longer than it was said", "staging.api.auth", "if found.token_expire_time <= now or ahead:", "if found.token_expire_time <= now - 60_000 or ahead:", "seeds"),
    Plant("a token that is taken back is valid still", "staging.store.grants", "    session.execute(delete(AccessToken).where(*which.conditions()))\n", "", "seeds"),
    Plant("a token that is given anew has ended already", "staging.api.authorize", "apps.grant, asked.app.id, login.account_id, scopes, services.clock()", "apps.grant, asked.app.id, login.account_id, scopes, services.clock() - 1000 * TOKEN_LIFETIME_S", "seeds"),
    Plant("a rollout is for all machines at once", "staging.store.rollouts", "    return phases.admits(planned, row.cuts or [], machine)", "    return bool(machine)", "seeds"),
    Plant("an order that waits is sent though its rollout is stopped", "staging.store.ota", "    if task.strategy_id is not None and not rollouts.is_in_effect(session, task.strategy_id):", "    if task.strategy_id == 0:", "seeds"),
    Plant("a halt is told and not kept", "staging.store.rollout_acts", "        strategy.status = State.HALTED.value\n", "", "seeds"),
    Plant("the next phase is not waited for", "staging.rollouts.decision", "    if soaked < settings.soak:", "    if soaked < 0:", "seeds"),
    Plant("the pace of a rollout is not kept", "staging.store.rollouts", "    if begun < limits.per_minute:", "    if begun < limits.per_minute + 5:", "seeds"),
    Plant("the newest value goes with the old ones", "staging.store.retention", "        .where(Report.key.not_in(_VOICE), is_replaced)", "        .where(Report.key.not_in(_VOICE))", "seeds"),
    Plant("old reports are kept for ever", "staging.store.retention", "    wanted = select(Device.id).where(Device.id > after, oldest < before)", "    wanted = select(Device.id).where(Device.id > after, oldest < 0)", "seeds"),
    Plant("which reports have come is forgotten with the first pruning", "staging.store.retention", "        .where(ReportEpoch.use_time < before)", "        .where(ReportEpoch.use_time > before)", "seeds"),
    Plant("a machine may report without an end", "staging.gateway.bounds", "        if size > share.left:\n            return False\n", "", "seeds"),
    Plant("a package is served as it lies there", "staging.releases.stock", '    return None if found == sha256 else "is not the signed one"', "    return None if found else sha256", "seeds"),
    Plant("a store that lacks its last transactions is opened", "staging.store.mark", "    if not 0 < lost < NUMBERS // 2:", "    if lost >= 0:", "seeds"),
    Plant("a worker knows the machines alone that it let in itself", "staging.broker.gate", "        self._online[uuid] = state.reads\n", "", "mqtt"),
    Plant("a worker that is gone is taken to be there", "staging.broker.worker", '            will=Will(MEMBERS + self._who, b""),\n', "", "mqtt"),
    Plant("what was said is sent on after the microphone is off", "agent.voice.stream", "        self.dropped = Drop.ENDED\n        self._task.cancel()\n", "        self.dropped = Drop.ENDED\n", "seeds"),
    Plant("each batch of reports leaves a task behind", "agent.link.delivery", "        await _send(link, batch)\n", "        await _send(link, batch)\n        asyncio.create_task(asyncio.Event().wait())\n", "seeds"),
    Plant("each block of sound is a line of the log", "agent.voice.stream", "        if self.dropped is None:\n            self._queue(self._frames.add(block))", "        _log.info(f'voice: a block at {asyncio.get_running_loop().time()}')\n        if self.dropped is None:\n            self._queue(self._frames.add(block))", "seeds"),
    Plant("a machine does not ask a cloud that is quiet", "transport.liveness", "\nQUIET_SECONDS = 20.0", "\nQUIET_SECONDS = 20000.0", "coap"),
    Plant("a repository that breaks off is asked again at once and without an end", "ota.fetch.retry", "        if self._row >= self._policy.attempts or self._total >= self._policy.total:\n", "        if self._total > 0:\n            return\n        if self._total < 0:\n", "seeds 6 8 600"),
    Plant("what an order changes is told the first time alone", "resources.dispatch", "            await self._report_change(point)\n            if local:", "            told = self.__dict__.setdefault('told', set())\n            if name not in told:\n                told.add(name)\n                await self._report_change(point)\n            if local:", "seeds"),
    Plant("the outbox's log has no bound", "agent.link.outbox_file", "LOG_PAGES = 128", "LOG_PAGES = 0", "seeds"),
    Plant("each second of the events is a file of its own", "agent.event_journal", "os.open(self._path, flags, 0o600)", "os.open(f'{self._path}.{self._now():.0f}', flags, 0o600)", "seeds 24 1 2400"),
    Plant("a version that is left is told as a success", "ota.updater", "            await self._trial.report_failure(verdict.reason, counts=verdict.counts)\n", "            await self._record.succeed()\n", "seeds"),
    Plant("what is not there now is an internal error", "resources.dispatch", "        case UnavailableError():", "        case KeyError():", "seeds"),
    Plant("a worker ends with the connection to its broker", "staging.broker.worker", "        except TransportError as error:\n            return str(error)\n        finally:", "        finally:", "mqtt"),
    Plant("a stop is told and does not stop", "resources.playing.programme", "        await self.deck.stop()\n", "", "seeds"),
    Plant("the queue stays where it was when another title plays", "resources.playing.programme", "        self.queue = queue if self.queue is before else self._as_set(queue)\n", "", "seeds"),
    Plant("a jump puts the queue back as it was when it came", "resources.playing.targets", "        if is_same or queue.current is None:", "        if True:", "seeds"),
    Plant("the rules are not stored", "resources.times.store", "        self._save(RULES, {} if kept == Kept() else _kept_to_json(kept))\n", "", "seeds"),
    Plant("the volume's limits are not stored", "resources.loudness.loudness", '        await self._save("volume_limits", limits=str(limits))\n', "", "seeds"),
    Plant("the mode of playing is not stored", "resources.playing.positions", '        await self._keep(_MODE, mode.value, "play_mode")\n', "        self._notes[_MODE] = mode.value\n", "seeds"),
    Plant("an app waits 1000 times as long for a machine", "staging.gateway.gateway", "CONTROL_DEADLINE = 10.0", "CONTROL_DEADLINE = 10_000.0", "seeds"),
    Plant("nobody is told that a machine runs from memory", "agent.daemon", "    profile = found.profile\n", "    profile, fault = found.profile, None\n", "seeds"),
    Plant("a machine without its card does not start", "agent.state", '        return _memory_state(state), f"state folder {state}: {error.strerror}"', "        raise", "seeds"),
    Plant("settings are not read again", "agent.app", "        loop.add_signal_handler(signal.SIGHUP, self._reload)\n", "", "seeds"),
    Plant("an end that was asked for is told as a failure", "agent.daemon", "    return EX_OK, agent is not None and agent.restart_wanted", "    return EX_FAILED, agent is not None and agent.restart_wanted", "seeds"),
    Plant("an update does not restart the agent", "agent.daemon", "    return EX_OK, agent is not None and agent.restart_wanted", "    return EX_OK, False", "seeds"),
    Plant("a secret is in the log", "agent.daemon", "    set_up_logging(profile.secrets, verbose=options.verbose)\n", "    set_up_logging((), verbose=options.verbose)\n    _log.info('profile: %s', profile.secrets)\n", "seeds"),
    Plant("a socket that cannot be removed is a failure", "agent.local.sockets", "    with contextlib.suppress(OSError):\n        path.unlink(missing_ok=True)\n\n\ndef loopback", "    path.unlink(missing_ok=True)\n\n\ndef loopback", "seeds"),
    Plant("a kept story is not synced before its record", "resources.online.cache", "                os.fsync(copy)\n", "                pass\n", "seeds"),
    Plant("a story that breaks off is kept as a whole one", "resources.online.cache", "        return 0 < self.size <= self.spans.run(0)", "        return 0 < self.size and bool(self.spans.total)", "seeds"),
    Plant("what is kept of stories has no bound", "resources.online.cache", "            used + size <= self.limit\n", "            used + size <= 1000 * self.limit\n", "seeds"),
    Plant("a kept story wants the network", "resources.online.online", "        except (ResourceError, TimeoutError):\n            return None\n", "        except (ResourceError, TimeoutError):\n            return True\n", "seeds"),
    Plant("a story goes on at another place than where it broke off", "resources.online.story", "        return response, response.start if is_story else at", "        return response, max(0, at - 64)", "seeds"),
    Plant("a record that is damaged ends the agent", "resources.record", "        except (OSError, WireError) as error:\n", "        except OSError as error:\n", "seeds"),
    Plant("a damaged record takes the one beside it along", "resources.record", "        except (OSError, WireError) as error:\n", "        except (OSError, WireError) as error:\n            __import__('pathlib').Path(self._path).with_name('child_lock.json').unlink(missing_ok=True)\n", "seeds"),
    Plant("a wrong password is not counted where it came from", "staging.throttle", "        self._pairs.count(pair)\n", "", "seeds"),
    Plant("nobody remembers where a family has logged in", "staging.log_ins", "            known = found.known_at is not None\n", "            known = False\n", "seeds"),
    Plant("a wait is told that is too short", "staging.log_ins", 'ThrottledError("too many tries to log in", wait)', 'ThrottledError("too many tries to log in", wait / 2)', "seeds"),
    Plant("a right password takes back what others have guessed", "staging.throttle", "            self._names.refund(account)\n", "            self._names.forget(account)\n", "seeds"),
    Plant("a pause is told and not done", "resources.playing.deck", "        self._paused = paused\n        await self.player.pause(paused=paused)\n", "        self._paused = paused\n", "seeds"),
    Plant("what an order changes is never told", "resources.dispatch", "            await self._report_change(point)\n            if local:", "            if local:", "seeds"),
    Plant("the link's end is remembered when it is back", "agent.link.reconnect", "        self.ended.clear()\n", "", "seeds"),
    Plant("a report's number is used again if no disk took it", "agent.link.outbox_store", "            row_id = self._hold(Held(row, once))\n", "            self._number -= 1\n            row_id = self._hold(Held(row, once))\n", "seeds"),
    Plant("a version proves itself without the cloud", "agent.updates.health", "        await registered.wait()\n", "        return\n", "seeds"),
    Plant("a child who says nothing is listened to without an end", "agent.voice.states", "    State.WAITING: 5.0,", "    State.WAITING: 5000.0,", "seeds"),
    Plant("quiet hours begin and end an hour late", "resources.times.rules", "    return moment.hour * 60 + moment.minute\n", "    return (moment.hour + 23) % 24 * 60 + moment.minute\n", "seeds"),
    Plant("an old connection's end ends the new one", "staging.gateway.session", "        if self.by_uuid.get(session.identity.uuid) is not session:\n", "        if session.identity.uuid not in self.by_uuid:\n", "seeds"),
    Plant("what the store has no room for is answered as taken", "staging.gateway.intake", "            if light is None:\n                raise\n            return light", "            return light or Applied(heard, 0, ())", "seeds"),
    Plant("a new password leaves the tokens as they are", "staging.store.accounts", "    return grants.expire(session, Which(account_id=account.id), now)", "    return int(now < 0)", "seeds"),
    Plant("one more request waits for a machine than may", "staging.gateway.session", "if self.waiting >= REQUEST_LIMIT:", "if self.waiting > REQUEST_LIMIT:", "seeds"),
    Plant("any order moves the sleep timer", "resources.times.sleep_timer", "        if left <= 0 or self._clock() < self.pending.tapped_from:\n", "        if left <= 0:\n", "seeds"),
    Plant("a sleep timer that was turned off ends the story", "resources.times.sleep_timer", "            case TimerKind.OFF:\n                self.pending = None\n", "            case TimerKind.OFF:\n                pass\n", "seeds"),
    Plant("a microphone that is turned on is off after a cut", "machine.microphone_switch", "            self._path.unlink()\n            fsync_path(self._path.parent)\n", "            self._path.unlink()\n", "seeds"),
    Plant("the volume's limit is one step too high", "resources.loudness.loudness", "            limit = level_of(self.loudest)\n", "            limit = level_of(self.loudest + 1)\n", "seeds"),
    Plant("records are written without their lock", "resources.record", "        async with self._lock:\n            try:\n                await in_thread(_write, self._path, data)\n", "        async with asyncio.Lock():\n            try:\n                await in_thread(_write, self._path, data)\n", "seeds"),
    Plant("an update's end is kept as told before it is", "ota.order.record", "        await self.reports(task).final(task.event, task.failure)\n        try:\n            await self.save(replace(task, reported=True))\n", "        try:\n            await self.save(replace(task, reported=True))\n            await self.reports(task).final(task.event, task.failure)\n", "seeds"),
    Plant("an utterance is erased in the ledger alone", "staging.store.family", "        made.row_count += _delete(session, device_id, voice_ledger.reports_of(session, entry))\n", "        made.row_count += len(voice_ledger.reports_of(session, entry))\n", "seeds"),
    Plant("voice is kept for ever", "staging.erasing", "        if self.voice_days:\n", "        if not self.voice_days:\n", "seeds"),
    Plant("voice goes a day too early", "staging.erasing", "now - self.voice_days * DAY_MS", "now - (self.voice_days - 1) * DAY_MS", "seeds"),
    Plant("what was understood stays when its voice is gone", "staging.erasing", "        await asyncio.to_thread(self._outcomes.erase_voice_before, before)\n        if not", "        if not self._is_scrubbed:\n            await asyncio.to_thread(self._outcomes.erase_voice_before, before)\n        if not", "seeds"),
    Plant("a key's commit is undone by a power cut", "staging.store.key_file", '"synchronous=EXTRA"', '"synchronous=FULL"', "seeds"),
    Plant("a key stays when its voice has gone", "staging.store.voice_keys", '                self._file.change([(mark,) for mark in marks], "DELETE FROM keys WHERE id = ?")', "                pass", "seeds"),
    Plant("what still comes of an utterance that was erased is stored", "staging.store.voice_ledger", "    return not (_continues(last, segment, now) and last is not None and last.erase_time is not None)", "    return True", "seeds"),
    Plant("the rules believe a clock that was set back", "resources.times.rules_clock", "        now = self._time.now()\n        if self._seen is None", "        now = self._time._wall()\n        if self._seen is None", "seeds"),
    Plant("a story that breaks off is asked for again at once", "resources.online.story", "await asyncio.sleep(pauses.next() if 0 < brought < PIECE else BACK_OFF[tries])", "await asyncio.sleep(0)", "seeds"),
    Plant("a certificate that is refused is no error of the link", "agent.link.opening", "        return UntrustedError(f", "        return RuntimeError(f", "seeds"),
    Plant("what is to be kept for good is looked for once", "resources.online.opener", "AGAIN_SECONDS if is_any else None", "None", "seeds"),
    Plant("a list that is kept wants the network", "resources.online.online", "            if not _is_away(error):\n                raise\n", "            raise\n", "seeds"),
    Plant("a feed begins with its oldest episode", "wire.feed", "key=lambda row: row[:2], reverse=True)", "key=lambda row: row[:2])", "seeds"),
    Plant("a story without a length goes on with its beginning", "resources.online.story", "        return response, response.start if is_story else at\n", "        return response, at\n", "seeds"),
    Plant("a story without a length that breaks off is told as finished", "resources.playing.programme", "            reason = self.deck.why_cut(self.deck.track)\n", "            pass\n", "seeds"),
    Plant("a store is opened without its log on a full disk", "staging.store.database", "            if engine.trouble_of(error) is not Trouble.FULL or not engine.is_whole_alone(self._url):", "            if engine.trouble_of(error) is not Trouble.FULL:", "seeds"),
    Plant("a nonce is forgotten before its token ends", "staging.store.apps", "UsedNonce.use_time < now - TOKEN_LIFETIME_S * 1000", "UsedNonce.use_time < now - TOKEN_LIFETIME_S * 500", "seeds"),
    Plant("the audit log has no days", "staging.store.audit", "AuditEntry.ts < now - KEPT_MS", "AuditEntry.ts < now - 1000 * KEPT_MS", "seeds"),
    Plant("what the audit log had no room for is lost", "staging.audit", "            self._waiting.extendleft(reversed(taken))\n", "", "seeds"),
    Plant("an order whose machine goes before its answer is told as done", "staging.gateway.session", "            raise _as_gateway_error(self.identity.uuid, error) from error\n        finally:", "            if isinstance(error, StreamClosedError):\n                return Answer(Code.CHANGED)\n            raise _as_gateway_error(self.identity.uuid, error) from error\n        finally:", "seeds"),
    Plant("an update interrupts the story", "ota.restart", "    if playing:\n", "    if playing and forced:\n", "seeds"),
    Plant("the night's limit binds nobody", "resources.loudness.night", "            return self.begins <= minute < self.ends\n", "            return False\n", "seeds"),
    Plant("two machines with one identity take turns without an end", "staging.gateway.twins", "SIGNS = 3\n", "SIGNS = 3000\n", "seeds"),
    Plant("a machine with another's identity is refused a few times", "staging.gateway.twins", "WINDOW_SECONDS = 600.0\n", "WINDOW_SECONDS = 100.0\n", "seeds"),
    Plant("two machines with one identity are known to one process", "staging.gateway.twins", "        for uuid, sign_time in found:\n", "        for uuid, sign_time in found[:0]:\n", "seeds"),
    Plant("an order that a machine which is there does not answer is sent once", "staging.gateway.orders", "            begun.add(uuid)\n            session.spawn(self.send(session))\n", "            begun.add(uuid)\n", "seeds"),
    Plant("a store with damaged pages is opened", "staging.opening", '    if found := "; ".join(soundness.damage(path, seconds)[: None if seconds is None else 1]):\n', '    if seconds is None and (found := "; ".join(soundness.damage(path, seconds))):\n', "seeds"),
)  # fmt: skip


class Planter(importlib.abc.MetaPathFinder):
    """Changes one module's text at its import."""

    def __init__(self, plant: Plant) -> None:
        """Put ``plant`` in."""
        self._plant = plant

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find the planted module alone; raises SystemExit if its text is not as expected."""
        del target
        if fullname != self._plant.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path)
        if spec is None or spec.origin is None:
            return None
        text = Path(spec.origin).read_text("utf-8")
        if text.count(self._plant.old) != 1:
            raise SystemExit(f"planted: {self._plant.name}: {spec.origin} has another text now")
        spec.loader = _Changed(
            fullname, spec.origin, text.replace(self._plant.old, self._plant.new)
        )
        return spec


class _Changed(importlib.machinery.SourceFileLoader):
    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> types.CodeType:
        del fullname
        code: types.CodeType = compile(self._text, self.path, "exec")
        return code


def plant_from_environment() -> None:
    """Put in the bug that the environment names, if it names one."""
    name = os.environ.get(VARIABLE, "")
    for plant in PLANTS:
        if plant.name == name:
            sys.meta_path.insert(0, Planter(plant))


def _days(plant: Plant) -> list[str]:
    """Return the options of the days that are looked through: the usual dense ones, or the plant's own."""
    own = plant.by.split()[1:]
    hours, density, settle = own or ("0.1", "40", "600")
    return ["--hours", hours, "--density", density, "--settle", settle]


def _run(arguments: Sequence[str], name: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, VARIABLE: name}
    return subprocess.run(
        [sys.executable, "-m", *arguments], env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def look_for(plant: Plant, seeds: Iterable[tuple[int, int]]) -> str:
    """Return how a bug is found, "" if it is not: by the first of ``seeds`` (first and how many) that does not fail without it too."""
    kind, _, rest = plant.by.partition(" ")
    if kind not in LINKS:
        subject, _, length = rest.rpartition(" ")
        done = _run(["tools.sim.storage", "--only", subject, "--length", length], plant.name)
        return next(
            (line.strip() for line in done.stdout.splitlines() if line.startswith("  ")), ""
        )
    return next(filter(None, (_look_in(plant, first, count) for first, count in seeds)), "")


def _look_in(plant: Plant, first: int, count: int) -> str:
    """Return how the first of these seeds fails that does not without the bug, "" if there is none."""
    days = [*_days(plant), "--link", LINKS[plant.by.partition(" ")[0]]]
    end = first + count
    while first < end:
        words = ["tools.sim", "--first", str(first), "--seeds", str(end - first), *days, "--stop"]
        done = _run(words, plant.name)
        found = re.search(r"^seed (\d+) fails.*", done.stdout, re.MULTILINE)
        if found is None:
            if "seeds, " not in done.stdout:
                raise SystemExit(f"planted: {plant.name}: {done.stderr[-500:]}")
            return ""
        if _is_whole(found[1], *days):
            return found[0]
        print(f"{found[0]}, without the bug too: {' '.join(days)}", file=sys.stderr, flush=True)
        first = int(found[1]) + 1
    return ""


@functools.cache
def _is_whole(seed: str, *days: str) -> bool:
    """Return whether a seed does not fail without a bug."""
    return not _run(["tools.sim", "--seed", seed, *days], "").returncode


def _write(file: Path, text: str) -> None:
    """Replace a file as a whole: an interrupt or a full disk costs no row that is there."""
    from base.files import write_atomically  # noqa: PLC0415  # a bug is put in before anything of the product's is imported

    write_atomically(file, text.encode())


class Search:
    """Looks for bugs one after another, and writes down each as soon as it is known."""

    def __init__(self, file: Path, page: Path) -> None:
        """Go on with the rows of ``file``; seeds that found a bug by the rows of ``page`` are tried first."""
        self._file = file
        self.rows = read(file.read_text("utf-8")) if file.exists() else {}
        self._before = read(of_page(page.read_text("utf-8")))
        told = subprocess.run(
            ["git", "rev-parse", "--short=8", "HEAD"], capture_output=True, text=True, check=True
        )  # fmt: skip
        self._commit = told.stdout.strip()

    def look(self, plant: Plant, first: int, seeds: int) -> Row:
        """Look for one bug, unless its row is known."""
        known = self.rows.get(plant.name)
        if known is not None and known.is_found and known.by == plant.by:
            return known
        before = self._before.get(plant.name)
        hint = None if before is None else before.seed
        tries = [] if hint is None else [(hint, 1)]
        how = look_for(plant, [*tries, (first, seeds)])
        nothing = f"{NOT_FOUND} in seeds {first} to {first + seeds - 1}"
        row = self.rows[plant.name] = Row(plant.name, plant.by, how or nothing, self._commit)
        names = [each.name for each in PLANTS]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        _write(self._file, render(names, self.rows) + "\n")
        return row


def main() -> int:
    """Look for all; write a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--only", default="", help="a part of the names")
    parser.add_argument("--seeds", type=whole(1), default=500, help="at most")
    parser.add_argument("--first", type=whole(0), default=1, help="the first of them")
    parser.add_argument("--write", type=Path, default=Path("build/planted.md"), help="the rows")
    parser.add_argument("--anew", action="store_true", help="look for what is found there again")
    parser.add_argument("--page", action="store_true", help=f"put the rows into {PAGE}")
    options = parser.parse_args()
    chosen = [plant for plant in PLANTS if options.only in plant.name]
    if not chosen:
        parser.error(f"--only: got {options.only!r}, expected a part of a bug's name")
    if options.anew:
        options.write.unlink(missing_ok=True)
    search = Search(options.write, PAGE)
    missed = 0
    for plant in chosen:
        row = search.look(plant, options.first, options.seeds)
        missed += not row.is_found
        print(row, flush=True)
    if options.page:
        names = [plant.name for plant in PLANTS]
        _write(PAGE, with_rows(PAGE.read_text("utf-8"), names, search.rows))
    return 1 if missed else 0


if __name__ == "__main__":
    run_main(main)
