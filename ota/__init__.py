"""Over-the-air updates: verify an order's package, install it, put it on trial, report the result.

`updater` accepts an order and carries it out. `order` stores it and decides what a start after a
crash does; `trust` finds the package in signed metadata; `fetch` downloads it; `install` puts it in
place; `restart` waits for the moment and restarts; `launch` starts what is active; `trial` keeps
what a new version logged, and which packages failed. A new version confirms itself or is rolled
back.
"""
