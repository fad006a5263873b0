"""What real work costs in processor time, its supervisor's (PID 1) included: `costs.py make|nginx SHARE`.

Prints one number: seconds for the whole of `make -j2` over 24 C files, or microseconds per request of nginx for one
small static page over connections that are kept.
"""

from __future__ import annotations

import re
import resource
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

NGINX = """
worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; daemon off; user root;
events {{ worker_connections 256; }}
http {{ access_log off; sendfile on; keepalive_requests 1000000; client_body_temp_path {folder}/body;
  fastcgi_temp_path {folder}/f;
  proxy_temp_path {folder}/p; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:8080; root {folder}/www; }} }}
"""


def processor_time(*processes: int) -> float:
    """Seconds that all threads of these processes have run so far (proc(5), schedstat)."""
    return sum(
        int(path.read_text().split()[0]) / 1e9
        for process in processes
        for path in Path(f"/proc/{process}/task").glob("*/schedstat")
    )


def make(files: int) -> float:
    """Seconds of processor time for building them."""
    body = "".join(
        f"int f{turn}(int a) {{ return a * {turn} + (a > {turn} ? f_(a - 1) : a); }}\n" for turn in range(200)
    )
    for number in range(files):
        Path(f"part{number}.c").write_text(
            f"#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\nint f_(int);\n{body}"
        )
    objects = " ".join(f"part{number}.o" for number in range(files))
    Path("Makefile").write_text(f"all: {objects}\n%.o: %.c\n\tgcc -O1 -c -o $@ $<\n")
    before = processor_time(1)
    subprocess.run(["make", "-s", "-j2"], check=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime + processor_time(1) - before


def nginx(seconds: float) -> float:
    """Microseconds of processor time per request."""
    folder = Path.cwd()
    (folder / "www").mkdir()
    (folder / "www/index.html").write_text("static\n" * 100)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    server = subprocess.Popen(["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL)
    wait_until_served()
    workers = [int(word) for word in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]
    before = processor_time(1, server.pid, *workers)
    said = subprocess.check_output(
        ["wrk", "-t1", "-c16", f"-d{seconds:.0f}s", "http://127.0.0.1:8080/index.html"], text=True
    )
    used = processor_time(1, server.pid, *workers) - before
    server.terminate()
    server.wait()
    found = re.search(r"(\d+) requests in", said)
    assert found, said
    return 1e6 * used / int(found[1])


def wait_until_served() -> None:
    """Wait for the first answer.

    Raises:
        OSError: there was none in ten seconds.
    """
    end = time.monotonic() + 10
    while True:
        try:
            urllib.request.urlopen("http://127.0.0.1:8080/index.html", timeout=5).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        else:
            return


if __name__ == "__main__":
    amount = int(sys.argv[2])
    print(f"cost {make(amount) if sys.argv[1] == 'make' else nginx(amount)}")
