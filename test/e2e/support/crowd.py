"""Viewers made of plain sockets, up to thousands, read by one thread.

A viewer counts what it gets: keyframes, timestamps, gaps. One that is `light` stops parsing after its first two
keyframes and then only counts bytes, which makes hundreds of them affordable. Test threads read the numbers
at any time and change viewers only through Crowd.
"""

import errno
import os
import selectors
import socket
import threading
import time
import traceback

from support import amf0, flv, rtmp

RECEIVE = 256 * 1024


class Viewer:
    """What any viewer counts. `frames` are (arrival, timestamp, keyframe) of the video messages."""

    def __init__(self, host, port, light=False, record=None, receive_buffer=None):
        self.address, self.light, self.receive_buffer = (host, port), light, receive_buffer
        self.recorder = record
        self.out = bytearray()
        self.bytes, self.keyframes, self.video_headers, self.audio_headers = 0, 0, 0, 0
        self.frames, self.audio, self.metadata = [], [], []
        self.ran_back = []  # (kind, from, to)
        self.opened = self.closed = self.last_byte = None
        self.error = None
        self.paused = False
        self._last = {}

    def media(self, kind, stamp, body):
        now = time.monotonic()
        if kind == rtmp.DATA:
            values = amf0.decode(body)
            self.metadata.append(next((v for v in values if isinstance(v, dict)), {}))
            return
        if kind == rtmp.VIDEO:
            if flv.is_video_header(body):
                self.video_headers += 1
                return
            if len(body) > 1 and body[0] & 0x0F == 7 and body[1] == 2:
                return  # end of sequence
            self.frames.append((now, stamp, flv.is_keyframe(body)))
            self.keyframes += flv.is_keyframe(body)
        elif kind == rtmp.AUDIO:
            if len(body) > 1 and body[0] >> 4 == 10 and body[1] == 0:
                self.audio_headers += 1
                return
            self.audio.append((now, stamp))
        last = self._last.get(kind)
        if last is not None and ((stamp - last) & 0xFFFFFFFF) >= 0x80000000:
            self.ran_back.append((kind, last, stamp))
        self._last[kind] = stamp

    def parsing(self):
        return not (self.light and self.keyframes >= 2)

    @property
    def status(self):
        raise NotImplementedError

    def refused(self):
        raise NotImplementedError

    def playing(self, frames=10):
        return self.keyframes >= 1 and len(self.frames) >= frames

    def gap(self, since=0.0, until=None):
        """The longest time without a video frame after `since`, up to `until` or now."""
        end = until or (self.closed or time.monotonic())
        times = [since or (self.frames[0][0] if self.frames else end)]
        times += [t for t, _, _ in self.frames if times[0] < t < end] + [end]
        return max(b - a for a, b in zip(times, times[1:]))

    def describe(self):
        return (
            f"{type(self).__name__} {self.address} {self.bytes} bytes, {len(self.frames)} frames, "
            f"{self.keyframes} keyframes, status {self.status}, closed {bool(self.closed)}, error {self.error}, "
            f"ran back {self.ran_back[:3]}"
        )


class FlvViewer(Viewer):
    def __init__(self, host, port, path, headers=(), **options):
        super().__init__(host, port, **options)
        name = f"[{host}]" if ":" in host else host
        lines = [f"GET {path} HTTP/1.1", f"Host: {name}:{port}", "User-Agent: weir-e2e", *headers, "", ""]
        self.out += "\r\n".join(lines).encode()
        self.http_status, self.headers = None, {}
        self._head = bytearray()
        self._chunked, self._chunk_left, self._line = False, 0, bytearray()
        self._reader = flv.FlvReader()

    @property
    def status(self):
        return self.http_status

    def refused(self):
        return self.http_status is not None and self.http_status != 200

    def feed(self, data):
        if self.http_status is None:
            self._head += data
            head, found, data = bytes(self._head).partition(b"\r\n\r\n")
            if not found:
                return
            lines = head.decode("latin-1").split("\r\n")
            self.http_status = int(lines[0].split()[1])
            self.headers = {
                k.strip().lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])
            }
            self._chunked = self.headers.get("transfer-encoding", "").lower() == "chunked"
        if self.http_status != 200 or not self.parsing():
            return
        body = self._dechunked(data) if self._chunked else data
        if self.recorder:
            self.recorder.write(body)
        for kind, stamp, tag in self._reader.feed(body):
            self.media(kind, stamp, tag)

    def _dechunked(self, data):
        out, at = bytearray(), 0
        while at < len(data):
            if self._chunk_left > 2:
                take = min(self._chunk_left - 2, len(data) - at)
                out += data[at : at + take]
            elif self._chunk_left > 0:
                take = min(self._chunk_left, len(data) - at)
            else:
                end = data.find(b"\n", at)
                take = (end + 1 if end >= 0 else len(data)) - at
                self._line += data[at : at + take]
                at += take
                if end >= 0:
                    self._chunk_left = int(self._line.split(b";")[0], 16) + 2
                    self._line.clear()
                continue
            self._chunk_left -= take
            at += take
        return bytes(out)


