"""The words of ``story-agent run`` as systemd and the launcher write them, read without argparse.

argparse is half a megabyte of an idle agent and a twentieth of its start. Whatever is written in another way (a shortened option, a
mistake, ``--help``) is for `agent.parser`, which knows and explains all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DEFAULT_STATE = "/var/lib/story-agent"
DEFAULT_PROFILE = "/etc/story-agent/profile.json"
DEFAULT_CONFIG = "/etc/story-agent/agent.toml"
ENV_STATE = "STORY_AGENT_STATE"
_PATHS = {"--state": "state", "--profile": "profile", "--config": "config"}


class RunOptions:
    """What ``run`` is told; by these names the parser has it too."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        """Take the defaults for what ``words`` leave out."""
        self.words = list(words)
        self.command = "run"
        self.state = Path(environment.get(ENV_STATE, DEFAULT_STATE))
        self.profile = Path(DEFAULT_PROFILE)
        self.config: Path | None = None
        self.verbose = False


def read_run(words: Sequence[str], environment: Mapping[str, str]) -> RunOptions | None:
    """Return the options of a command line that is plainly ``run``, None for any other."""
    if words[:1] != ["run"]:
        return None
    options, rest = RunOptions(words, environment), iter(words[1:])
    for word in rest:
        name, is_joined, value = word.partition("=")
        if word == "--verbose":
            options.verbose = True
            continue
        if name not in _PATHS:
            return None
        value = value if is_joined else next(rest, "")
        if not value or value.startswith("-"):
            return None
        setattr(options, _PATHS[name], Path(value))
    return options


def find_config(options: Any) -> None:
    """Name the usual settings file in a command's options, where none is named and there is one."""
    if options.config is None and has_settings(Path(DEFAULT_CONFIG)):
        options.config = Path(DEFAULT_CONFIG)


def has_settings(config: Path) -> bool:
    """Return whether there is a settings file, or the folder of its drop-ins (`agent.settings_files`)."""
    try:
        return config.exists() or config.with_name(f"{config.name}.d").is_dir()
    except OSError:  # a folder that we may not look into; reading it says why
        return True
