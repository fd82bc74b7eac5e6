"""What always holds: each a pure function of what is seen of machine and cloud at one moment, or at the end.

A check returns what is wrong, in words; nothing means that all is well.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# Seconds in which what is told may be behind what is, as the documents say (docs/link.md): a dead connection
# is noticed within 30 s, a report's answer and a fade take their time.
PRESENCE_SECONDS = 40.0
# Orders, fades and a resume take so long to be heard.
SOUND_SECONDS = 12.0
RULES_SECONDS = 40.0
# What a child says ends after 15 s, and may be asked for again once.
LISTEN_SECONDS = 90.0
# A story is noticed in a second, but may pause between two looks, 15 s apart; a wake word's process is back within a minute.
STORY_SECONDS, DEAF_SECONDS = 20.0, 150.0
# A value that changed by itself is looked for each minute, and told when the link lets it through.
TOLD_SECONDS = 150.0
# What is wrong with the machine is told at its start.
TROUBLE_SECONDS = 30.0
# Settings are read in a thread, on a card that may be slow.
SETTINGS_SECONDS = 20.0
# Starts of a version that never confirms itself (docs/ota.md).
TRIES_MAX = 3
# What is asked: waits double from half a second; a story is asked for anew where it broke off after 0.3 s to 5 s
# (docs/playing.md); each link begins its waits for a cloud without room anew.
ASKED = (
    ("look-ups of the cloud's name in a minute", 60), ("requests for packages in a minute", 240), ("reports that the cloud could not take in a minute", 30),
    ("look-ups of the name of a server of stories in a minute", 120), ("requests in a row, without a pause, for a story that breaks off", 12),
)  # fmt: skip
# A machine that starts with a few percent takes so long to see it, to end its story and to switch off.
HEED_SECONDS = 900.0
# Of one process: what a queue, the state folder and the outbox's file may hold.
FILES_MAX = 200
# Requests that wait for one machine; more are refused (docs/link.md).
WAITING_MAX = 16
STATE_BYTES = 12 * 1024 * 1024
# Of one file by a part of its name, the first that fits: SQLite's logs are taken over at 4 MB, the outbox's at 128 pages; a journal file is full at 192 KiB,
# a trial's log at 400 lines; a package of the simulation has 120 kB.
FILE_BYTES = (
    ("outbox.sqlite-wal", 1_000_000), ("-wal", 4_700_000), (".sqlite", 2_000_000), ("events", 200_000), ("trial.log", 200_000),
    ("stories/", 400_000), ("", 150_000),
)  # fmt: skip
# How the files of the cloud's store begin, its log and its mark too.
CLOUD_STORE = "/cloud.sqlite"
# Tasks of one process that have not ended: a machine at rest has 27, a cloud 13, and a request has a few.
TASKS_MAX = 60
# Lines of one machine's or cloud's log in an hour, past the limit on those that say the same again.
LINES_MAX = 500


@dataclass(slots=True)
class View:
    """One machine at one moment.

    Attributes:
        now: the true time, seconds since the start.
        alive: whether its process runs, and since when.
        sounding: what is heard, None for silence.
        told: what ``play`` says: state and source.
        unlike_since: since when the two differ.
        open_since: since when the microphone is open.
        heard: what was wrong with it: it was told to be off, and was open.
        over_story_since: since when it is left open for the wake word while a story sounds.
        deaf_since: since when it could be left open for the wake word, and is not.
        unheard: wake words that nobody heard.
        last_order: where what is loaded is not what the last order said.
        quiet_since: since when the rules want silence and something sounds.
        link_unlike_since: since when link and cloud differ on whether it is there, on a network that is up.
        twins: what was wrong with two machines of one identity.
        dead_since: since when a connection carries nothing that one of its ends believes in.
        loud_since: since when it is louder than the family's limit.
        awake_since: since when something sounds that the sleep timer should have ended.
        untold: since when the cloud shows what is no more, by name.
        unlike_settings_since: since when the agent does not work by its settings file.
        sizes: the bytes of each of its files, by path.
        tasks: those of machine or cloud that have not ended, of whichever has more.
        lines: of the worse of their logs in its worst hour; of the cloud's for each of its machines.
        waiting: requests that the cloud let wait for the machine, at the worst.
        tries: starts of a version in a row that never confirms itself.
        asked: as `ASKED` has it, at the worst.
        broken: what was answered as done and is not so.
        tokens: what was wrong with an app's access tokens; ``log_ins``: with who was let in, and who had to wait.
        served: what was wrong with packages that the cloud served, and with stores that it opened.
        pruned: what the cloud has deleted too early or too late, or taken beyond a device's share.
        voice: what was wrong with the child's voice in the cloud.
        rollouts: what was wrong with versions that go to their machines by phases.
        ran_dry: after how many seconds of running an empty battery ended it.
        late: commands that were carried out after their deadline or their refusal.
        twice: commands that were carried out a second time.
        ended: why processes ended by themselves; ``failed``: orders whose handler did.
    """

    now: float = 0.0
    alive: bool = False
    since: float = 0.0
    running: str = ""
    sounding: str | None = None
    told: tuple[str, str] = ("idle", "")
    unlike_since: float | None = None
    open_since: float | None = None
    heard: Sequence[str] = ()
    over_story_since: float | None = None
    deaf_since: float | None = None
    unheard: Sequence[str] = ()
    last_order: Sequence[str] = ()
    quiet_since: float | None = None
    link_unlike_since: float | None = None
    twins: Sequence[str] = ()
    files: int = 0
    bytes: int = 0
    sizes: Mapping[str, int] = field(default_factory=dict)
    tasks: int = 0
    lines: int = 0
    late: Sequence[str] = ()
    twice: Sequence[str] = ()
    ran_dry: Sequence[float] = ()
    ended: Sequence[str] = ()
    failed: Sequence[str] = ()
    dead_since: float | None = None
    loud_since: float | None = None
    awake_since: float | None = None
    untold: Mapping[str, float] = field(default_factory=dict)
    unlike_settings_since: float | None = None
    waiting: int = 0
    tries: int = 0
    asked: tuple[int, int, int, int, int] = (0, 0, 0, 0, 0)
    broken: Sequence[str] = ()
    tokens: Sequence[str] = ()
    log_ins: Sequence[str] = ()
    voice: Sequence[str] = ()
    rollouts: Sequence[str] = ()
    pruned: Sequence[str] = ()
    served: Sequence[str] = ()


def what_sounds_is_told(view: View) -> str | None:
    """What sounds is what ``play`` says."""
    if view.unlike_since is None or view.now - view.unlike_since < SOUND_SECONDS:
        return None
    return f"{view.sounding or 'nothing'} sounds, and play says {view.told}, for {view.now - view.unlike_since:.0f} s"


def the_last_order_wins(view: View) -> str | None:
    """What is loaded is what the last order said, one title at a time, and where the queue is."""
    return view.last_order[0] if view.last_order else None


def mute_is_mute(view: View) -> str | None:
    """The microphone is closed when it is told to be mute, and nobody is listened to for ever."""
    if view.heard:
        return view.heard[0]
    if view.open_since is None or view.now - view.open_since < LISTEN_SECONDS:
        return None
    return f"the microphone is open for {view.now - view.open_since:.0f} s"


def the_wake_word_is_heard(view: View) -> str | None:
    """A machine that is left listening for its wake word does so, and hears it."""
    if view.unheard:
        return view.unheard[0]
    if view.deaf_since is None or view.now - view.deaf_since < DEAF_SECONDS:
        return None
    return f"nobody listens for the wake word for {view.now - view.deaf_since:.0f} s"


def stories_are_not_listened_to(view: View) -> str | None:
    """No microphone is left open for the wake word over a story."""
    since = view.over_story_since
    if since is None or view.now - since < STORY_SECONDS:
        return None
    return f"the microphone is open over {view.sounding} for {view.now - since:.0f} s"


def rules_are_kept(view: View) -> str | None:
    """What the parents' rules forbid does not sound."""
    if view.quiet_since is None or view.now - view.quiet_since < RULES_SECONDS:
        return None
    return f"{view.sounding} sounds for {view.now - view.quiet_since:.0f} s in a time of quiet"


