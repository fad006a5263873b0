"""The Defender's own program, which the Console asks what a policy does about an event."""

import asyncio
import contextlib
import platform
from collections.abc import Mapping
from pathlib import Path

from bartizan.services.errors import UnavailableError

_SECONDS = 60.0
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_LONGEST_REASON = 300


class DefenderProgram:
    """Implements `DecisionCore` with the Defender's binary for this machine's architecture."""

    def __init__(self, binaries: Mapping[str, Path]) -> None:
        self._binary = binaries.get(_ARCHITECTURES.get(platform.machine(), ""))

    async def judge(self, lines: bytes) -> bytes:
        """Return the answers of `defender policy test`. Raises UnavailableError when it cannot be run, or refuses."""
        if self._binary is None:
            raise UnavailableError(
                "this Console has no Defender for its own machine to ask: start it with BARTIZAN_DEFENDER"
            )
        try:
            process = await asyncio.create_subprocess_exec(
                self._binary,
                "policy",
                "test",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={},
            )
        except OSError as error:
            raise UnavailableError(f"the Defender's program cannot be run: {error.strerror}") from None
        try:
            async with asyncio.timeout(_SECONDS):
                output, said = await process.communicate(lines)
        except TimeoutError:
            raise UnavailableError(f"the Defender's program has not answered in {_SECONDS:.0f} seconds") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if process.returncode != 0:
            reason = " ".join(said.decode(errors="replace").split())[:_LONGEST_REASON].removeprefix("bartizan: ")
            raise UnavailableError(f"the Defender's program did not judge: {reason}")
        return output
