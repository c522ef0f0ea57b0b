#!/usr/bin/env python3
"""The origin of `./dev bench http`: a playlist, segments, and segments that are still being made.

    /live/bench.m3u8        1.2 KB
    /live/segments/NAME     500 KB at once
    /live/arriving/NAME     500 KB in ten pieces, one each 100 ms. It is born with the first request for it;
                            a later request gets what there is at once and the rest when it comes.
    /stats                  how often each path was asked for, and when each arriving one was complete
                            (time.monotonic(), which is the same clock in all processes)

All is fresh for an hour, so that what is asked for twice was not cached, or not coalesced.
"""

import argparse
import asyncio
import collections
import json
import socket
import time

SEGMENT_BYTES = 500_000
PIECES, PIECE_SECONDS = 10, 0.1
PLAYLIST = ("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:81200\n"
            '#EXT-X-MAP:URI="segments/init.mp4"\n').encode()
PLAYLIST += b"".join(b"#EXTINF:4.00000,\nsegments/0123456789abcdef0123456789ab-%05d.m4s\n" % number
                     for number in range(81200, 81217))
SEGMENT = bytes(range(250)) * (SEGMENT_BYTES // 250)

fetches = collections.Counter()
born = {}


def head(kind, length):
    return (f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n"
            f'Cache-Control: public, max-age=3600\r\nETag: "{length}"\r\n\r\n').encode()


async def write_arriving(writer, path):
    birth = born.setdefault(path, time.monotonic())
    writer.write(head("video/iso.segment", SEGMENT_BYTES))
    size = SEGMENT_BYTES // PIECES
    for piece in range(PIECES):
        wait = birth + piece * PIECE_SECONDS - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        writer.write(SEGMENT[piece * size:(piece + 1) * size])
        await writer.drain()


def write_stats(writer):
    last_piece = (PIECES - 1) * PIECE_SECONDS
    stats = json.dumps({"fetches": fetches,
                        "complete_at": {path: birth + last_piece for path, birth in born.items()}})
    writer.write(head("application/json", len(stats)) + stats.encode())


async def serve(reader, writer):
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            path = request.split(b" ", 2)[1].decode()
            if path == "/stats":
                write_stats(writer)
                continue
            fetches[path] += 1
            if path.startswith("/live/arriving/"):
                await write_arriving(writer, path)
            elif path.startswith("/live/segments/"):
                writer.write(head("video/iso.segment", SEGMENT_BYTES) + SEGMENT)
            else:
                writer.write(head("application/vnd.apple.mpegurl", len(PLAYLIST)) + PLAYLIST)
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--http", type=int, required=True, metavar="PORT")
    server = await asyncio.start_server(serve, "127.0.0.1", parser.parse_args().http, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