def status_is_true(view: View) -> str | None:
    """What machine and cloud say of the link is so, within the stated time; two with one identity are told, and take no turns."""
    if view.twins:
        return view.twins[0]
    since = view.link_unlike_since
    if since is None or view.now - since < PRESENCE_SECONDS:
        return None
    return f"machine and cloud do not agree on the link for {view.now - since:.0f} s"


def the_dead_are_noticed(view: View) -> str | None:
    """A connection that carries nothing is given up by both ends, also behind a proxy that acknowledges all."""
    since = view.dead_since
    if since is None or view.now - since < PRESENCE_SECONDS:
        return None
    return f"a connection carries nothing for {view.now - since:.0f} s, and is not given up"


def volume_is_limited(view: View) -> str | None:
    """Nothing is louder than the family's limit, whoever turns the knob."""
    if view.loud_since is None or view.now - view.loud_since < RULES_SECONDS:
        return None
    return f"it is louder than its limit for {view.now - view.loud_since:.0f} s"


def sleep_timer_is_kept(view: View) -> str | None:
    """Nothing sounds after the sleep timer's time."""
    if view.awake_since is None or view.now - view.awake_since < RULES_SECONDS:
        return None
    return (
        f"{view.sounding} sounds {view.now - view.awake_since:.0f} s after the sleep timer's time"
    )


