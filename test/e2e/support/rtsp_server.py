#!/usr/bin/python3
"""An RTSP server on gst-rtsp-server: publish (ANNOUNCE, RECORD) and play one path, over TCP or UDP, nothing
transcoded.

  rtsp_server.py --port N [--user NAME --password WORD]

/live/testsrc is always there, made when first asked for. With a user everything needs that one's digest.
Prints one line for each connection, publication and its end.
"""

import argparse
import ctypes
import signal

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

TESTSRC = (
    "( videotestsrc is-live=true ! video/x-raw,width=320,height=180,framerate=25/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! rtph264pay name=pay0 config-interval=1 )"
)
RECORD = "( rtph264depay name=depay0 ! h264parse config-interval=-1 ! {caps} ! appsink name=media sync=false emit-signals=true )"
PLAY = "( appsrc name=media is-live=true format=time do-timestamp=true ! h264parse ! rtph264pay name=pay0 config-interval=1 )"
CAPS = "video/x-h264,stream-format=byte-stream,alignment=au"
ROLE = "guest"
PERMISSIONS = f"{ROLE}, media.factory.access=(boolean)true, media.factory.construct=(boolean)true"

rtsp_server = ctypes.CDLL("libgstrtspserver-1.0.so.0")


class Context(ctypes.Structure):
    """What GstRTSPContext begins with; Python's bindings do not give the current one."""

    _fields_ = [(name, ctypes.c_void_p) for name in ("server", "connection", "client", "request", "uri")]
    _fields_.append(("method", ctypes.c_int))


rtsp_server.gst_rtsp_context_get_current.restype = ctypes.POINTER(Context)


def is_announced():
    context = rtsp_server.gst_rtsp_context_get_current()
    return bool(context) and context.contents.method == int(GstRtsp.RTSPMethod.ANNOUNCE)


class Publication:
    """Access units go from the pipeline that records into the one that plays."""

    def __init__(self):
        self.caps = self.out = None

    def recording(self, _factory, media, gone):
        media.get_element().get_by_name("media").connect("new-sample", self.take)
        media.connect("unprepared", lambda _: gone())

    def playing(self, _factory, media):
        self.out = media.get_element().get_by_name("media")
        media.connect("unprepared", lambda _: setattr(self, "out", None))

    def take(self, sink):
        sample = sink.emit("pull-sample")
        if self.out is not None:
            unit = sample.get_buffer().copy()
            unit.pts = unit.dts = Gst.CLOCK_TIME_NONE
            self.out.set_property("caps", sample.get_caps())
            self.out.emit("push-buffer", unit)
        return Gst.FlowReturn.OK


class Mounts(GstRtspServer.RTSPMountPoints):
    """A path that is being announced gets its place before it is looked for."""

    server = None

    def do_make_path(self, url):
        if is_announced():
            self.server.expect(url.abspath)
        return url.abspath


class Server:
    def __init__(self, arguments):
        self.server, self.mounts, self.publications = GstRtspServer.RTSPServer(), Mounts(), {}
        self.mounts.server = self
        self.guarded = arguments.user is not None
        if self.guarded:
            self.guard(arguments.user, arguments.password)
        self.server.set_mount_points(self.mounts)
        self.server.set_address("127.0.0.1")
        self.server.set_service(str(arguments.port))
        # A thread for each client: a player waits for what a publisher's thread brings.
        self.server.get_thread_pool().set_max_threads(-1)
        self.server.connect("client-connected", self.connected)
        self.add("/live/testsrc", TESTSRC, shared=True)
        self.server.attach(None)

    def guard(self, user, password):
        auth = GstRtspServer.RTSPAuth()
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
        token = GstRtspServer.RTSPToken()
        token.set_string("media.factory.role", ROLE)
        auth.add_digest(user, password, token)
        self.server.set_auth(auth)

    def add(self, path, pipeline, mode=GstRtspServer.RTSPTransportMode.PLAY, shared=False, configure=None):
        factory = GstRtspServer.RTSPMediaFactory()
        factory.set_launch(pipeline)
        factory.set_transport_mode(mode)
        factory.set_shared(shared)
        if self.guarded:
            factory.add_role_from_structure(Gst.Structure.new_from_string(PERMISSIONS))
        if configure:
            factory.connect("media-configure", *configure)
        self.mounts.add_factory(path, factory)

    def connected(self, _server, client):
        print("client", flush=True)
        client.connect("announce-request", self.announced)

    def expect(self, path):
        if path in self.publications:
            return  # what stands there only plays, so another publisher is refused
        publication = self.publications[path] = Publication()
        configure = (publication.recording, lambda: self.unpublish(path, publication))
        mode = GstRtspServer.RTSPTransportMode.RECORD
        self.add(path, RECORD.format(caps=CAPS), mode, configure=configure)

    def announced(self, _client, context):
        path = context.uri.abspath
        self.add(path, PLAY, shared=True, configure=(self.publications[path].playing,))
        print("publish", path, flush=True)

    def unpublish(self, path, publication):
        if self.publications.get(path) is publication:
            del self.publications[path]
            self.mounts.remove_factory(path)
            print("unpublish", path, flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--user")
    parser.add_argument("--password", default="")
    Gst.init(None)
    server = Server(parser.parse_args())
    loop = GLib.MainLoop()
    for number in (signal.SIGINT, signal.SIGTERM):
        GLib.unix_signal_add(GLib.PRIORITY_HIGH, number, loop.quit)
    GLib.timeout_add_seconds(2, lambda: server.server.get_session_pool().cleanup() >= 0)
    loop.run()


main()
