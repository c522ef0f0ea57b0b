"""A file that grows is a file that does two things: past 600 lines it needs a redesign, and well before
that (headers 120, sources 350) it is named without failing."""

from typing import Iterator

import tree

LIMIT = 600
AIMS = {".h": 120, ".cpp": 350, ".py": 350}


def check(tree_: tree.Tree) -> Iterator[tree.Finding]:
    for suffix, aim in AIMS.items():
        for path in tree_.files({suffix}):
            count = len(tree_.lines(path))
            if count > LIMIT:
                yield tree.Finding(path, f"{count} lines, and {LIMIT} is the limit: split it by nouns")
            elif count > aim:
                yield tree.Finding(path, f"{count} lines, and {aim} is the aim", warning=True)


CLEAN = {"edge/a.h": "\n" * 120, "edge/a.cpp": "\n" * 350, "docs/long.md": "\n" * 1000}
FAULTS = {
    "edge/b.h: warning: 121 lines": {"edge/b.h": "\n" * 121},
    "edge/b.cpp: warning: 351 lines": {"edge/b.cpp": "\n" * 351},
    "edge/b.cpp: warning: 600 lines": {"edge/b.cpp": "\n" * 600},
    "edge/b.cpp: 601 lines": {"edge/b.cpp": "\n" * 601},
    "edge/b.h: 601 lines": {"edge/b.h": "\n" * 601},
    "test/e2e/b_test.py: 601 lines": {"test/e2e/b_test.py": "\n" * 601},
}

if __name__ == "__main__":
    tree.main(check, CLEAN, FAULTS)
