"""Recognition on the bench: what a child said → text → intent → control requests to the same device.

`reassembly` and `sound` make an utterance of segments; `recogniser` (the extra ``[asr]``) makes text
of it; `text`, `intents`, `phonetics` and `titles` decide what is meant; `actions` asks the device;
`outcomes` keeps what became of it; `service` puts them together; `door` lets commands in.
"""
