"""The servers that bench_waas.py compares, each on a processor of its own with one worker, and the application."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from wire import policy

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("BARTIZAN_CACHE", ROOT / ".cache"))
MODULE = Path("/usr/lib/nginx/modules/ngx_http_modsecurity_module.so")
# Where it runs may be narrowed later on.
PROCESSORS = sorted(os.sched_getaffinity(0))
UNICODE = Path("/etc/nginx/unicode.mapping")
PATIENCE = 60

NGINX = """
{module}
user root root;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log error;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_max_body_size 0;
  client_body_buffer_size 2m;
  keepalive_requests 1000000;
  upstream application {{ server 127.0.0.1:{behind}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port};
    {inspection}
    location / {{
      proxy_pass http://application;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
    }}
  }}
}}
"""

# Debian's modsecurity.conf, without logs; then the same rules that the proxy has.
MODSECURITY = """
SecRuleEngine On
SecRequestBodyAccess On
SecRequestBodyLimit 13107200
SecRequestBodyNoFilesLimit 2097152
SecRequestBodyLimitAction Reject
SecRequestBodyJsonDepthLimit 512
SecPcreMatchLimit 100000
SecPcreMatchLimitRecursion 100000
SecResponseBodyAccess On
SecResponseBodyMimeType text/plain text/html text/xml application/json
SecResponseBodyLimit 524288
SecResponseBodyLimitAction ProcessPartial
SecTmpDir /tmp/
SecDataDir /tmp/
SecAuditEngine Off
SecArgumentSeparator &
SecCookieFormat 0
{unicode}
SecRule REQUEST_HEADERS:Content-Type "^(?:application(?:/soap\\+|/)|text/)xml" \
  "id:200000,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=XML"
SecRule REQUEST_HEADERS:Content-Type "^application/json" \
  "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecRule REQBODY_ERROR "!@eq 0" "id:200002,phase:2,t:none,log,deny,status:400,msg:'Failed to parse request body'"