def changes_are_told(view: View) -> str | None:
    """The cloud shows what has changed by itself: a knob, the battery; and hears what is wrong with the machine."""
    for name, since in view.untold.items():
        if view.now - since > (TROUBLE_SECONDS if name == "trouble" else TOLD_SECONDS):
            return f"the cloud shows another {name} for {view.now - since:.0f} s"
    return None


def settings_are_taken(view: View) -> str | None:
    """Settings that are read at each use are in force soon after SIGHUP; a file that nobody can read changes nothing."""
    since = view.unlike_settings_since
    if since is None or view.now - since < SETTINGS_SECONDS:
        return None
    return f"the settings file is not in force for {view.now - since:.0f} s"


def a_bad_version_is_left(view: View) -> str | None:
    """A version that never confirms itself is started a few times, and no more."""
    is_left = view.tries <= TRIES_MAX
    return None if is_left else f"a version that does not start was started {view.tries} times"


def nobody_hammers(view: View) -> str | None:
    """What fails is tried again after a wait."""
    for count, (what, most) in zip(view.asked, ASKED, strict=True):
        if count > most:
            return f"{count} {what}"
    return None


def done_is_done(view: View) -> str | None:
    """What was answered as done is so, and stays over restarts."""
    return view.broken[0] if view.broken else None


def tokens_are_kept(view: View) -> str | None:
    """Nothing is done with a token that has ended, one that has not is taken, and who asks for another one gets on."""
    return view.tokens[0] if view.tokens else None


def guesses_are_held_back(view: View) -> str | None:
    """Few wrong passwords are looked at, whoever has the right one gets in, and nobody's guesses keep a family out where it is known."""
    return view.log_ins[0] if view.log_ins else None


def voice_has_its_days(view: View) -> str | None:
    """The child's voice is kept for its days as it was said, and no longer; what was erased is seen by nobody, and in no file."""
    return view.voice[0] if view.voice else None


def rollouts_keep_their_phases(view: View) -> str | None:
    """No machine outside of the open phases is reached, what is stopped begins nothing, each order has one true end."""
    return view.rollouts[0] if view.rollouts else None


@functools.lru_cache(maxsize=4096)
def _most_of(path: str) -> int:
    """Return the most bytes that a file may have."""
    return next(most for name, most in FILE_BYTES if name in path)


def what_is_kept_is_bounded(view: View) -> str | None:
    """The cloud keeps what it promises to keep, deletes what is older, and takes no more than a device's share."""
    return view.pruned[0] if view.pruned else None


def damage_is_told(view: View) -> str | None:
    """No package is served that is not the signed one, nor a store opened that lacks what its mark says; what was put back is used."""
    return view.served[0] if view.served else None


