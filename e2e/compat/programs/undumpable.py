"""Closes itself to who cannot trace everybody, and connects to a denied port: `undumpable.py NAME`."""

from __future__ import annotations

import ctypes
import errno
import socket
import sys
import time

PR_SET_DUMPABLE, PR_SET_NAME = 4, 15
DENIED = ("127.0.0.1", 6666)
# The Defender tells the number of what went unjudged every ten seconds.
TOLD = 12.0

control = ctypes.CDLL(None).prctl
assert control(PR_SET_NAME, sys.argv[1].encode(), 0, 0, 0) == 0
assert control(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0
for _ in range(10):
    with socket.socket() as client:
        print(errno.errorcode[client.connect_ex(DENIED)])
time.sleep(TOLD)
