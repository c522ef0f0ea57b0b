"""Somebody who connects thousands of times a second: each connection asks one thing, must be answered in full, and
is let go. A process of its own, so that it costs its test nothing."""

import argparse
import itertools
import json
import os
import socket
import struct
import sys
import time

BATCH = 25
_LINGER_NONE = struct.pack("ii", 1, 0)
_C0C1 = b"\x03" + bytes(8) + bytes(range(256)) * 5 + bytes(248)
_S0S1S2 = 1 + 2 * 1536


class Knocker:
    """`http` and `rtmp` are ports; every eighth connection is an RTMP handshake. result() when it has ended."""

    def __init__(self, scene, http, rtmp, path, rate, total):
        words = ["--http", http, "--rtmp", rtmp, "--path", path, "--rate", rate, "--total", total]
        self._process = scene.start("knocker", [sys.executable, "-B", os.path.abspath(__file__), *words])

    def running(self):
        return self._process.running()

    def result(self, seconds):
        """{"answered", "failed": {why: count}, "seconds"}"""
        self._process.wait(seconds)
        return json.loads(self._process.text())


def _knock(address, question, source):
    knocking = socket.socket()
    # No TIME_WAIT of ours: ports must last for all of them.
    knocking.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
    knocking.settimeout(10)
    knocking.bind((source, 0))
    knocking.connect(address)
    knocking.send(question)
    return knocking


def _answer(knocking, enough):
    answer = b""
    while not enough(answer):
        data = knocking.recv(8192)
        if not data:
            raise EOFError(f"closed after {len(answer)} bytes")
        answer += data
    knocking.close()


def _http_enough(answer):
    if answer and not answer.startswith(b"HTTP/1.1 200"):
        raise ValueError(answer.split(b"\r\n")[0].decode())
    return answer.endswith(b"knock")


def main():
    parser = argparse.ArgumentParser()
    for name in ("http", "rtmp", "rate", "total"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--path")
    arguments = parser.parse_args()
    question = f"GET {arguments.path} HTTP/1.1\r\nHost: knock\r\n\r\n".encode()
    kinds = [(("127.0.0.1", arguments.http), question, _http_enough)] * 7
    kinds.append((("127.0.0.1", arguments.rtmp), _C0C1, lambda answer: len(answer) >= _S0S1S2))
    kinds = itertools.cycle(kinds)
    sources = itertools.cycle([f"127.0.1.{i}" for i in range(1, 21)])
    failed, answered, asked = {}, 0, 0

    def note(error):
        why = f"{type(error).__name__}: {error}"
        failed[why] = failed.get(why, 0) + 1

    began = time.monotonic()
    while asked < arguments.total:
        late = time.monotonic() - began - asked / arguments.rate
        if late < 0:
            time.sleep(-late)
        open_now = []
        for _ in range(min(BATCH, arguments.total - asked)):
            asked += 1
            address, text, enough = next(kinds)
            try:
                open_now.append((_knock(address, text, next(sources)), enough))
            except OSError as error:
                note(error)
        for knocking, enough in open_now:
            try:
                _answer(knocking, enough)
                answered += 1
            except (OSError, EOFError, ValueError) as error:
                note(error)
    print(json.dumps({"answered": answered, "failed": failed, "seconds": time.monotonic() - began}))


if __name__ == "__main__":
    main()
