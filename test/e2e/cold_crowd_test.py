"""Ten thousand viewers open a stream that nobody has watched: one playlist and one segment leave the origin."""

import os
import resource
import select
import socket
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from support import scene
from support.node import Weir
from support.scene import SANITIZED, SLOWNESS
from support.scripted_origin import ScriptedOrigin

WANTED = 2_000 if SANITIZED else 10_000
OWN = 500  # descriptors for everything else
PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:20\n#EXTINF:20,\nlive-7.m4s\n"
SEGMENT = bytes(range(250)) * 80
SECONDS = 30 * SLOWNESS
ADDRESSES = 16


def connections():
    """As many as this process may have; the edge needs as many for its side."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return min(WANTED, most - OWN)


class Crowd:
    """Kept-alive connections that ask all at once. `asked` and `answered` are seconds for all of them."""

    def __init__(self, scene, port, count):
        self._poll, self._sockets = select.epoll(), {}
        scene.at_end(self._close)
        for number in range(count):
            sock = socket.socket()
            sock.bind((f"127.0.0.{2 + number % ADDRESSES}", 0))
            sock.connect(("127.0.0.1", port))
            sock.setblocking(False)
            self._sockets[sock.fileno()] = sock
            self._poll.register(sock, select.EPOLLIN)

    def ask(self, path, body):
        """How many got the whole of it."""
        request = f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        began, right = time.monotonic(), 0
        for sock in self._sockets.values():
            sock.send(request)
        self.asked = time.monotonic() - began
        waiting, heard = set(self._sockets), {number: b"" for number in self._sockets}
        while waiting and time.monotonic() - began < SECONDS:
            for number, _ in self._poll.poll(1):
                data = self._sockets[number].recv(1 << 17)
                heard[number] += data
                head, found, rest = heard[number].partition(b"\r\n\r\n")
                if not data or (found and len(rest) >= len(body)):
                    right += head.startswith(b"HTTP/1.1 200 ") and rest == body
                    waiting.discard(number)
        self.answered = time.monotonic() - began
        return right

    def _close(self):
        for sock in self._sockets.values():
            sock.close()
        self._poll.close()


class ColdCrowd(scene.SceneTest):
    def test_a_crowd_on_a_cold_playlist_and_segment_is_one_fetch_each(self):
        def answer(asked):
            asked.give(PLAYLIST if "m3u8" in asked.path else SEGMENT)

        origin = ScriptedOrigin(self.scene, answer)
        count = connections()
        options = {"limits.connections": 20_000, "log.level": "warn", "health.check": "off"}
        edge = Weir(self.scene, "edge", upstreams={"origin": origin.as_upstream()}, options=options)
        crowd = Crowd(self.scene, edge.http, count)
        for path, body in (("/live/a.m3u8", PLAYLIST), ("/live/live-7.m4s", SEGMENT)):
            self.assertEqual(count, crowd.ask(path, body), path)
            print(
                f"# {count} of {path}: asked in {crowd.asked:.2f} s, answered in {crowd.answered:.2f} s",
                file=sys.stderr,
            )
            self.assertEqual(1, origin.count(path))
        self.assertEqual(2, edge.metric("weir_cache_fetches_total"))
        self.assertEqual(0, edge.metric("weir_cache_fills"))


if __name__ == "__main__":
    scene.main()
