"""SRT by Debian's libsrt: callers inside of a test, and an origin that is a process of its own.

The origin has one port and tells streams apart by the streamid's `r=`. What a publisher sends goes to all players
of its stream. It rejects a second publisher with 1409, a player of what nobody publishes with 1404, and a
streamid without a name with 1400.
"""

import argparse
import ctypes
import os
import socket
import struct
import sys
import threading
import time

SNDSYN, RCVSYN, LINGER, SNDTIMEO, RCVTIMEO = 1, 2, 7, 13, 14
LATENCY, PASSPHRASE, TLPKTDROP, CONNTIMEO, STREAMID = 23, 26, 31, 36, 46
REJECTED_AS_BAD, REJECTED_AS_UNKNOWN, REJECTED_AS_BUSY = 1400, 1404, 1409
CONNECTED = 5
HELD_BACK = 4096  # by srt-live-transmit, at most, in its buffer for standard output
_FATAL = 1  # of srt_setloglevel

_LISTENER = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p
)
_lib = None


def library():
    global _lib
    if _lib is None:
        for name in ("libsrt-gnutls.so.1.5", "libsrt.so.1.5"):
            try:
                _lib = ctypes.CDLL(name)
                break
            except OSError:
                continue
        _lib.srt_rejectreason_str.restype = ctypes.c_char_p
        _lib.srt_getlasterror_str.restype = ctypes.c_char_p
        _lib.srt_startup()
        _lib.srt_setloglevel(_FATAL)
    return _lib


def address(host, port):
    if ":" in host:
        packed = struct.pack("=HHI16sI", socket.AF_INET6, socket.htons(port), 0, _packed(host), 0)
    else:
        packed = struct.pack("=HH4s8x", socket.AF_INET, socket.htons(port), _packed(host))
    return packed, len(packed)


def _packed(host):
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)


def option(sock, name, value):
    if isinstance(value, bool):
        raw = ctypes.c_bool(value)
    elif isinstance(value, int):
        raw = ctypes.c_int(value)
    else:
        raw = ctypes.create_string_buffer(value.encode(), len(value.encode()))
    if library().srt_setsockflag(sock, name, ctypes.byref(raw), ctypes.sizeof(raw)) != 0:
        raise OSError(library().srt_getlasterror_str().decode())


class Refused(Exception):
    def __init__(self, code):
        self.code, self.text = code, library().srt_rejectreason_str(code).decode()
        super().__init__(f"{code}: {self.text}")


class Caller:
    """Connects when it is made; Refused carries the code and libsrt's words for it. Nothing that is sent is
    dropped for being late."""

    def __init__(self, host, port, streamid, passphrase=None, latency=400, timeout=3000, reads=15000):
        lib = library()
        self.socket = lib.srt_create_socket()
        option(self.socket, STREAMID, streamid)
        option(self.socket, LATENCY, latency)
        option(self.socket, TLPKTDROP, False)
        option(self.socket, CONNTIMEO, timeout)
        option(self.socket, RCVTIMEO, reads)
        if passphrase:
            option(self.socket, PASSPHRASE, passphrase)
        if lib.srt_connect(self.socket, *address(host, port)) != 0:
            code = lib.srt_getrejectreason(self.socket)
            lib.srt_close(self.socket)
            raise Refused(code)

    def send(self, data):
        if library().srt_sendmsg(self.socket, data, len(data), -1, 1) < 0:
            raise OSError(library().srt_getlasterror_str().decode())

    def receive(self):
        """One packet; empty when the connection has ended or nothing came in time."""
        data = ctypes.create_string_buffer(1500)
        size = library().srt_recvmsg(self.socket, data, len(data))
        return data.raw[: max(size, 0)]

    def connected(self):
        return library().srt_getsockstate(self.socket) == CONNECTED

    def close(self):
        library().srt_close(self.socket)


def call(scene, port, streamid, host="127.0.0.1", **options):
    """A Caller that ends with the scene."""
    caller = Caller(host, port, streamid, **options)
    scene.at_end(caller.close)
    return caller