def all_is_bounded(view: View) -> str | None:
    """Files, bytes, tasks, lines of the log and what waits stay within bounds."""
    for path, size in view.sizes.items():
        if size > (most := _most_of(path)):
            return f"{path} has {size} bytes, expected at most {most}"
    for count, most, what in (
        (view.files, FILES_MAX, "files in the state folder"),
        (view.bytes, STATE_BYTES, "bytes in the state folder"),
        (view.waiting, WAITING_MAX, "requests wait for the machine"),
        (view.tasks, TASKS_MAX, "tasks have not ended"),
        (view.lines, LINES_MAX, "lines of the log in an hour"),
    ):
        if count > most:
            return f"{count} {what}"
    return None


def nothing_is_late(view: View) -> str | None:
    """What was told to have failed does not happen later."""
    return view.late[0] if view.late else None


def nothing_is_done_twice(view: View) -> str | None:
    """An order that is handed over a second time is not carried out a second time."""
    return view.twice[0] if view.twice else None


def nothing_crashes(view: View) -> str | None:
    """A process ends by itself only for a restart, and nothing within it by an error that it did not expect."""
    if view.failed:
        return f"an internal error: {view.failed[0]}"
    return f"it ended: {view.ended[0]}" if view.ended else None


def battery_is_heeded(view: View) -> str | None:
    """Who has time to see that the battery empties ends in order before."""
    late = [seconds for seconds in view.ran_dry if seconds > HEED_SECONDS]
    return f"the battery ran dry after {late[0]:.0f} s of running" if late else None


STEP_CHECKS: tuple[Callable[[View], str | None], ...] = (
    what_sounds_is_told, the_last_order_wins, mute_is_mute, rules_are_kept, status_is_true, all_is_bounded,
    nothing_is_late, nothing_is_done_twice, nothing_crashes, battery_is_heeded, the_dead_are_noticed, volume_is_limited,
    sleep_timer_is_kept, changes_are_told, a_bad_version_is_left, nobody_hammers, done_is_done,
    the_wake_word_is_heard, stories_are_not_listened_to, tokens_are_kept, guesses_are_held_back, voice_has_its_days, rollouts_keep_their_phases,
    what_is_kept_is_bounded, damage_is_told, settings_are_taken,
)  # fmt: skip


@dataclass(slots=True)
class Ending:
    """What is left when all faults are over and everything had time to settle.

    Attributes:
        view: the machine's last.
        accepted: reports that the outbox took for good: (epoch, number) and key.
        excused: those that may be missing.
        epochs: numbers that the cloud has, by epoch, as ranges.
        tasks: the updates in the cloud's store; none of one that was damaged.
        versions: what the machine may run.
        bad: versions that do not start, or die again and again; ``never``: those that do not start.
        online: whether link and cloud agree that it is there.
        waiting: reports that still wait.
        newest: the cloud's newest values, ``values``: the machine's, ``told``: the names of those that it must have told.
        cancelled: transactions of updates whose cancellation was answered as done.
        offered: how often each key was given to the outbox, and ``rows``: how often the cloud's history has it.
        damaged: files of the machine that had a bit flipped: what only they held may be gone, and no more.
    """

    view: View
    accepted: Mapping[tuple[str, int], str] = field(default_factory=dict)
    excused: Collection[tuple[str, int]] = ()
    epochs: Mapping[str, Sequence[Sequence[int]]] = field(default_factory=dict)
    tasks: Sequence[Mapping[str, Any]] = ()
    versions: Sequence[str] = ()
    task_versions: Mapping[int, str] = field(default_factory=dict)
    bad: Collection[str] = ()
    never: Collection[str] = ()
    online: bool = False
    waiting: int = 0
    newest: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    told: Collection[str] = ()
    cancelled: Collection[str] = ()
    offered: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    damaged: Collection[str] = ()

    def has_damaged(self, *names: str) -> bool:
        """Return whether a file was damaged whose path has one of these names in it."""
        return any(name in path for path in self.damaged for name in names)


def nothing_is_lost(ending: Ending) -> str | None:
    """What the outbox has taken for good reaches the cloud; a damaged one, or a damaged store, may have lost some."""
    if ending.has_damaged("outbox", CLOUD_STORE):
        return None
    lost = [
        f"report {number} of {epoch} ({key})"
        for (epoch, number), key in ending.accepted.items()
        if (epoch, number) not in ending.excused and not _has(ending.epochs, epoch, number)
    ]
    return f"{len(lost)} reports are lost: {', '.join(lost[:3])}" if lost else None


