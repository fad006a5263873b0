"""One short-lived program, run to its end."""

from __future__ import annotations

import asyncio

from bartizan.runtask.errors import TaskError


async def run_command(*argv: str, cwd: str | None = None) -> str:
    """Run a program and return its output. Raises `TaskError` with the program's last words when it fails."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as cause:
        raise TaskError(f"`{argv[0]}` cannot be run: {cause.strerror}") from None
    output, complaint = await process.communicate()
    if process.returncode != 0:
        words = complaint.decode(errors="replace").strip().splitlines()
        raise TaskError(f"`{' '.join(argv[:4])}` failed: {words[-1] if words else f'exit code {process.returncode}'}")
    return output.decode(errors="replace")
