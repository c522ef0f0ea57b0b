"""Includes follow the arrows of docs/architecture.md and never go back:

    main.cpp ─► edge ─► proxy ─► common ─► common/io
                 └────► cache ─────┘└────► common/wire

Inside common, rtmp, rtsp, http, redis and access stand on io, wire and the plain files of common. The vocabulary (error,
check, bytes) is for everybody and knows nobody. Tests may include anything; nothing includes them.
"""

import re
from typing import Iterator

import tree

VOCABULARY = {"common/bytes.h", "common/check.h", "common/error.h"}

_COMMON = {"common", "common/io", "common/wire"}
_ALL_COMMON = _COMMON | {"common/rtmp", "common/rtsp", "common/http", "common/redis", "common/access"}
ARROWS = {
    "common/wire": set(),
    "common/io": {"common"},
    "common": _COMMON,
    "common/rtmp": _COMMON,
    "common/rtsp": _COMMON,
    "common/http": _COMMON,
    "common/redis": _COMMON,
    "common/access": _COMMON,
    "proxy": _ALL_COMMON,
    "cache": _ALL_COMMON,
    "edge": _ALL_COMMON | {"proxy", "cache"},
    "main.cpp": _ALL_COMMON | {"proxy", "cache", "edge"},
    "test": _ALL_COMMON | {"proxy", "cache", "edge"},
}
OURS = {"common", "proxy", "cache", "edge", "test"}

INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')
# A wire format takes bytes and gives values: it has no socket, thread, lock or library of Poco's.
NOT_IN_WIRE = re.compile(r"(sys|netinet|arpa|Poco|spdlog/spdlog)\b|(unistd|netdb)\.h|thread|mutex|iostream")


def folder_of(path: str) -> str:
    """The name under which ARROWS knows the file's folder; common/x stays itself, proxy/x is proxy."""
    parts = path.split("/")
    if len(parts) == 1:
        return path
    return "/".join(parts[:2]) if parts[0] == "common" and len(parts) > 2 else parts[0]


def fault(tree_: tree.Tree, path: str, quote: str, target: str) -> str | None:
    source = folder_of(path)
    if quote == "<":
        if target.split("/")[0] in OURS and tree_.has(target):
            return f"<{target}> is a file of ours: write it in quotes"
        if source == "common/wire" and NOT_IN_WIRE.match(target):
            return f"a wire format has no use for <{target}>"
        return None
    if not tree_.has(target):
        return f'"{target}" is no path from the root of the tree'
    if not target.endswith(".h"):
        return f'"{target}" is not a header'
    if path in VOCABULARY:
        return f'the vocabulary includes nothing of ours, not "{target}"'
    if target in VOCABULARY or folder_of(target) == source:
        return None
    if folder_of(target) not in ARROWS[source]:
        return f'"{target}" is against the arrows: {source} may not include {folder_of(target)}'
    return None


def check(tree_: tree.Tree) -> Iterator[tree.Finding]:
    for path in tree_.files(tree.SOURCE_SUFFIXES):
        if folder_of(path) not in ARROWS:
            yield tree.Finding(path, f"give {folder_of(path)} its arrows in test/lint/includes_lint.py")
            continue
        for number, line in enumerate(tree_.lines(path), 1):
            match = INCLUDE.match(line)
            if match and (text := fault(tree_, path, match[1], match[2])):
                yield tree.Finding(path, text, number)


CLEAN = {
    "common/error.h": "#include <string>\n",
    "common/bytes.h": "",
    "common/check.h": "",
    "common/log.h": "",
    "common/io/loop.h": '#include "common/error.h"\n#include "common/log.h"\n#include <sys/epoll.h>\n',
    "common/wire/amf0.h": '#include "common/bytes.h"\n',
    "common/wire/flv.h": '#include "common/wire/amf0.h"\n',
    "common/rtmp/server.h": '#include "common/io/loop.h"\n#include "common/wire/amf0.h"\n',
    "common/http/head.h": '#include "common/wire/flv.h"\n',
    "cache/gop.h": '#include "common/wire/flv.h"\n',
    "proxy/registry.h": '#include "common/http/head.h"\n',
    "edge/stream.h": '#include "cache/gop.h"\n#include "proxy/registry.h"\n#include <cache/fast.h>\n',
    "main.cpp": '#include "edge/stream.h"\n#include "common/log.h"\n',
    "test/edge/stream_test.cpp": '#include "cache/gop.h"\n#include "test/support/clock.h"\n',
    "test/support/clock.h": "",
}
FAULTS = {
    "common/a.cpp:1: \"proxy/registry.h\" is against": {"common/a.cpp": '#include "proxy/registry.h"\n'},
    "proxy/a.cpp:2: \"edge/stream.h\" is against": {"proxy/a.cpp": '\n# include "edge/stream.h"\n'},
    "proxy/a.cpp:1: \"cache/gop.h\" is against": {"proxy/a.cpp": '#include "cache/gop.h"\n'},
    "cache/a.cpp:1: \"proxy/registry.h\" is against": {"cache/a.cpp": '#include "proxy/registry.h"\n'},
    "common/io/a.h:1: \"common/wire/flv.h\" is against": {
        "common/io/a.h": '#include "common/wire/flv.h"\n'
    },
    "common/io/a.h:1: \"common/rtmp/server.h\" is against": {
        "common/io/a.h": '#include "common/rtmp/server.h"\n'
    },
    "common/io/a.h:1: \"common/http/head.h\" is against": {
        "common/io/a.h": '#include "common/http/head.h"\n'
    },
    "common/http/a.h:1: \"common/rtmp/server.h\" is against": {
        "common/http/a.h": '#include "common/rtmp/server.h"\n'
    },
    "common/wire/a.h:1: \"common/log.h\" is against": {"common/wire/a.h": '#include "common/log.h"\n'},
    "common/wire/a.h:1: a wire format has no use": {"common/wire/a.h": "#include <sys/socket.h>\n"},
    "common/error.h:1: the vocabulary includes nothing": {"common/error.h": '#include "common/check.h"\n'},
    "edge/a.cpp:1: \"test/support/clock.h\" is against": {
        "edge/a.cpp": '#include "test/support/clock.h"\n'
    },
    "edge/a.cpp:1: \"stream.h\" is no path": {"edge/a.cpp": '#include "stream.h"\n'},
    "edge/a.cpp:1: <edge/stream.h> is a file of ours": {"edge/a.cpp": "#include <edge/stream.h>\n"},
    "edge/a.cpp:1: \"edge/b.cpp\" is not a header": {
        "edge/a.cpp": '#include "edge/b.cpp"\n',
        "edge/b.cpp": "",
    },
    "common/fog/a.h: give common/fog its arrows": {"common/fog/a.h": ""},
}

if __name__ == "__main__":
    tree.main(check, CLEAN, FAULTS)