def _has(epochs: Mapping[str, Sequence[Sequence[int]]], epoch: str, number: int) -> bool:
    return any(low <= number <= high for low, high in epochs.get(epoch, ()))


def nothing_is_twice(ending: Ending) -> str | None:
    """What a machine tells again is dropped; of a damaged outbox, or a damaged store, nobody knows what it was."""
    if ending.has_damaged("outbox", CLOUD_STORE):
        return None
    for key, count in ending.rows.items():
        if count > ending.offered.get(key, count):
            return f"the cloud has {count} values of {key}, and {ending.offered[key]} were told"
    return None


def a_cancelled_update_ends(ending: Ending) -> str | None:
    """An update that was cancelled in time does not succeed."""
    for task in ending.tasks:
        if str(task["id"]) in ending.cancelled and task["status"] == "SUCCESS":
            return f"update {task['id']} succeeded after it was cancelled"
    return None


def it_runs(ending: Ending) -> str | None:
    """The machine ends on line, with a version of its own: old or new, never neither."""
    view = ending.view
    if not view.alive:
        return "the agent does not run"
    if view.running not in ending.versions:
        return f"version {view.running} runs, expected one of {', '.join(ending.versions)}"
    return None if ending.online else "it is not on line"


def nothing_waits(ending: Ending) -> str | None:
    """The outbox is empty at the end."""
    return f"{ending.waiting} reports wait still" if ending.waiting else None


def _fault_of(task: Mapping[str, Any], version: str, ending: Ending) -> str | None:
    """Return what is wrong with one update's end."""
    if task["status"] not in {"SUCCESS", "FAILED"}:
        return f"update {task['id']} to {version} is {task['status']} still"
    finals = [event for event, _ in task["lines"] if event not in {None, 0, 4, 5, 7}]
    if len(finals) > 1 and not ending.has_damaged("outbox"):  # it holds what was told
        return f"update {task['id']} ended {len(finals)} times: {finals}"
    if "bug:" in (task.get("failure") or ""):
        return f"update {task['id']} failed by a bug: {task['failure']}"
    if task["status"] == "SUCCESS" and version in ending.never:
        return f"update {task['id']} succeeded, and {version} never starts"
    return None


def updates_have_one_true_end(ending: Ending) -> str | None:
    """Each update has exactly one end, and it is true."""
    succeeded = None
    for task in ending.tasks:
        version = ending.task_versions.get(task["package"], "?")
        if (fault := _fault_of(task, version, ending)) is not None:
            return fault
        if task["status"] == "SUCCESS":
            succeeded = version
    if ending.has_damaged(
        "boot.json", "releases", CLOUD_STORE
    ):  # what was chosen may be gone: the base runs
        return None
    if succeeded in ending.bad:  # it proved itself, kept dying, and was left for the one before
        return None
    wanted = ending.versions[0] if succeeded is None else succeeded
    if ending.view.running != wanted:
        return f"the last update that succeeded is {succeeded}, and {ending.view.running} runs"
    return None


def cloud_shows_the_machine(ending: Ending) -> str | None:
    """The cloud's newest values are the machine's."""
    if ending.has_damaged("outbox", CLOUD_STORE):
        return None
    for name, value in ending.values.items():
        if name in ending.told and name not in ending.newest:
            return f"{name} is {value!r}, and the cloud was never told"
        if name in ending.newest and ending.newest[name] != value:
            return f"{name} is {value!r}, and the cloud shows {ending.newest[name]!r}"
    return None


END_CHECKS: tuple[Callable[[Ending], str | None], ...] = (
    it_runs, nothing_waits, nothing_is_lost, updates_have_one_true_end, cloud_shows_the_machine,
    nothing_is_twice, a_cancelled_update_ends,
)  # fmt: skip


def step_faults(view: View) -> Iterator[str]:
    """Yield what is wrong now, with the check's name."""
    for check in STEP_CHECKS:
        if (fault := check(view)) is not None:
            yield f"{check.__name__}: {fault}"


def end_faults(ending: Ending) -> Iterator[str]:
    """Yield what is wrong at the end."""
    yield from step_faults(ending.view)
    for check in END_CHECKS:
        if (fault := check(ending)) is not None:
            yield f"{check.__name__}: {fault}"
