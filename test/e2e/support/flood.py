"""Datagrams by the million for one port: packets of a protocol, mutated, and noise.

A process of its own, since the test that runs it keeps streams alive meanwhile. It sends as fast as the port's
owner reads and no faster: what a full queue loses would have tested nothing, and would take the neighbours'
packets along.
"""

import argparse
import ctypes
import json
import os
import random
import socket
import sys
import time

BATCH, SLOT, LONGEST = 128, 2048, 1472
QUEUED = 48 * 1024  # of the receiver's queue, before another batch is sent
SOCKETS = 8
NOISE = 0.2  # of the packets


class _Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("size", ctypes.c_size_t)]


class _Message(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint32),
        ("pieces", ctypes.POINTER(_Piece)),
        ("piece_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    ]


class _Head(ctypes.Structure):
    _fields_ = [("message", _Message), ("sent", ctypes.c_uint)]


def start(scene, port, count, templates, first=None, seed=1):
    """`templates` are mutated. With `first`, a packet that makes its sender known, one of the senders is."""
    path = scene.path(f"flood-{port}.json")
    with open(path, "w") as file:
        json.dump({"templates": [t.hex() for t in templates], "first": (first or b"").hex()}, file)
    words = [sys.executable, os.path.abspath(__file__), path]
    return scene.start("flood", [*words, "--port", port, "--count", count, "--seed", seed])


def result(process):
    """{"sent", "lost", "seconds"} of one that has ended; lost is what the receiver's queue had no room for."""
    return json.loads(process.text())


def queue_of(port):
    """(bytes that wait in the fullest, packets lost by all) of the sockets on a port of 127.0.0.1."""
    place = f"0100007F:{port:04X}"
    queued = lost = 0
    with open("/proc/net/udp") as file:
        for line in file:
            fields = line.split()
            if fields[1] == place:
                queued = max(queued, int(fields[4].partition(":")[2], 16))
                lost += int(fields[12])
    return queued, lost


class _Batch:
    def __init__(self):
        self.memory = bytearray(BATCH * SLOT)
        raw = (ctypes.c_char * len(self.memory)).from_buffer(self.memory)
        self.pieces = (_Piece * BATCH)()
        self.heads = (_Head * BATCH)()
        for i in range(BATCH):
            self.pieces[i].base = ctypes.addressof(raw) + i * SLOT
            self.heads[i].message.pieces = ctypes.pointer(self.pieces[i])
            self.heads[i].message.piece_count = 1
        self.send = ctypes.CDLL(None).sendmmsg

    def fill(self, templates, chance):
        memory, random_bits = self.memory, chance.getrandbits
        for i in range(BATCH):
            at = i * SLOT
            if chance.random() < NOISE:
                size = random_bits(11) % LONGEST
                packet = chance.randbytes(size)
            else:
                packet = templates[random_bits(16) % len(templates)]
                size = len(packet)
            memory[at : at + size] = packet
            for _ in range(1 + random_bits(2) if size else 0):
                memory[at + random_bits(11) % size] ^= 1 + random_bits(8) % 255
            if random_bits(4) == 0:  # cut short, or with what was in the slot before
                size = random_bits(11) % LONGEST
            self.pieces[i].size = size


def _main():
    parser = argparse.ArgumentParser()
    parser.add_argument("templates")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    arguments = parser.parse_args()
    with open(arguments.templates) as file:
        given = json.load(file)
    templates = [bytes.fromhex(each) for each in given["templates"]]
    first = bytes.fromhex(given["first"])
    chance, batch = random.Random(arguments.seed), _Batch()
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(SOCKETS)]
    for sender in senders:
        sender.connect(("127.0.0.1", arguments.port))
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # answers are not read
    began, sent, turn = time.monotonic(), 0, 0
    _, lost_before = queue_of(arguments.port)
    while sent < arguments.count:
        if first and turn % 1000 == 0:
            senders[0].send(first)
        batch.fill(templates, chance)
        while queue_of(arguments.port)[0] > QUEUED:
            time.sleep(0.0002)
        taken = batch.send(senders[turn % SOCKETS].fileno(), batch.heads, BATCH, 0)
        sent += max(taken, 0)
        turn += 1
    _, lost = queue_of(arguments.port)
    seconds = time.monotonic() - began
    print(json.dumps({"sent": sent, "lost": lost - lost_before, "seconds": round(seconds, 1)}))


if __name__ == "__main__":
    _main()
