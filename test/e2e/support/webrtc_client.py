"""A WHIP publisher or WHEP viewer on aiortc; run by Debian's python3, which has that.

    /usr/bin/python3 webrtc_client.py publish|play URL [--audio-only]

Prints what it sees, a line of JSON at a time; see Client. Ends at SIGTERM, with DELETE and a DTLS close.
"""

import argparse
import asyncio
import fractions
import json
import os
import signal
import time
from urllib.parse import urljoin

REPORT_SECONDS = 0.1


class Client:
    """The process, and what it said last: "state", "frames" by kind of media (of a publisher: those it made),
    "lost" packets, "at" by the monotonic clock, and "gap", the longest time without a frame since the line before."""

    def __init__(self, scene, name, mode, url, audio_only=False):
        words = ["/usr/bin/python3", os.path.abspath(__file__), mode, url]
        self.process = scene.start(name, words + ["--audio-only"] * audio_only)

    def lines(self):
        return [json.loads(line) for line in self.process.text().splitlines() if line.endswith("}")]

    def seen(self):
        lines = self.lines()
        return lines[-1] if lines else {"state": "new", "frames": {"audio": 0, "video": 0}, "lost": 0}

    def frames(self, kind="audio"):
        return self.seen()["frames"][kind]

    def gap(self, since):
        return max((line["gap"] for line in self.lines() if line["at"] > since), default=0.0)

    def stop(self):
        self.process.signal(signal.SIGTERM)
        self.process.wait(10)


def _adjust():
    """What aiortc needs on a machine that has nothing but loopback."""
    import aioice.ice
    import aiortc.codecs

    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    # It gives one header extension's number to another one in audio, and then ends a bundle of both.
    for extension in aiortc.codecs.HEADER_EXTENSIONS["audio"]:
        if extension.uri.endswith("ssrc-audio-level"):
            extension.id = 3


class _Session:
    def __init__(self, arguments):
        from aiortc import RTCConfiguration, RTCPeerConnection

        self.arguments = arguments
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.frames = {"audio": 0, "video": 0}
        self.last, self.gap = None, 0.0
        self.tasks = []
        self.peer.on("track", lambda track: self.tasks.append(asyncio.ensure_future(self.watch(track))))

    def count(self, kind):
        now = time.monotonic()
        self.frames[kind] += 1
        self.gap = max(self.gap, now - (self.last or now))
        self.last = now

    async def watch(self, track):
        while True:
            await track.recv()
            self.count(track.kind)

    def picture(self):
        from aiortc.mediastreams import VideoStreamTrack
        from av import VideoFrame

        class Picture(VideoStreamTrack):
            rate = 15

            async def recv(track):
                number = self.frames["video"]
                track.began = getattr(track, "began", time.monotonic())
                await asyncio.sleep(max(0, track.began + number / track.rate - time.monotonic()))
                frame = VideoFrame(width=160, height=96, format="yuv420p")
                for plane in frame.planes:
                    row = bytes((x + 4 * number) & 0xFF for x in range(plane.line_size))
                    plane.update(row * plane.height)
                frame.pts, frame.time_base = number * 90000 // track.rate, fractions.Fraction(1, 90000)
                self.count("video")
                return frame

        return Picture()

    def tone(self):
        from aiortc.mediastreams import AudioStreamTrack

        class Tone(AudioStreamTrack):
            async def recv(track):
                frame = await super().recv()
                self.count("audio")
                return frame

        return Tone()

    async def begin(self):
        import aiohttp
        from aiortc import RTCSessionDescription

        publishes = self.arguments.mode == "publish"
        kinds = ["audio"] if self.arguments.audio_only else ["audio", "video"]
        made = {"audio": self.tone, "video": self.picture}
        for kind in kinds:
            if publishes:
                self.peer.addTransceiver(made[kind](), direction="sendonly")
            else:
                self.peer.addTransceiver(kind, direction="recvonly")
        await self.peer.setLocalDescription(await self.peer.createOffer())
        async with aiohttp.ClientSession() as http:
            body, kind = self.peer.localDescription.sdp, {"Content-Type": "application/sdp"}
            async with http.post(self.arguments.url, data=body, headers=kind) as reply:
                text = await reply.text()
                assert reply.status == 201, f"{reply.status}: {text}"
                self.place = urljoin(self.arguments.url, reply.headers["Location"])
        await self.peer.setRemoteDescription(RTCSessionDescription(text, "answer"))

    async def report(self):
        lost = 0
        for each in (await self.peer.getStats()).values():
            if each.type == "inbound-rtp":
                lost += each.packetsLost
        now = time.monotonic()
        gap = max(self.gap, now - (self.last or now))
        line = {"at": now, "state": self.peer.connectionState, "frames": self.frames, "lost": lost, "gap": gap}
        self.gap = 0.0
        print(json.dumps(line), flush=True)

    async def end(self):
        import aiohttp

        async with aiohttp.ClientSession() as http:
            async with http.delete(self.place):
                pass
        for task in self.tasks:
            task.cancel()
        await self.peer.close()


async def _run(arguments):
    session, asked = _Session(arguments), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asked.set)
    await session.begin()
    while not asked.is_set():
        await session.report()
        await asyncio.sleep(REPORT_SECONDS)
    await session.end()


def _main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["publish", "play"])
    parser.add_argument("url")
    parser.add_argument("--audio-only", action="store_true")
    _adjust()
    asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    _main()
