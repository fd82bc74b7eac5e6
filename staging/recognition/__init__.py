"""Speech recognition on the bench: utterance → text → intent → control requests to the same device.

`reassembly` and `sound` build an utterance from segments; `recogniser` (needs the extra ``[asr]``)
turns it into text; `text`, `intents`, `phonetics` and `titles` find the intent; `actions` sends the
control requests; `outcomes` records the results; `service` connects these. `staging.commands` has the
command line, which reaches the running server through `staging.commands.asking`.
"""
