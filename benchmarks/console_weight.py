"""Measures what a browser fetches before the console can be used, in kB as sent and unpacked.

python -m benchmarks.console_weight
"""

from __future__ import annotations

import re

from staging.console.assets import INDEX, Assets

# The login page, and the pages whose additional files are loaded when they are first opened.
PAGES = (
    "login", "devices", "device", "products", "product", "apps", "versions", "strategies", "accounts", "audit", "explorer", "me",
)  # fmt: skip
_STATIC_IMPORT = re.compile(r'^import\b[^;"]*"\./([\w/-]+\.js)";', re.MULTILINE)


def imports(assets: Assets, name: str, seen: set[str]) -> set[str]:
    """Return a module and all modules that it imports, recursively, added to ``seen``."""
    if name in seen:
        return seen
    seen.add(name)
    asset = assets.get(name)
    if asset is None:
        raise SystemExit(f"console_weight: {name} is imported and not there")
    for found in _STATIC_IMPORT.findall(asset.body.decode()):
        imports(assets, f"{name.rpartition('/')[0]}/{found}", seen)
    return seen


def weight(assets: Assets, names: set[str]) -> tuple[float, float]:
    """Return kB (1,000 bytes) as sent (gzip) and unpacked."""
    chosen = [asset for name in names if (asset := assets.get(name)) is not None]
    sent = sum(len(asset.packed or asset.body) for asset in chosen)
    return sent / 1000, sum(len(asset.body) for asset in chosen) / 1000


def main() -> None:
    """Print the figures."""
    assets = Assets()
    shell = imports(assets, "js/main.js", {INDEX, "console.css", "icon.svg", "theme.js"})
    first = imports(assets, "js/login.js", set(shell))
    print("page          files   kB sent   kB unpacked")
    for page in PAGES:
        names = imports(assets, f"js/{page}.js", set(shell))
        sent, whole = weight(assets, names)
        print(f"{page:12}  {len(names):5}  {sent:8.1f}  {whole:12.1f}")
    print(f"first paint (log-in): {weight(assets, first)[0]:.1f} kB")


if __name__ == "__main__":
    main()