def tools_pass(scene, origin, url, packets, pause, starts=10, arrives=10):
    """One tool of libsrt publishes live/cam, another one plays it; `url` ends where the streamid goes. (What was sent,
    the path of what came): all of it is there, but for what the tool holds back. `pause` is between packets, `starts`
    and `arrives` are limits, all in seconds."""
    from support.scene import SLOWNESS, free_port, wait_until

    source, path = free_port(), scene.path("received.ts")
    tool = ["srt-live-transmit", "-a:no"]
    publish = url + "#!::r=live/cam,m=publish"
    scene.start("transmit", [*tool, f"udp://127.0.0.1:{source}?mode=listener", publish])
    wait_until(lambda: "publish live/cam" in origin.log(), "it publishes", starts * SLOWNESS)
    with open(path, "wb") as file:
        scene.start("receive", [*tool, url + "read:live/cam", "file://con"], stdout=file)
    wait_until(lambda: "play live/cam" in origin.log(), "it plays", starts * SLOWNESS)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for packet in packets:
            sender.sendto(packet, ("127.0.0.1", source))
            time.sleep(pause)
    expected = b"".join(packets)
    wait_until(
        lambda: os.path.getsize(path) >= len(expected) - HELD_BACK,
        lambda: f"{os.path.getsize(path)} bytes of {len(expected)} have arrived",
        arrives * SLOWNESS,
    )
    return expected, path


class Origin:
    """The process; kill it with .process."""

    def __init__(self, scene, name="srt-origin", host="127.0.0.1", passphrase=None):
        from support.scene import free_port, wait_until  # not there for the process, which is this file

        self.port, self.host = free_port(), host
        words = [sys.executable, os.path.abspath(__file__), "--host", host, "--port", str(self.port)]
        if passphrase:
            words += ["--passphrase", passphrase]
        self.process = scene.start(name, words)
        wait_until(lambda: "listening" in self.log(), "the SRT origin listens")

    def log(self):
        return self.process.text()


class _Server:
    def __init__(self, arguments):
        self.lock = threading.Lock()
        self.streams = {}  # name: (publisher or None, set of players)
        self.lib = library()
        self.listener = self.lib.srt_create_socket()
        if arguments.passphrase:
            option(self.listener, PASSPHRASE, arguments.passphrase)
        option(self.listener, TLPKTDROP, False)
        self.callback = _LISTENER(self.asked)
        self.lib.srt_listen_callback(self.listener, self.callback, None)
        self.check(self.lib.srt_bind(self.listener, *address(arguments.host, arguments.port)))
        self.check(self.lib.srt_listen(self.listener, 256))
        print("listening", flush=True)

    def check(self, status):
        if status != 0:
            sys.exit(self.lib.srt_getlasterror_str().decode())

    @staticmethod
    def understood(streamid):
        text = (streamid or b"").decode(errors="replace")
        if not text.startswith("#!::"):
            action, _, path = text.rpartition(":")
            return path, action == "publish"
        keys = dict(item.partition("=")[::2] for item in text[4:].split(","))
        return keys.get("r", ""), keys.get("m") == "publish"

    def asked(self, _, sock, _version, _peer, streamid):
        name, publishes = self.understood(streamid)
        with self.lock:
            live = self.streams.get(name, (None,))[0] is not None
        code = 0
        if not name:
            code = REJECTED_AS_BAD
        elif publishes and live:
            code = REJECTED_AS_BUSY
        elif not publishes and not live:
            code = REJECTED_AS_UNKNOWN
        if code:
            self.lib.srt_setrejectreason(sock, code)
            print("reject", code, name, flush=True)
            return -1
        return 0

    def run(self):
        while True:
            sock = self.lib.srt_accept(self.listener, None, None)
            if sock < 0:
                return
            streamid = ctypes.create_string_buffer(513)
            size = ctypes.c_int(512)
            self.lib.srt_getsockflag(sock, STREAMID, streamid, ctypes.byref(size))
            name, publishes = self.understood(streamid.value)
            with self.lock:
                publisher, players = self.streams.setdefault(name, (None, set()))
                if publishes:
                    self.streams[name] = (sock, players)
                else:
                    players.add(sock)
            print("publish" if publishes else "play", name, flush=True)
            work = self.publisher if publishes else self.player
            threading.Thread(target=work, args=(sock, name), daemon=True).start()

    def publisher(self, sock, name):
        data = ctypes.create_string_buffer(1500)
        while (size := self.lib.srt_recvmsg(sock, data, 1500)) > 0:
            with self.lock:
                players = list(self.streams[name][1])
            for player in players:
                self.lib.srt_sendmsg(player, data, size, -1, 1)
        with self.lock:
            _, players = self.streams.pop(name)
        for player in players:
            self.lib.srt_close(player)
        self.lib.srt_close(sock)
        print("publish ended", name, flush=True)

    def player(self, sock, name):
        data = ctypes.create_string_buffer(1500)
        while self.lib.srt_recvmsg(sock, data, 1500) > 0:
            pass
        with self.lock:
            if name in self.streams:
                self.streams[name][1].discard(sock)
        self.lib.srt_close(sock)
        print("play ended", name, flush=True)


def _main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--passphrase")
    _Server(parser.parse_args()).run()


if __name__ == "__main__":
    _main()
