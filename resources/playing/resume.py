"""Whether a story goes on where it was left: decisions from what is remembered of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from resources.playing.queue import Queue, Track
from wire.records import dataclass

# Seconds that are heard again: a child has to find back into the story.
BACK_SECONDS = 4.0
# Seconds. The longest songs for children have 5 minutes, a chapter of an audiobook has 10 and more.
STORY_SECONDS = 600.0
# Of a longer queue only the title that was asked for goes on: its titles are not looked through.
LOOKED_THROUGH = 10_000


class Policy(StrEnum):
    """Where a title begins that was left in the middle."""

    STORY = "story"
    """Where it was left, a little earlier."""
    SONG = "song"
    """At its start."""


class Choice(StrEnum):
    """The setting ``play.resume``: the policy of titles for which nothing else is said."""

    AUTO = "auto"
    """By length: titles of 10 minutes and more are stories."""
    STORY = "story"
    """All are stories."""
    SONG = "song"
    """All are songs."""


@dataclass(frozen=True, slots=True)
class Heard:
    """How far a title was heard.

    Attributes:
        at: seconds.
        length: the title's seconds, None if unknown.
        finished: whether it was heard to its end; ``at`` is then 0.
        turn: grows with each note, so that the highest is the latest.
        when: seconds since 1970 by the clock then, which may have been wrong.
    """

    at: float = 0.0
    length: float | None = None
    finished: bool = False
    turn: int = 0
    when: float = 0.0


def policy_of(said: Policy | None, choice: Choice, heard: Heard | None) -> Policy:
    """Return a title's policy: what was ``said`` of it or its folder, else ``choice``."""
    if said is not None:
        return said
    if choice is not Choice.AUTO:
        return Policy(choice.value)
    length = heard.length if heard is not None else None
    return Policy.STORY if (length or 0.0) >= STORY_SECONDS else Policy.SONG


def start_at(policy: Policy, heard: Heard | None) -> float:
    """Return the second at which a title begins."""
    if policy is Policy.SONG or heard is None or heard.finished:
        return 0.0
    at = heard.at if heard.length is None else min(heard.at, heard.length)
    return max(0.0, at - BACK_SECONDS)


def last_in(queue: Queue, latest: Sequence[tuple[str, Heard]], *, again: bool) -> Queue:
    """Return the queue at the title of it that was heard last, or at the next one if it is finished.

    Args:
        queue: of the last order: a title's folder, a folder, or a list.
        latest: keys and what was heard of them, the latest first.
        again: that title is heard again, also if it is finished.
    """
    numbers = _numbers(queue.tracks)
    for key, heard in latest:
        if (number := numbers.get(key)) is not None:
            return queue.jump(number + 1 if heard.finished and not again else number) or queue
    return queue


def go_on_in(
    queue: Queue, latest: Sequence[tuple[str, Heard]], policy_for: Callable[[Track, Heard], Policy]
) -> Queue:
    """Return the queue of a whole folder or list at the title that a family left it at.

    That is the one heard last, or the next one if it is finished; the first one after the last.

    Args:
        queue: all of it was asked for.
        latest: keys and what was heard of them, the latest first.
        policy_for: returns a title's policy; a song does not go on.
    """
    if not queue.whole or len(queue) > LOOKED_THROUGH:
        return queue
    numbers = _numbers(queue.tracks)
    for key, heard in latest:
        number = numbers.get(key)
        if number is not None:
            if policy_for(queue.tracks[number], heard) is Policy.SONG:
                return queue
            return last_in(queue, [(key, heard)], again=False)
    return queue


def _numbers(tracks: Sequence[Track]) -> Mapping[str, int]:
    return {track.key: number for number, track in enumerate(tracks) if track.key}
