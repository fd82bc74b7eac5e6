"""The advisor: does a story machine do what the document asks, and what does it do when things go wrong?

It stands in the cloud's place, on a port to which the device is led, because it needs what no cloud does: frames that
are broken, certificates that are wrong, silences. A case (`staging.advise.cases`) does something to the device over the
narrow interface of `staging.advise.bench` and records what came back; a check (`staging.advise.checks`) reads that
record and gives a verdict, without I/O. Why it is so: docs/adr/0060.
"""
