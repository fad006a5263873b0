"""What a Python service does: children in every way, pools of processes, event loops, threads, signals, look-ups."""

from __future__ import annotations

import asyncio
import concurrent.futures
import multiprocessing
import os
import signal
import socket
import subprocess
import sys


def square(number: int) -> int:
    """Work for a pool."""
    return number * number


def children() -> None:
    """subprocess, pipelines, posix_spawn, fork."""
    said = [subprocess.run(["echo", str(turn)], capture_output=True, text=True).stdout for turn in range(40)]
    print("started", said == [f"{turn}\n" for turn in range(40)])
    print("pipeline", subprocess.check_output("seq 1 100 | sort -rn | head -n 1", shell=True, text=True).strip())
    print("status", subprocess.run(["sh", "-c", "exit 11"]).returncode)
    for missing in ("no-such-program", "/etc/passwd", "/"):
        try:
            subprocess.run([missing])
        except OSError as error:
            print("refused", error)
    child = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 12"], os.environ)
    print("spawned", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    child = os.fork()
    if child == 0:
        os.execvp("sh", ["sh", "-c", "kill -9 $$"])
    print("killed", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=os.setsid) as cat:
        print("cat", cat.communicate(b"through a pipe")[0])


def pools() -> None:
    """multiprocessing with each start method, and with a manager."""
    for method in ("fork", "spawn", "forkserver"):
        context = multiprocessing.get_context(method)
        with context.Pool(3) as pool:
            print(method, sum(pool.map(square, range(100))))
    with multiprocessing.Manager() as manager:
        shared = manager.dict()
        shared["key"] = "value"
        print("manager", dict(shared))


async def loop() -> None:
    """A server, its clients, and children of an event loop."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def ask(turn: int) -> bool:
        reader, writer = await asyncio.open_connection("good.test", port, family=socket.AF_INET)
        writer.write(f"{turn}\n".encode())
        answer = await reader.readline()
        writer.close()
        return answer == f"{turn}\n".encode()

    print("clients", sum(await asyncio.gather(*(ask(turn) for turn in range(100)))))

    async def child(turn: int) -> int:
        process = await asyncio.create_subprocess_exec("sh", "-c", f"exit {turn}")
        return await process.wait()

    print("children", await asyncio.gather(*(child(turn) for turn in range(20))))
    server.close()


def threads() -> None:
    """Child processes from many threads at once."""
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        said = pool.map(lambda turn: subprocess.check_output(["echo", str(turn)], text=True), range(64))
        print("threads", list(said) == [f"{turn}\n" for turn in range(64)])


def names() -> None:
    """The C library's resolver, over its own sockets."""
    print("name", socket.gethostbyname("other.test"))
    try:
        socket.getaddrinfo("missing.test", 80)
    except socket.gaierror as error:
        print("missing", error)


def sockets() -> None:
    """Local sockets with credentials, datagrams in every way of sending, errors of connect."""
    server = socket.socket(socket.AF_UNIX)
    server.bind("\0compat")
    server.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect("\0compat")
    peer = server.accept()[0].getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    print("credentials", int.from_bytes(peer[:4], "little") == os.getpid())
    receiver, sender = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    receiver.bind(("127.0.0.1", 0))
    sender.sendto(b"sendto", receiver.getsockname())
    sender.sendmsg([b"send", b"msg"], [], 0, receiver.getsockname())
    sender.connect(receiver.getsockname())
    sender.send(b"send")
    print("datagrams", [receiver.recv(100) for _ in range(3)])
    for address in (("127.0.0.1", 9), ("192.0.2.1", 9), ("::1", 9)):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        with socket.socket(family) as tried:
            print(address, os.strerror(tried.connect_ex(address)))


def signals() -> None:
    """An interval timer that interrupts everything, while children start and connections are made."""
    seen: list[int] = []
    signal.signal(signal.SIGALRM, lambda number, _: seen.append(number))
    signal.siginterrupt(signal.SIGALRM, False)
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    server = socket.create_server(("127.0.0.1", 0))
    for turn in range(30):
        assert subprocess.run(["sh", "-c", f"exit {turn}"]).returncode == turn
        socket.create_connection(server.getsockname()).close()
        server.accept()[0].close()
    signal.setitimer(signal.ITIMER_REAL, 0)
    print("timer", len(seen) > 1)


def main() -> int:
    """Do it all; return the exit status."""
    children()
    pools()
    asyncio.run(loop())
    threads()
    names()
    sockets()
    signals()
    return 6


if __name__ == "__main__":
    sys.exit(main())
