"""Updates: an order becomes a trusted package, a release that must prove itself, and one true report.

The order of things: `machine` takes an order and walks `states`; `trust` finds the package in signed
metadata; `download` fetches it; `slots` unpacks and switches; `launch` starts what is active; the new
version confirms itself or the machine goes back. `release_cli` is the tool that makes releases.
"""
