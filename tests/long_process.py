"""A process that finds a face, waits for a minute and ends, and may open no connection.

It is started when tests are collected (see conftest.py), so that no test waits for it.
"""

import subprocess
import sys

FIND_A_FACE = """
import sys
sys.modules["tensorflow"] = None  # which mediapipe would import for nothing
import numpy, skimage
from farkeras.photos.landmarks import find_face
photo = skimage.data.astronaut()
"""

# A filter in the kernel ends the process when it opens a socket that reaches further than this machine's files; unlike
# a patched `socket` module, it sees native code as well. For Linux on x86_64.
NO_NETWORK = """
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
def step(code, true, false, k): return struct.pack("HBBI", code, true, false, k)
program = b"".join([
    step(0x20, 0, 0, 0),           # the number of the system call:
    step(0x15, 0, 4, 41),          # all but socket() may pass
    step(0x20, 0, 0, 16),          # its first argument, the kind of address:
    step(0x15, 1, 0, 2),           # IPv4
    step(0x15, 0, 1, 10),          # or IPv6
    step(0x06, 0, 0, 0x80000000),  # end the process
    step(0x06, 0, 0, 0x7FFF0000),  # let it pass
])
buffer = ctypes.create_string_buffer(program)
filter = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer)))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, filter, 0, 0) == 0, "no seccomp"
"""
SECONDS = 65  # mediapipe 1.x looks its host up after 60


def start() -> subprocess.Popen:
    wait = f"\nfind_face(photo)\nprint('found', flush=True)\nimport time\ntime.sleep({SECONDS})\n"
    command = [sys.executable, "-c", FIND_A_FACE + NO_NETWORK + wait]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
