"""A WHIP and WHEP origin for the tests, on aiortc; run by Debian's python3, which has that.

    /usr/bin/python3 webrtc_origin.py PORT

    POST /whip/APP/STREAM    publish    also /APP/STREAM/whip and /rtc/v1/whip/?app=APP&stream=STREAM
    POST /whep/APP/STREAM    play what is published, decoded and encoded again
    PATCH, DELETE            of the answer's Location; a PATCH with another ufrag restarts ICE
    POST /rtc/v1/publish/, /rtc/v1/play/     the same in SRS's JSON
    GET /state               {"sessions": [...], "requests": [{"method", "target", "headers", "body"}]}

Its ICE agent answers on 127.0.0.1 alone.
"""

import functools
import json
import secrets
import sys
import urllib.parse

import aioice.ice
from aiohttp import web
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaBlackhole, MediaRelay

# aioice leaves loopback out of its own addresses.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]

CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST,PATCH,DELETE,OPTIONS",
    "Access-Control-Allow-Headers": "content-type,authorization",
    "Access-Control-Expose-Headers": "location",
}


class Origin:
    def __init__(self):
        self.relay, self.streams, self.sessions, self.requests = MediaRelay(), {}, {}, []

    async def note(self, request):
        body = await request.text()
        self.requests.append(
            {
                "method": request.method,
                "target": request.path_qs,
                "headers": dict(request.headers),
                "body": body,
            }
        )
        return body

    def session(self, kind, key):
        name = secrets.token_hex(6)
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.sessions[name] = {"kind": kind, "key": key, "peer": peer}

        @peer.on("connectionstatechange")
        async def changed():
            if peer.connectionState in ("failed", "closed"):
                await self.end(name)

        return name, peer

    async def end(self, name):
        session = self.sessions.pop(name, None)
        if session is None:
            return False
        stream = self.streams.get(session["key"])
        if stream and stream["session"] == name:
            del self.streams[session["key"]]
            await stream["sink"].stop()
        await session["peer"].close()
        return True

    async def answer(self, name, peer, offer, tracks=()):
        await peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        for track in tracks:
            if any(each.kind == track.kind for each in peer.getTransceivers()):
                peer.addTrack(self.relay.subscribe(track))
        await peer.setLocalDescription(await peer.createAnswer())
        headers = {
            "Location": f"/session/{name}",
            "ETag": f'"{name}"',
            "Link": '<stun:192.0.2.1>; rel="ice-server"',
        }
        return web.Response(
            status=201, text=peer.localDescription.sdp, content_type="application/sdp", headers=headers
        )

    async def whip(self, offer, key):
        if key in self.streams:
            return web.Response(status=409, text="published already\n")
        name, peer = self.session("whip", key)
        sink = MediaBlackhole()
        stream = self.streams[key] = {"session": name, "tracks": [], "sink": sink}

        @peer.on("track")
        def on_track(track):
            stream["tracks"].append(track)
            sink.addTrack(self.relay.subscribe(track))

        reply = await self.answer(name, peer, offer)
        await sink.start()
        return reply

    async def whep(self, offer, key):
        if key not in self.streams:
            return web.Response(status=404, text="no such stream\n")
        name, peer = self.session("whep", key)
        return await self.answer(name, peer, offer, self.streams[key]["tracks"])

    async def in_json(self, request, handler):
        """As SRS: the stream in "streamurl", descriptions in "sdp", refusals with status 200 and a code."""
        asked = json.loads(await self.note(request))
        url = urllib.parse.urlsplit(asked["streamurl"])
        reply = await handler(asked["sdp"], url.path.strip("/"))
        if reply.status != 201:
            return web.json_response({"code": reply.status, "server": "origin"})
        name = reply.headers["Location"].rpartition("/")[2]
        return web.json_response({"code": 0, "server": "origin", "sdp": reply.text, "sessionid": name})

    async def patch(self, request):
        fragment = await self.note(request)
        session = self.sessions.get(request.match_info["name"])
        if session is None:
            return web.Response(status=404)
        asked = dict(line[2:].split(":", 1) for line in fragment.splitlines() if line.startswith("a=ice-"))
        ice = ice_of(session["peer"])
        if asked.get("ice-ufrag") in (None, ice.remote_username):
            return web.Response(status=204)
        restart(ice, asked["ice-ufrag"], asked["ice-pwd"])
        lines = [f"a=ice-ufrag:{ice.local_username}", f"a=ice-pwd:{ice.local_password}", "m=video 9 X 0", "a=mid:0"]
        lines += [f"a=candidate:{each.to_sdp()}" for each in ice.local_candidates]
        text = "\r\n".join([*lines, ""])
        return web.Response(text=text, content_type="application/trickle-ice-sdpfrag")

    async def delete(self, request):
        await self.note(request)
        return web.Response(status=200 if await self.end(request.match_info["name"]) else 404)

    async def state(self, _):
        sessions = [
            {"kind": each["kind"], "key": each["key"], "state": each["peer"].connectionState}
            for each in self.sessions.values()
        ]
        return web.Response(text=json.dumps({"sessions": sessions, "requests": self.requests}))

    @staticmethod
    def key(request):
        place = request.match_info if "app" in request.match_info else request.query
        return f"{place['app']}/{place['stream']}"


def ice_of(peer):
    """The agent of the first section, which a bundle uses."""
    return peer.getTransceivers()[0].receiver.transport.transport._connection


def restart(ice, ufrag, password):
    """aioice has no restart of its own: new names and passwords on the same socket, and every pair is to be found
    again. Media goes on by the old pair until a new one is nominated."""
    ice.local_username, ice.local_password = secrets.token_hex(4), secrets.token_hex(12)
    ice.remote_username, ice.remote_password = ufrag, password
    ice._check_list.clear()
    ice._remote_candidates.clear()


@web.middleware
async def with_cors(request, handler):
    if request.method == "OPTIONS":
        await request.app["origin"].note(request)
        return web.Response(status=204, headers=CORS)
    reply = await handler(request)
    reply.headers.update(CORS)
    return reply


def main():
    origin, app = Origin(), web.Application(middlewares=[with_cors])
    app["origin"] = origin
    def signals(handler):
        async def handle(request):
            return await handler(await origin.note(request), origin.key(request))

        return handle

    for verb, word, handler in (("whip", "publish", origin.whip), ("whep", "play", origin.whep)):
        for path in (f"/{verb}/{{app}}/{{stream}}", f"/{{app}}/{{stream}}/{verb}", f"/rtc/v1/{verb}/"):
            app.router.add_post(path, signals(handler))
        app.router.add_post(f"/rtc/v1/{word}/", functools.partial(origin.in_json, handler=handler))
    app.router.add_patch("/session/{name}", origin.patch)
    app.router.add_delete("/session/{name}", origin.delete)
    app.router.add_get("/state", origin.state)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None)


main()
