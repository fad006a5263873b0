"""What it costs to protect Dockerfiles: files a second on one core, over the real ones at hand, and one large file."""

import resource
import statistics
import time
from collections.abc import Callable

from tests.embed_dockerfile.samples import NGINX, corpus, settings

from bartizan.embed import EmbedError
from bartizan.embed.dockerfile import protect, unprotect, verify

ROUNDS = 7
LINES = 100_000


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
