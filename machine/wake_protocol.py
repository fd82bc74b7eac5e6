"""What the daemon and the wake word's child process say to each other.

In: one byte of what it is and 640 bytes of 20 ms. Out: one line of JSON with the member ``kind``, which is ``ready``
(``words``, ``unused``), ``hit`` or ``near`` (``word``, ``block``, ``distance``, ``share``) or ``fault`` (``text``).
The child ends with its standard input. The daemon imports this and none of what the child computes with.
"""

from __future__ import annotations

from typing import Final

from machine.capture_child import BLOCK_BYTES

BLOCK: Final = b"b"
"""20 ms of samples."""
RESET: Final = b"r"
"""What comes next does not follow what came; the 640 bytes mean nothing."""
MESSAGE_BYTES: Final = 1 + BLOCK_BYTES

EXIT_NO_MODELS: Final = 3
"""The extra ``[wake]`` is not installed, or not for this machine."""
EXIT_NO_WORDS: Final = 4
"""No word may be listened for."""
