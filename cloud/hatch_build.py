"""What hatchling cannot be told in cloud/pyproject.toml: see docs/adr/0015.

story-cloud needs story-agent in exactly the version of the same tree, because both share `wire`, `transport` and
`ota`. A wheel gets the packages from the folder above; an editable installation finds them there.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

PACKAGES = ("release", "staging")


class CloudMetadata(MetadataHookInterface):
    """Adds story-agent to the dependencies."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set ``dependencies``; ``metadata`` has the version already."""
        agent = f"story-agent=={metadata['version']}"
        metadata["dependencies"] = [agent, *self.config["dependencies"]]


class CloudBuild(BuildHookInterface[Any]):
    """Adds the packages to a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the folders to pack; ``version`` is "standard" or "editable"."""
        if version == "standard":
            packages = {f"../{name}": name for name in PACKAGES}
            build_data["force_include"] |= packages
            build_data["extra_metadata"]["../LICENSE"] = "LICENSE"