class RtmpViewer(Viewer):
    def __init__(self, host, port, app, stream, connect=None, **options):
        super().__init__(host, port, **options)
        name = f"[{host}]" if ":" in host else host
        self.client = rtmp.RtmpClient(f"{name}:{port}", app, stream, connect=connect)
        self.out = self.client.out

    @property
    def status(self):
        return self.client.codes[-1] if self.client.codes else None

    def refused(self):
        return any(
            "StreamNotFound" in code or "Failed" in code or "Rejected" in code for code in self.client.codes
        )

    def feed(self, data):
        if not self.parsing():
            self.client.received += len(data)
            self.client.acknowledge()
            return
        for message in self.client.feed(data):
            self.media(message.type, message.timestamp, message.payload)


class Crowd:
    """REQUIRES: a viewer is added once."""

    def __init__(self, scene):
        self._selector = selectors.DefaultSelector()
        self._wake_out, self._wake_in = os.pipe()
        os.set_blocking(self._wake_out, False)
        self._selector.register(self._wake_out, selectors.EVENT_READ)
        self._lock, self._todo, self._stopped = threading.Lock(), [], False
        self._sockets = {}
        self.viewers = []
        self._thread = threading.Thread(target=self._run, name="crowd", daemon=True)
        self._thread.start()
        scene.at_end(self.close)

    def add(self, *viewers):
        self.viewers += viewers
        for viewer in viewers:
            self._do(lambda viewer=viewer: self._open(viewer))
        return viewers[0] if len(viewers) == 1 else viewers

    def pause(self, viewer):
        """From here on the viewer reads nothing."""
        viewer.paused = True
        self._do(lambda: self._watch(viewer))

    def resume(self, viewer):
        viewer.paused = False
        self._do(lambda: self._watch(viewer))

    def drop(self, *viewers):
        for viewer in viewers:
            self._do(lambda viewer=viewer: self._close(viewer, None))

    def half_close(self, viewer):
        self._do(lambda: viewer in self._sockets and self._sockets[viewer].shutdown(socket.SHUT_WR))

    def close(self):
        if not self._stopped:
            self._do(lambda: setattr(self, "_stopped", True))
            self._thread.join(10)

    def _do(self, work):
        with self._lock:
            self._todo.append(work)
        os.write(self._wake_in, b"x")

    def _run(self):
        while not self._stopped:
            for key, events in self._selector.select():
                if key.data is None:
                    os.read(self._wake_out, 65536)
                    with self._lock:
                        todo, self._todo = self._todo, []
                    for work in todo:
                        work()
                    continue
                try:
                    self._serve(key.data, events)
                except Exception as error:  # a viewer that fails is a finding, not our end
                    if not isinstance(error, OSError):
                        traceback.print_exc()
                    self._close(key.data, error)
        for viewer in list(self._sockets):
            self._close(viewer, None)
        self._selector.close()
        os.close(self._wake_in)
        os.close(self._wake_out)

    def _open(self, viewer):
        sock = socket.socket(socket.AF_INET6 if ":" in viewer.address[0] else socket.AF_INET)
        sock.setblocking(False)
        if viewer.receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, viewer.receive_buffer)
        viewer.opened = time.monotonic()
        self._sockets[viewer] = sock
        self._selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, viewer)
        status = sock.connect_ex(viewer.address)
        if status not in (0, errno.EINPROGRESS):
            self._close(viewer, OSError(status, os.strerror(status)))

    def _watch(self, viewer):
        sock = self._sockets.get(viewer)
        if sock is None:
            return
        events = (0 if viewer.paused else selectors.EVENT_READ) | (selectors.EVENT_WRITE if viewer.out else 0)
        registered = sock.fileno() in self._selector.get_map()
        if events and registered:
            self._selector.modify(sock, events, viewer)
        elif events:
            self._selector.register(sock, events, viewer)
        elif registered:
            self._selector.unregister(sock)

    def _serve(self, viewer, events):
        sock = self._sockets.get(viewer)
        if sock is None:
            return
        if events & selectors.EVENT_READ:
            try:
                data = sock.recv(RECEIVE)
            except BlockingIOError:
                data = None
            if data == b"":
                self._close(viewer, None)
                return
            if data:
                viewer.bytes += len(data)
                viewer.last_byte = time.monotonic()
                viewer.feed(data)
        if viewer.out and events & (selectors.EVENT_WRITE | selectors.EVENT_READ):
            try:
                del viewer.out[: sock.send(viewer.out)]
            except BlockingIOError:
                pass
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if viewer.out else 0)
        if not viewer.paused and self._selector.get_key(sock).events != wanted:
            self._selector.modify(sock, wanted, viewer)
        elif viewer.paused:
            self._watch(viewer)

    def _close(self, viewer, error):
        sock = self._sockets.pop(viewer, None)
        if sock is None:
            return
        if sock.fileno() in self._selector.get_map():
            self._selector.unregister(sock)
        sock.close()
        viewer.error = viewer.error or error
        viewer.closed = time.monotonic()
