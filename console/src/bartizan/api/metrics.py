"""
Numbers in Prometheus' text format.

Labels have few values, all of them ours: nothing that a Defender or a client sends becomes one.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bartizan.services.health import Measures
from bartizan.services.interfaces import DefenderRecord

_KINDS = ("appEmbedded", "fargate")


class _Snapshot(Collector):
    """What is true at one moment, given to the library in its own words."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def exposition(measures: Measures, defenders: Iterable[DefenderRecord], *, version: str) -> bytes:
    """Return the numbers of one moment as text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Snapshot([*_of_console(measures, version), _of_defenders(defenders)]))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _of_console(measures: Measures, version: str) -> list[Metric]:
    about = GaugeMetricFamily("bartizan_info", "The Console's version.", labels=["version"])
    about.add_metric([version], 1)
    ends = GaugeMetricFamily(
        "bartizan_certificate_expiry_timestamp_seconds", "End of a certificate.", labels=["certificate"]
    )
    for name, end in measures.expirations.items():
        ends.add_metric([name], end / 1000)
    return [
        about,
        ends,
        CounterMetricFamily("bartizan_audits_written", "Audits on disk since the start.", value=measures.written),
        CounterMetricFamily("bartizan_audit_write_failures", "Batches not written.", value=measures.failures),
        GaugeMetricFamily("bartizan_audits_waiting", "Audits that wait to be written.", value=measures.waiting),
        GaugeMetricFamily("bartizan_database_bytes", "Size of the database.", value=measures.database_bytes),
        GaugeMetricFamily("bartizan_disk_free_bytes", "Free beside the data directory.", value=measures.free_bytes),
    ]


def _of_defenders(defenders: Iterable[DefenderRecord]) -> Metric:
    found = Counter((record.kind, record.connected) for record in defenders)
    family = GaugeMetricFamily("bartizan_defenders", "Defenders that are known.", labels=["type", "state"])
    for kind in _KINDS:
        for connected in (True, False):
            family.add_metric([kind, "connected" if connected else "disconnected"], found[kind, connected])
    return family
