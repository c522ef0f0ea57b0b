"""What the lint tests share: the files of a source tree, and a main that also tests the lint itself.

A lint is a script NAME_lint.py with a function check(tree) that yields Finding objects. Run without
arguments it checks the repository; with --self-test it checks small trees made on the spot, one
without any fault and one for each fault it must see, so that a lint that went blind fails too.
"""

import argparse
import pathlib
import sys
import tempfile
from typing import Callable, Iterable, Iterator, NamedTuple

SOURCE_SUFFIXES = {".h", ".cpp"}
REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


class Finding(NamedTuple):
    path: str
    text: str
    line: int = 0
    warning: bool = False

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {'warning: ' if self.warning else ''}{self.text}"


class Tree:
    def __init__(self, root: pathlib.Path):
        self.root = root

    def top_level(self) -> list[str]:
        """Names of the entries of the root, without dotfiles and what builds leave there."""
        names = (entry.name for entry in self.root.iterdir())
        return sorted(name for name in names if not name.startswith(".") and name != "build")

    def files(self, suffixes: set[str]) -> Iterator[str]:
        """Paths from the root, in order."""
        for top in self.top_level():
            entry = self.root / top
            paths = [entry] if entry.is_file() else sorted(entry.rglob("*"))
            for path in paths:
                if path.is_file() and path.suffix in suffixes and "__pycache__" not in path.parts:
                    yield path.relative_to(self.root).as_posix()

    def lines(self, path: str) -> list[str]:
        return (self.root / path).read_text(encoding="utf-8", errors="replace").splitlines()

    def has(self, path: str) -> bool:
        return (self.root / path).is_file()


Check = Callable[[Tree], Iterable[Finding]]
Files = dict[str, str]


def findings_in(check: Check, files: Files) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        return [str(finding) for finding in check(Tree(root))]


def self_test(check: Check, clean: Files, faults: dict[str, Files]) -> int:
    """faults: the beginning of the one expected finding -> what to add to the clean tree for it."""
    failures = []
    if found := findings_in(check, clean):
        failures.append(f"the clean tree has findings: {found}")
    for expected, files in faults.items():
        found = findings_in(check, clean | files)
        if len(found) != 1 or not found[0].startswith(expected):
            failures.append(f"expected only '{expected}', found {found}")
    for failure in failures:
        print(f"self-test: {failure}")
    print(f"self-test: {1 + len(faults)} trees, {len(failures)} failures")
    return 1 if failures else 0


def main(check: Check, clean: Files, faults: dict[str, Files]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--self-test", action="store_true", help="test this lint on made-up trees")
    parser.add_argument("root", nargs="?", type=pathlib.Path, default=REPOSITORY)
    arguments = parser.parse_args()
    if arguments.self_test:
        sys.exit(self_test(check, clean, faults))
    findings = list(check(Tree(arguments.root.resolve())))
    for finding in findings:
        print(finding)
    sys.exit(1 if any(not finding.warning for finding in findings) else 0)
