"""What it costs to protect Dockerfiles: files a second on one core, over the real ones at hand, and one large file."""

import os
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from bartizan.embed import EmbedError, ImageConfig
from bartizan.embed.dockerfile import DockerfileSettings, protect, unprotect, verify

ROUNDS = 7
LINES = 100_000
REPOSITORY = Path(__file__).resolve().parents[2]
NGINX = ImageConfig(("/docker-entrypoint.sh",), ("nginx", "-g", "daemon off;"))


def settings() -> DockerfileSettings:
    """Return settings like those of a real Console."""
    return DockerfileSettings(
        app_id="bench", install_bundle="e" * 300, version="0.1.0", ws_address="wss://console.example.com:8084"
    )


def corpus() -> list[Path]:
    """Return the real Dockerfiles at hand; where there are none, the golden ones of this repository."""
    given = os.environ.get("BARTIZAN_CORPUS")
    near = [Path(given), Path(given).parent] if given else [REPOSITORY.parent / "shared" / "corpus"]
    found = [path for folder in near for path in (folder / "dockerfiles").rglob("*") if path.is_file()]
    return found or sorted((REPOSITORY / "contract" / "vectors" / "dockerfile").glob("*/Dockerfile"))


def cpu_s(work: Callable[[], object]) -> float:
    """Return the median CPU time of `work` in seconds."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time_ns()
        work()
        times.append((time.process_time_ns() - start) / 1e9)
    return statistics.median(times)


def protected(texts: list[str]) -> list[str]:
    """Return what `protect` makes of `texts`, without those it refuses."""
    results = []
    for text in texts:
        try:
            results.append(protect(text, image=NGINX, settings=settings()).text)
        except EmbedError:
            continue
    return results


def main() -> None:
    """Print one line per figure: name, value, size."""
    texts = [path.read_bytes().decode() for path in corpus()]
    results = protected(texts)
    lines = sum(text.count("\n") for text in texts)
    figures = {
        "protect": (len(texts), lambda: protected(texts)),
        "protect_again": (len(results), lambda: protected(results)),
        "unprotect": (len(results), lambda: [unprotect(text) for text in results]),
        "verify": (len(results), lambda: [verify(text, version="0.1.0") for text in results]),
    }
    for name, (count, work) in figures.items():
        print(f"dockerfile.{name}_files_per_second {count / cpu_s(work):.0f} files {count} lines {lines}")
    large = 'FROM scratch\nENTRYPOINT ["/app"]\n' + "RUN make \\\n  all\n" * (LINES // 2)
    cost = cpu_s(lambda: protect(large, image=None, settings=settings()))
    print(f"dockerfile.protect_large_cpu_s {cost:.2f} lines {LINES} bytes {len(large)}")
    print(f"dockerfile.peak_memory_mb {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}")


if __name__ == "__main__":
    main()
