"""Every named number is as docs/numbers.md has it, and what the other pages promise is what the source has."""

from __future__ import annotations

import pytest

from tools.numbers import PAGE, ROOT, Named, collect, page

# A page, what it says word for word, and the numbers in it with where the source has them.
PROMISES: list[tuple[str, str, dict[str, float]]] = [
    ("link.md", "The app waits 10 s at most", {"staging/gateway/gateway.py:CONTROL_DEADLINE": 10}),
    ("link.md", "heard nothing for 20 s asks", {"transport/liveness.py:QUIET_SECONDS": 20}),
    ("link.md", "a cloud after 21 s", {"transport/liveness.py:CLOUD_QUIET_SECONDS": 21}),
    ("link.md", "gives the other 7 s", {"transport/liveness.py:PATIENCE_SECONDS": 7}),
    ("link.md", "first after 22 s, given up after 28 s", {
        "transport/liveness.py:PROBE_IDLE": 22, "transport/liveness.py:PROBE_INTERVAL": 3,
        "transport/liveness.py:PROBES": 2, "transport/liveness.py:USER_TIMEOUT_MS": 28_000,
    }),
    ("link.md", "after 137 s in the cloud and 75 s in the machine", {
        "staging/gateway/gateway.py:IDLE_TIMEOUT": 137.5, "wire/reports.py:KEEPALIVE_SECONDS": 55,
        "agent/link/framed.py:REPORT_TIMEOUT": 20,
    }),
    ("link.md", "0.5 s, doubling to `link.retry_max_seconds` (60 s)", {
        "base/backoff.py:FIRST_SECONDS": 0.5, "agent/settings.py:LinkSettings.retry_max_seconds": 60,
    }),
    ("link.md", "the addresses are tried 0.25 s apart", {"transport/dial.py:NEXT_ADDRESS_DELAY": 0.25}),
    ("link.md", "`link.refused_retry_seconds` (300 s)", {"agent/settings.py:LinkSettings.refused_retry_seconds": 300}),
    ("link.md", "ended after more than 30 s | within 12 s", {
        "agent/link/pace.py:STABLE_SECONDS": 30, "agent/link/pace.py:SPREAD_SECONDS": 12,
    }),
    ("link.md", "no wait is longer than 5 s", {"agent/link/pace.py:TRIAL_SECONDS": 5}),
    ("link.md", "tried again after 1 s to 5 min", {
        "agent/contain.py:FIRST_SECONDS": 1, "agent/contain.py:MAX_SECONDS": 300,
    }),
    ("link.md", "are dropped after 10 s, the oldest when more than 64", {"agent/local/http.py:IDLE_SECONDS": 10}),
    ("link.md", "announced anew within 15 s", {"agent/local/announce.py:LOOK_SECONDS": 15}),
    ("mqtt.md", "1, expires after 10 s", {"wire/topics.py:REQUEST_EXPIRY": 10}),
    ("mqtt.md", "the device sends them again after 5 s", {"agent/link/mqtt_session.py:RESEND_SECONDS": 5}),
    ("listening.md", "0.7 s without speech an end", {"agent/settings.py:VoiceSettings.pause_seconds": 0.7}),
    ("listening.md", "less than 0.35 s", {"machine/buttons.py:HOLD_SECONDS": 0.35}),
    ("ota.md", "has at most 128 bytes of printable text", {"wire/ota.py:TRANSACTION_MAX": 128}),
    ("ota.md", "a URL 4,096 characters", {"wire/ota.py:URL_MAX": 4096}),
    ("ota.md", "for this check, for at most 6 s", {"ota/trust/client.py:ASK_TIMEOUT": 6}),
    ("ota.md", "300 s, in the same boot of the machine, was an early death", {"ota/launch/starts.py:EARLY_SECONDS": 300}),
    ("ota.md", "`not proven within 120 s", {"agent/settings.py:OtaSettings.confirm_timeout_seconds": 120}),
    ("playing.md", "gives nothing to hear in 7 s", {"machine/playback.py:LOAD_SECONDS": 7}),
    ("playing.md", "waits 3 s for one and is then refused", {"resources/playing/deck.py:DEVICE_SECONDS": 3}),
    ("playing.md", "goes on 4 s earlier", {"resources/playing/resume.py:BACK_SECONDS": 4}),
    ("playing.md", "titles of 10 minutes and more are", {"resources/playing/resume.py:STORY_SECONDS": 600}),
    ("playing.md", "on the disk every 5 s", {"resources/playing/deck.py:BEAT_SECONDS": 5}),
    ("playing.md", "one each 15 s", {"resources/energy/guard.py:WATCH_SECONDS": 15}),
    ("playing.md", "the story fades in 4 s", {"resources/energy/build.py:FADE_SECONDS": 4}),
    ("playing.md", "again after 1, 2, 4 … 60 minutes", {
        "resources/energy/policy.py:RETRY_SECONDS": 60, "resources/energy/policy.py:RETRY_MAX_SECONDS": 3600,
    }),
    ("playing.md", "URL of up to 4,096 bytes", {"wire/story_points.py:PLAY_LIMIT": 4096, "wire/entries.py:URL_BYTES": 4096}),
    ("playing.md", "2 MB are read and 500 entries are kept", {
        "wire/playlist.py:LIST_BYTES": 2 * 2**20, "wire/entries.py:ENTRIES_LIMIT": 500,
    }),
    ("playing.md", "tries for 25 s more", {"resources/online/relay.py:HOLD_SECONDS": 25}),
    ("playing.md", "the last 25 seconds fade", {"resources/times/countdown.py:FADE_SECONDS": 25}),
    ("playing.md", "in 20 minutes (1 to 600)", {"wire/sleep.py:MINUTES_MAX": 600}),
    ("staging.md", "No message to a device is longer than 2,048 bytes", {"transport/connection.py:BLOCK_SIZE_EXPONENT": 6}),
    ("family.md", "for 30 days (`story-cloud serve --voice-days N`", {"staging/commands/serve.py:VOICE_DAYS": 30}),
    ("ota.md", "five early deaths in a row", {"ota/launch/starts.py:EARLY_DEATHS": 5}),
    ("ota.md", "this package failed its trial three times, or ended ten trials in outages", {
        "ota/trial/given_up.py:TRIAL_BUDGET": 3, "ota/trial/given_up.py:OUTAGE_BUDGET": 10,
    }),
    ("device-page.md", "The phone stays logged in for 90 days", {
        "agent/local/page/sessions.py:SESSION_SECONDS": 90 * 86_400,
    }),
    ("security.md", "20, then one in 10 s; 4,096", {
        "base/log_limit.py:KIND_BURST": 20, "base/log_limit.py:KIND_SECONDS": 10, "base/log_text.py:MESSAGE_LIMIT": 4096,
    }),
    ("security.md", "| 5,000; 512; 64; 384; 96 |", {
        "staging/gateway/gateway.py:CONNECTION_LIMIT": 5000, "staging/crowd.py:DoorLimits.silent": 512,
        "staging/crowd.py:DoorLimits.begun": 384,
    }),
    ("security.md", "what its scopes say, for 60 days", {"staging/store/apps.py:TOKEN_LIFETIME_S": 60 * 86_400}),
    ("accounts.md", "Kept for 400 days", {"staging/store/audit.py:KEPT_MS": 400 * 86_400_000}),
]  # fmt: skip


@pytest.fixture(scope="module")
def numbers_of_source() -> list[Named]:
    """Return what takes seconds to read, and every worker would read it if it were a constant here."""
    return collect()


def test_the_page_is_the_sources(numbers_of_source: list[Named]) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(numbers_of_source), (
        "docs/numbers.md is not what the source has. If a number was changed on purpose, look for the pages that "
        "promise it, then run: python -m tools.numbers"
    )


@pytest.mark.parametrize(
    ("name", "says", "numbers"), PROMISES, ids=[says for _, says, _ in PROMISES]
)
def test_what_a_page_promises_is_what_the_source_has(
    name: str, says: str, numbers: dict[str, float], numbers_of_source: list[Named]
) -> None:
    by_name = {f"{number.module}:{number.name}": number.value for number in numbers_of_source}
    text = " ".join((ROOT / "docs" / name).read_text(encoding="utf-8").split())
    assert says in text
    assert {where: by_name[where] for where in numbers} == numbers