SecRule MULTIPART_STRICT_ERROR "!@eq 0" "id:200003,phase:2,t:none,log,deny,status:400,msg:'Multipart is not strict'"
Include {rules}/setup.conf
Include {rules}/*-*.conf
"""


class Server:
    """A server that is started and ended with a `with`; its processes are pinned to the first processor."""

    def __init__(self, command: list[str], port: int, folder: tempfile.TemporaryDirectory[str]) -> None:
        """Keep how it is started, and the folder that goes with it."""
        self.command = command
        self.port = port
        self.folder = folder
        self.processor = 0
        self.started = 0.0

    def __enter__(self) -> Self:
        """Start it and wait until it takes connections."""
        self.started = time.perf_counter()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(pinned(self.processor, self.command), **pipes)  # type: ignore[call-overload]
        if self.command[0] != shutil.which("nginx"):
            # It says its state once requests are judged.
            said = json.loads(self.process.stdout.readline() or "{}")
            if said.get("error", "it has ended"):
                raise SystemExit(f"the proxy does not start: {said}")
        threading.Thread(target=self._drop_output, daemon=True).start()
        _await(self.port, self.process)
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self.process.stdin.close()
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.folder.cleanup()

    def _drop_output(self) -> None:
        while self.process.stdout.read1():
            pass

    def seconds(self) -> float:
        """Since it was started."""
        return time.perf_counter() - self.started

    def spent(self) -> int:
        """Nanoseconds of processor time of all its threads (Linux, Documentation/scheduler/sched-stats.rst)."""
        tasks = [path for process in self._processes() for path in Path(f"/proc/{process}/task").iterdir()]
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)

    def resident(self, *, most: bool = False) -> float:
        """MiB that are resident, or the most that were."""
        wanted = "VmHWM" if most else "VmRSS"
        status = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(text.split()[1]) / 1024 for text in status if text.startswith(wanted))

    def _processes(self) -> list[int]:
        own = self.process.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        return [own, *map(int, children)]


def pinned(processor: int, command: list[str]) -> list[str]:
    """A command that runs on one of the processors that there are."""
    return ["taskset", "--cpu-list", str(PROCESSORS[processor % len(PROCESSORS)]), *command]


@contextmanager
def application() -> Iterator[int]:
    """The application's port, while it runs. Whoever asks is put beside it, away from the servers."""
    command = pinned(1, [sys.executable, str(ROOT / "scripts/waas_application.py")])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with _beside():
            yield port
        process.stdin.close()


@contextmanager
def quick_application() -> Iterator[int]:
    """The same for requests alone, as quick as can be: nginx where it is."""
    server = _nginx(0, module="", inspection="return 200 'An ordinary page of an application, of some ninety bytes.';")
    if server is None:
        with application() as port:
            yield port
        return
    server.processor = 1
    with server, _beside():
        yield server.port


@contextmanager
def _beside() -> Iterator[None]:
    os.sched_setaffinity(0, {PROCESSORS[1 % len(PROCESSORS)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, PROCESSORS)


def plain(behind: int) -> Server | None:
    """The nginx that only passes on; None where there is none."""
    return _nginx(behind, module="", inspection="")


def inspecting(behind: int) -> Server | None:
    """The nginx with libmodsecurity and the rules; None where there is none."""
    if not MODULE.exists():
        return None
    return _nginx(
        behind,
        module=f"load_module {MODULE};",
        inspection="modsecurity on; modsecurity_rules_file {folder}/rules.conf;",
    )


def _nginx(behind: int, *, module: str, inspection: str) -> Server | None:
    program = shutil.which("nginx")
    if program is None:
        return None
    folder = tempfile.TemporaryDirectory(prefix="bartizan-bench-")
    port, path = free_port(), Path(folder.name)
    behind = behind or port
    unicode = f"SecUnicodeMapFile {UNICODE} 20127" if UNICODE.exists() else ""
    (path / "rules.conf").write_text(MODSECURITY.format(unicode=unicode, rules=_spaced_rules(path)))
    inspection = inspection.format(folder=path)
    text = NGINX.format(module=module, inspection=inspection, folder=path, behind=behind, port=port)
    (path / "nginx.conf").write_text(text)
    command = [program, "-p", str(path), "-e", f"{path}/error.log", "-c", f"{path}/nginx.conf", "-g", "daemon off;"]
    return Server(command, port, folder)


def _spaced_rules(folder: Path) -> Path:
    """A copy of the rules with a free line before each directive.

    libmodsecurity 3.0.9 takes the line after a rule without actions for its actions; the pinned module has none free.
    """
    target = folder / "rules"
    target.mkdir()
    for path in (CACHE / "rules/crs4/setup.conf", *(CACHE / "rules/crs4/rules").iterdir()):
        text = path.read_text()
        (target / path.name).write_text(re.sub("(?m)^(?=Sec)", "\n", text) if path.suffix == ".conf" else text)
    return target


def guarded(behind: int, *, profile: str = "balanced", effect: str = "prevent") -> Server:
    """Our proxy with the rules that are built in, the same effect for every group."""
    folder = tempfile.TemporaryDirectory(prefix="bartizan-bench-")
    port, path = free_port(), Path(folder.name) / "policy.json"
    path.write_text(json.dumps(policy(port, effect=effect, profile=profile)))
    return Server([str(example("proxy")), f"{port}:{behind}", str(path)], port, folder)


def example(name: str) -> Path:
    """An example's program, built for release.

    Raises:
        SystemExit: it was not built.
    """
    programs = os.environ.get("BARTIZAN_PROGRAMS", ROOT / "defender/target/x86_64-unknown-linux-gnu/release/examples")
    path = Path(os.environ.get(f"BARTIZAN_{name.upper()}", Path(programs) / name))
    if not path.exists():
        raise SystemExit(f"`{path}` is not there: `cargo build --release --locked --example {name}` makes it")
    return path


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
        except ConnectionRefusedError:
            continue
        return
    raise SystemExit(f"`{' '.join(map(str, process.args))}` does not listen")  # type: ignore[union-attr]
