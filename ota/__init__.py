"""Over-the-air updates: verify an order's package, install it, put it on trial, report the result.

`machine` accepts an order and steps through `states`; `trust` finds the package in signed metadata;
`fetch` downloads it; `slots` or `rauc` installs and activates it; `launch` starts what is active;
the new version confirms itself or is rolled back.
"""
