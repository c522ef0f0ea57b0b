"""One RTMP conversation that a test leads step by step, with a blocking socket."""

import socket
import time

from support import flv, rtmp


class Session:
    """Connects at once; a `publish` session can send media when permitted() is true."""

    def __init__(self, scene, host, port, app, stream, publish=False, connect=None):
        name = f"[{host}]" if ":" in host else host
        self.client = rtmp.RtmpClient(f"{name}:{port}", app, stream, publish=publish, connect=connect)
        self.socket = socket.create_connection((host, port), 5)
        self.ended = False
        self.media = []
        scene.at_end(self.socket.close)

    def pump(self, seconds):
        """Exchanges what there is to exchange for so long at most; true when something came."""
        try:
            if self.client.out:
                self.socket.settimeout(5)
                self.socket.sendall(self.client.out)
                self.client.out.clear()
            self.socket.settimeout(max(seconds, 0.001))
            data = self.socket.recv(65536)
        except TimeoutError:
            return False
        except OSError:
            data = b""
        if not data:
            self.ended = True
            return False
        self.media += self.client.feed(data)
        return True

    def until(self, condition, what, seconds=10.0):
        deadline = time.monotonic() + seconds
        while not condition():
            left = deadline - time.monotonic()
            if left <= 0 or (self.ended and not condition()):
                raise AssertionError(
                    f"not within {seconds:g} s: {what}; codes {self.client.codes}, ended {self.ended}"
                )
            self.pump(min(left, 0.2))
        return self

    def code(self, text, seconds=10.0):
        return self.until(lambda: any(text in code for code in self.client.codes), text, seconds)

    def permitted(self):
        return "NetStream.Publish.Start" in self.client.codes

    def send_clip(self, tags, seconds):
        """Publishes so much of a clip in real time."""
        began = time.monotonic()
        for kind, stamp, body in tags:
            if stamp > seconds * 1000 or self.ended:
                break
            while (left := began + stamp / 1000 - time.monotonic()) > 0:
                self.pump(min(left, 0.02))
            if kind == rtmp.DATA:
                body = b"\x02\x00\x0d@setDataFrame" + body
            self.client.media(kind, stamp, body)
        self.pump(0.01)
        return self


def clip_tags(path):
    return flv.tags(path)
