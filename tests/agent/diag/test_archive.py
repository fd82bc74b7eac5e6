"""The archive's bound, for any sizes; and its bytes."""

from __future__ import annotations

import io
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from agent.diag.archive import CUT, bounded, pack


@given(
    st.dictionaries(st.text("abc", min_size=1), st.binary(max_size=3000), min_size=1, max_size=6)
)
def test_the_whole_stays_within_its_bound(files: dict[str, bytes]) -> None:
    kept = bounded(files, 2000)
    assert list(kept) == list(files)
    assert sum(map(len, kept.values())) <= 2000
    if sum(map(len, files.values())) <= 2000:
        assert kept == files


def test_the_end_of_the_largest_is_kept() -> None:
    kept = bounded({"log": b"x" * 5000 + b"the end", "small": b"all of it"}, 1000)
    assert kept["small"] == b"all of it"
    assert kept["log"].startswith(CUT)
    assert kept["log"].endswith(b"the end")


def test_it_is_a_tar_of_one_folder() -> None:
    with tarfile.open(fileobj=io.BytesIO(pack("d", {"a": b"1", "b": b""}, 1e9))) as tar:
        assert [info.name for info in tar] == ["d/a", "d/b"]
        assert {info.mode for info in tar} == {0o600}
