"""A job for a shell: says whether it is in front of its terminal whenever that changes."""

from __future__ import annotations

import os
import signal
import time

signal.signal(signal.SIGINT, signal.SIG_DFL)
last = None
while True:
    front = os.tcgetpgrp(0) == os.getpgrp()
    if front != last:
        print("in front" if front else "behind", flush=True)
        last = front
    time.sleep(0.02)
