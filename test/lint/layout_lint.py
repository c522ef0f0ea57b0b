"""Things are where a reader looks for them: a root with nothing unexpected, files named by nouns, headers
that begin by saying what they are."""

import pathlib
import re
from typing import Iterator

import tree

TOP_LEVEL = {
    "CHANGELOG.md", "CMakeLists.txt", "CMakePresets.json", "LICENSE", "README.md", "cache", "common",
    "dev", "docs", "edge", "etc", "main.cpp", "packaging", "proxy", "test",
}  # fmt: skip
EMPTY_WORDS = {"util", "utils", "helper", "helpers", "impl", "manager", "managers", "misc"}


def header_faults(path: str, lines: list[str]) -> Iterator[tree.Finding]:
    if not lines or lines[0] != f"// {path}":
        yield tree.Finding(path, f"the first line is not '// {path}'", 1)
    elif len(lines) < 2 or not re.match(r"// \S", lines[1]):
        yield tree.Finding(path, "the comment at the top does not say what this is for", 2)
    code = [line for line in lines if line.strip() and not line.startswith("//")]
    if not code or code[0] != "#pragma once":
        yield tree.Finding(path, "#pragma once is not the first line after the comment")


def check(tree_: tree.Tree) -> Iterator[tree.Finding]:
    for name in tree_.top_level():
        if name not in TOP_LEVEL:
            yield tree.Finding(name, "does not belong in the root (test/lint/layout_lint.py lists what does)")
    for path in tree_.files(tree.SOURCE_SUFFIXES | {".py"}):
        words = set(re.split(r"[_.\-/]", path.lower()))
        if empty := words & EMPTY_WORDS:
            yield tree.Finding(path, f"'{empty.pop()}' says nothing: name what the file holds")
        if pathlib.PurePosixPath(path).suffix == ".h":
            yield from header_faults(path, tree_.lines(path))


CLEAN = {
    ".clang-format": "",
    "README.md": "",
    "build/release/utils.h": "",
    "common/error.h": "// common/error.h\n// What went wrong.\n//\n// Why.\n#pragma once\n\n#include <string>\n",
    "common/error.cpp": "",
}
FAULTS = {
    "notes.txt: does not belong": {"notes.txt": ""},
    "src: does not belong": {"src/a.cpp": ""},
    "common/string_utils.cpp: 'utils' says nothing": {"common/string_utils.cpp": ""},
    "edge/helper.cpp: 'helper' says nothing": {"edge/helper.cpp": ""},
    "edge/impl/a.cpp: 'impl' says nothing": {"edge/impl/a.cpp": ""},
    "edge/stream_manager.cpp: 'manager' says nothing": {"edge/stream_manager.cpp": ""},
    "edge/a.h:1: the first line": {"edge/a.h": "// a.h\n// What.\n#pragma once\n"},
    "edge/a.h:2: the comment at the top": {"edge/a.h": "// edge/a.h\n\n#pragma once\n"},
    "edge/a.h: #pragma once is not": {"edge/a.h": "// edge/a.h\n// What.\n#include <map>\n#pragma once\n"},
    "edge/b.h: #pragma once is not": {"edge/b.h": "// edge/b.h\n// What.\n"},
}

if __name__ == "__main__":
    tree.main(check, CLEAN, FAULTS)
