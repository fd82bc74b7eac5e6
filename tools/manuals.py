"""Man pages and shell completions of the four programs, made from their parsers.

``python -m tools.manuals FOLDER`` (``make manuals``: build/share) writes ``man/man1``, ``man/zh_CN/man1``,
``bash-completion/completions``, ``zsh/vendor-completions`` and ``fish/vendor_completions.d``, as they belong below
/usr/share. The same parsers give the same bytes (SOURCE_DATE_EPOCH).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.parser import build_parser as build_agent
from agent.words import EN, ZH, Words, say, speaking
from release.cli import build_parser as build_release
from staging.commands.cli import build_parser as build_cloud
from staging.fleet.cli import build_parser as build_fleet

# Each program, and the languages of its help.
PROGRAMS: Mapping[str, tuple[Callable[[], argparse.ArgumentParser], tuple[str, ...]]] = {
    "story-agent": (build_agent, (EN, ZH)),
    "story-cloud": (build_cloud, (EN, ZH)),
    "story-fleet": (build_fleet, (EN,)),
    "story-release": (build_release, (EN,)),
}
_MAN = {EN: "man/man1", ZH: "man/zh_CN/man1"}


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its words after the program's name, its help, options, and what may follow."""

    path: tuple[str, ...]
    text: str
    parser: argparse.ArgumentParser
    followers: tuple[str, ...]

    @property
    def options(self) -> list[argparse.Action]:
        """The actions that have option strings."""
        return [each for each in self.parser._actions if each.option_strings]  # noqa: SLF001  # argparse has no public list

    def words(self) -> list[str]:
        """Return every word that may follow, commands first."""
        flags = [flag for each in self.options for flag in each.option_strings]
        return [*self.followers, *flags]


def walk(
    parser: argparse.ArgumentParser, path: tuple[str, ...] = (), text: str = ""
) -> Iterator[Command]:
    """Yield a parser and all below it."""
    below: list[tuple[str, argparse.ArgumentParser, str]] = []
    followers: list[str] = []
    for action in parser._actions:  # noqa: SLF001  # see above
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # see above
            helps = {each.dest: each.help or "" for each in action._choices_actions}  # noqa: SLF001  # see above
            below += [(name, each, helps.get(name, "")) for name, each in action.choices.items()]
        elif not action.option_strings and action.choices:
            followers += map(str, action.choices)
    followers += [name for name, _, _ in below]
    yield Command(path, text or parser.description or "", parser, tuple(followers))
    for name, each, told in below:
        yield from walk(each, (*path, name), told)


def bash(program: str, commands: Sequence[Command]) -> str:
    """Return bash's completion; where nothing of ours fits, bash completes files."""
    name = "_" + program.replace("-", "_")
    return "\n".join(
        [
            f"# bash completion of {program}, made by tools/manuals.py",
            f"{name}() {{",
            '    local cur=${COMP_WORDS[COMP_CWORD]} at="" i',
            "    for ((i = 1; i < COMP_CWORD; i++)); do",
            '        case "$at ${COMP_WORDS[i]}" in',
            f'            {_known(commands)}) at="$at ${{COMP_WORDS[i]}}" ;;',
            "        esac",
            "    done",
            '    case "$at" in',
            *(
                f"        '{_spelled(each)}') COMPREPLY=($(compgen -W '{' '.join(each.words())}' -- \"$cur\")) ;;"
                for each in commands
            ),
            "    esac",
            "}",
            f"complete -o default -F {name} {program}\n",
        ]
    )


def zsh(program: str, commands: Sequence[Command]) -> str:
    """Return zsh's completion, with files behind our words."""
    return "\n".join(
        [
            f"#compdef {program}",
            "# made by tools/manuals.py",
            'local at="" word',
            "for word in ${words[2,CURRENT-1]}; do",
            '    case "$at $word" in',
            f'        {_known(commands)}) at="$at $word" ;;',
            "    esac",
            "done",
            'case "$at" in',
            *(
                f"    '{_spelled(each)}') compadd -- {' '.join(each.words())} ;;"
                for each in commands
            ),
            "esac",
            "_files\n",
        ]
    )


def _known(commands: Sequence[Command]) -> str:
    # A program without commands: no word is "", and a shell wants a pattern.
    return " | ".join(f"'{_spelled(each)}'" for each in commands if each.path) or "''"


def _spelled(command: Command) -> str:
    return "".join(f" {word}" for word in command.path)


