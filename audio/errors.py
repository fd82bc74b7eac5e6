"""What can be wrong with sound that somebody else made, and with the libraries that read it."""

from __future__ import annotations


class AudioError(ValueError):
    """The content is no sound that this package reads; the text names what was expected."""


class SpeexDecodeError(AudioError):
    """libspeex reports a corrupt frame."""


class SpeexUnavailableError(RuntimeError):
    """libspeex is not installed on this machine."""
