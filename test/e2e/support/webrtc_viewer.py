"""A WHEP client on aiortc, for tests; run by Debian's python3, which has that.

    /usr/bin/python3 webrtc_client.py URL

Prints "frame T" for each video frame it decoded, T being CLOCK_MONOTONIC's seconds.
"""

import asyncio
import sys
import time

import aioice.ice
import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

# aioice leaves loopback out of its own addresses.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


async def watch(track):
    while True:
        await track.recv()
        if track.kind == "video":
            print(f"frame {time.monotonic():.3f}", flush=True)


async def main(url):
    peer, tasks = RTCPeerConnection(RTCConfiguration(iceServers=[])), []
    peer.on("track", lambda track: tasks.append(asyncio.ensure_future(watch(track))))
    for kind in ("audio", "video"):
        peer.addTransceiver(kind, direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    async with aiohttp.ClientSession() as session:
        headers = {"Content-Type": "application/sdp"}
        async with session.post(url, data=peer.localDescription.sdp, headers=headers) as reply:
            assert reply.status == 201, (reply.status, await reply.text())
            await peer.setRemoteDescription(RTCSessionDescription(await reply.text(), "answer"))
    await asyncio.Event().wait()


asyncio.run(main(sys.argv[1]))