def fish(program: str, commands: Sequence[Command]) -> str:
    """Return fish's completion, with descriptions."""
    lines = [f"# fish completion of {program}, made by tools/manuals.py"]
    texts = {each.path: each.text for each in commands}
    for each in commands:
        when = f"test (__{program.replace('-', '_')}_at) = '{' '.join(each.path)}'"
        for word in each.followers:
            told = texts.get((*each.path, word), "")
            lines.append(f"complete -c {program} -f -n {_fish(when)} -a {word} -d {_fish(told)}")
        lines += [_fish_option(program, when, option) for option in each.options]
    known = " ".join(_fish(_spelled(each)) for each in commands if each.path) or "''"
    at = [
        f"function __{program.replace('-', '_')}_at",
        "    set -l at",
        "    for word in (commandline -opc)[2..]",
        '        switch "$at $word"',
        f"            case {known}",
        '                set at "$at $word"',
        "        end",
        "    end",
        '    string trim -- "$at"',
        "end",
    ]
    return "\n".join([lines[0], *at, *lines[1:]]) + "\n"


def _fish_option(program: str, when: str, option: argparse.Action) -> str:
    flags = [
        f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"
        for flag in option.option_strings
    ]
    needs = " -r" if option.nargs != 0 else ""
    return (
        f"complete -c {program} -n {_fish(when)} {' '.join(flags)}{needs} -d {_fish(_help(option))}"
    )


def _fish(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _help(action: argparse.Action) -> str:
    text = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
    return " ".join(text.split())


def man(
    program: str, parser: argparse.ArgumentParser, commands: Sequence[Command], date: str
) -> str:
    """Return the man page, section 1, in the language in which the parser was built."""
    # The first sentence or paragraph; a module's head begins with the program's name.
    told = " ".join((parser.description or "").partition("\n\n")[0].split())
    told = told.removeprefix(f"``{program}``: ")
    lines = [
        f'.TH "{program.upper()}" "1" "{date}"', f".SH {say(Words('名称', 'NAME'))}",
        f"{_roff(program)} \\- {_roff(told.rstrip('.。'))}",
        f".SH {say(Words('语法', 'SYNOPSIS'))}", f".B {_roff(program)}",
    ]  # fmt: skip
    below = [each for each in commands if each.path]
    if below:
        lines += [
            _roff(say(Words("命令 [选项]", "COMMAND [OPTIONS]"))),
            f".SH {say(Words('命令', 'COMMANDS'))}",
        ]
    else:
        lines += ["[OPTIONS]", ".SH OPTIONS", *_items(parser)]
    for each in below:
        usage = each.parser.format_usage().split(":", 1)[-1]
        lines += [
            f".SS {_roff(' '.join(each.path))}",
            _roff(each.text),
            ".PP",
            f".B {_roff(' '.join(usage.split()))}",
            *_items(each.parser),
        ]
    if parser.epilog:
        lines += [
            f".SH {say(Words('退出码', 'EXIT STATUS'))}",
            _roff(" ".join(parser.epilog.split())),
        ]
    return "\n".join(lines) + "\n"


def _items(parser: argparse.ArgumentParser) -> list[str]:
    """Return the lines of a parser's own options and arguments that have a help."""
    lines: list[str] = []
    for action in parser._actions:  # noqa: SLF001  # see above
        if isinstance(action, argparse._SubParsersAction) or not _help(action):  # noqa: SLF001  # see above
            continue
        name = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        lines += [".TP", f".B {_roff(name)}", _roff(_help(action))]
    return lines


def _roff(text: str) -> str:
    """Return text as roff has it: a line that begins with a dot or an apostrophe would be a request."""
    plain = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


def write_all(folder: Path, date: str, programs: Iterable[str] = PROGRAMS) -> list[Path]:
    """Write all files of ``programs`` below ``folder``; return them."""
    written: list[Path] = []

    def write(place: str, text: str) -> None:
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        written.append(path)

    for program in programs:
        build, languages = PROGRAMS[program]
        for language in languages:
            with _anywhere(), speaking(["--lang", language]):
                parser = build()
                commands = list(walk(parser))
                write(f"{_MAN[language]}/{program}.1", man(program, parser, commands, date))
        with _anywhere(), speaking(["--lang", EN]):
            commands = list(walk(build()))
        write(f"bash-completion/completions/{program}", bash(program, commands))
        write(f"zsh/vendor-completions/_{program}", zsh(program, commands))
        write(f"fish/vendor_completions.d/{program}.fish", fish(program, commands))
    return written


@contextlib.contextmanager
def _anywhere() -> Iterator[None]:
    """Build help texts that name neither the folders nor the terminal of whoever builds them."""
    kept = dict(os.environ)
    os.environ.pop("XDG_DATA_HOME", None)
    os.environ.update(COLUMNS="1000", HOME="/root")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def day_of(epoch: int) -> str:
    """Return the day of Unix seconds, as a man page names it."""
    return time.strftime("%Y-%m-%d", time.gmtime(epoch))


def main() -> int:
    """Write the files below the folder that the command line names."""
    date = day_of(int(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    print("\n".join(map(str, write_all(Path(sys.argv[1]), date))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
