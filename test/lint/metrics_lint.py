"""docs/metrics.md names every metric that the sources name, and no other."""

import re
from typing import Iterator

import tree

DOCUMENT = "docs/metrics.md"
FOLDERS = ("common/", "cache/", "proxy/", "edge/", "main.cpp")
# A metric's name is a literal of its own; those of one letter are arguments of URLs.
NAME = re.compile(r'"((?:weir|srs|process)_[a-z0-9_]{2,})"')
ROW = re.compile(r"^\| `([a-z0-9_]+)` \|")
# Fields of SRS's summaries, which only look alike.
OTHERS = {"srs_uptime", "srs_sample_time", "srs_recv_bytes", "srs_send_bytes"}


def check(tree_: tree.Tree) -> Iterator[tree.Finding]:
    documented: dict[str, int] = {}
    for number, line in enumerate(tree_.lines(DOCUMENT), 1):
        if row := ROW.match(line):
            if row[1] in documented:
                yield tree.Finding(DOCUMENT, f"{row[1]} is there twice", number)
            documented[row[1]] = number
    named = set()
    for path in tree_.files(tree.SOURCE_SUFFIXES):
        if not path.startswith(FOLDERS):
            continue
        for number, line in enumerate(tree_.lines(path), 1):
            for name in NAME.findall(line):
                if name not in documented and name not in named | OTHERS:
                    yield tree.Finding(path, f"{name} is not in {DOCUMENT}", number)
                named.add(name)
    for name, number in documented.items():
        if name not in named:
            yield tree.Finding(DOCUMENT, f"no source names {name}", number)


ROWS = "| metric | type |\n|---|---|\n| `weir_a_total` | counter |\n"
USES = 'tally("weir_a_total", "Help."); f("weir_o"); tally("srs_uptime");\n'
CLEAN = {"docs/metrics.md": ROWS, "edge/a.cpp": USES, "test/a_test.cpp": '"weir_other"'}
FAULTS = {
    "edge/a.cpp:1: weir_bytes is not in docs/metrics.md": {"edge/a.cpp": '"weir_a_total" "weir_bytes"'},
    "docs/metrics.md:3: no source names weir_a_total": {"edge/a.cpp": ""},
    "docs/metrics.md:4: weir_a_total is there twice": {"docs/metrics.md": ROWS + "| `weir_a_total` | gauge |\n"},
}

if __name__ == "__main__":
    tree.main(check, CLEAN, FAULTS)
