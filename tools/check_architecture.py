#!/usr/bin/env python3
"""Checks every #include of include/, src/ and apps/ against the map in docs/architecture.md.

Usage: check_architecture.py [ROOT]. Prints `file:line: what is wrong` for each broken rule and
exits 1, or a count and exits 0. Needs the standard library only.
"""

import re
import sys
from pathlib import Path

MAP = "docs/architecture.md"
ROOTS = ("include", "src", "apps")
SUFFIXES = {".h", ".hpp", ".cpp", ".cc", ".inc", ".cu", ".cuh"}
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
PUBLIC = "include/carnot"


class MapError(Exception):
    """The page cannot be read as a map."""


class Map:
    """Folders, what each may use (transitively), and the contract headers."""

    def __init__(self, text):
        self.uses = {}
        table = [line for line in text.splitlines() if line.startswith("|")]
        for line in table[2:]:
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if len(cells) != 3:
                raise MapError(f"{MAP}: a row needs three cells: {line}")
            folder = cells[0].strip("`").rstrip("/")
            if folder.split("/")[0] in ROOTS:
                names = re.split(r"[,\s]+", cells[2])
                self.uses[folder] = [self._folder(name) for name in names if name not in ("–", "-", "")]
        if not self.uses:
            raise MapError(f"{MAP}: has no table of folders")
        for folder, targets in self.uses.items():
            for target in targets:
                if target not in self.uses:
                    raise MapError(f"{MAP}: {folder} may use {target}, which has no row")
        section = text.partition("## Contract headers")[2].partition("\n## ")[0]
        quoted = re.findall(r"`([^`\s]+)`", section)
        self.contracts = {name for name in quoted if name.endswith(".h")}
        folders = [name.rstrip("/") for name in quoted if name.endswith("/")]
        self.guarded, self.blind = (folders[0], set(folders[1:])) if folders else (None, set())

    @staticmethod
    def _folder(name):
        return PUBLIC if name == "include" else f"src/{name}"

    def owner(self, path):
        """The folder whose row covers `path`, the longest if several do; None if none does."""
        covering = [f for f in self.uses if path == f or path.startswith(f + "/")]
        return max(covering, key=len, default=None)

    def reachable(self, folder):
        """Every folder that `folder` may include, itself and the public API among them."""
        seen, pending = {folder, PUBLIC}, [folder]
        while pending:
            for target in self.uses[pending.pop()]:
                if target not in seen:
                    seen.add(target)
                    pending.append(target)
        return seen


def resolve(root, owner, quote, name):
    """The path below `root` that an #include means, or None if it is not the project's."""
    if name.startswith("carnot/"):
        return f"include/{name}"
    if quote == "<":
        return None
    if owner.startswith("apps") and (root / "apps" / name).exists():
        return f"apps/{name}"
    return f"src/{name}"


def check_file(root, layout, path):
    relative = path.relative_to(root).as_posix()
    owner = layout.owner(relative)
    if owner is None:
        yield f"{relative}:1: no row of {MAP} covers this file; give its folder one"
        return
    allowed = layout.reachable(owner)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        quote, name = match.groups()
        target = resolve(root, owner, quote, name)
        if target is None:
            continue
        where = f"{relative}:{number}"
        used = layout.owner(target)
        if used is None:
            yield (f'{where}: "{name}" is in no folder of the map; write it from src/ '
                   "(third-party headers in angle brackets)")
        elif used not in allowed:
            may = ", ".join(sorted(f for f in allowed if f != owner))
            yield f'{where}: {owner} may not use {used} ("{name}"); it may use {may}'
        elif owner in layout.blind and used == layout.guarded and name not in layout.contracts:
            yield (f'{where}: {owner} names no operator, but includes "{name}"; of {used} it may '
                   f"include {', '.join(sorted(layout.contracts))}")


def main(arguments):
    root = Path(arguments[0] if arguments else Path(__file__).resolve().parent.parent).resolve()
    try:
        layout = Map((root / MAP).read_text(encoding="utf-8"))
    except (MapError, OSError) as error:
        print(error)
        return 1
    files = [path for folder in ROOTS for path in sorted((root / folder).rglob("*"))
             if path.suffix in SUFFIXES and path.is_file()]
    broken = [message for path in files for message in check_file(root, layout, path)]
    for message in broken:
        print(message)
    print(f"architecture: {len(files)} files, {len(broken)} broken rules")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
