"""What `/metrics` tells, in the Prometheus text format.

    keywright_requests_total{method,status}    keywright_request_seconds{method}
    keywright_ledger_epoch                     keywright_events_total
    keywright_event_index_lag                  keywright_event_index_lag_seconds
    keywright_connections                      keywright_connections_overdue
    keywright_rotations_open{stage}            keywright_overdue
    keywright_held                             keywright_connections_held
    keywright_ledger_replication{state}
    keywright_connections_health{state}        keywright_streams
    keywright_deliveries{state}                keywright_delivery_oldest_seconds
    keywright_delivery_attempts_total{outcome}

Labels are a few fixed words: never a name, so that the series stay few and tell nothing.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from service.core.errors import Unavailable
from service.core.restoration import Replication
from service.core.rotation import ENDED, Stage
from service.keeper.figures import Figures

_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)


class _Ledger(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def describe(self) -> list[Metric]:
        """Nothing beforehand: the ledger is read only when somebody asks."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The ledger's figures; none while it does not answer, which `/readyz` tells."""
        try:
            now = self._figures.read()
        except Unavailable:
            return
        yield GaugeMetricFamily("keywright_ledger_epoch", "Moves with every change.", value=now.epoch)
        yield CounterMetricFamily("keywright_events", "Events in the audit log.", value=now.events)
        yield GaugeMetricFamily("keywright_event_index_lag", "Events not indexed yet.", value=now.index_lag)
        yield GaugeMetricFamily(
            "keywright_event_index_lag_seconds", "Age of the oldest event not indexed yet.", value=now.index_lag_seconds
        )
        yield GaugeMetricFamily("keywright_connections", "Connections.", value=now.connections)
        yield GaugeMetricFamily(
            "keywright_connections_overdue", "Connections due for a minute and not planned.", value=now.overdue
        )
        yield GaugeMetricFamily("keywright_overdue", "Connections with a rotation overdue.", value=now.late)
        by_health = GaugeMetricFamily("keywright_connections_health", "Connections by health.", labels=["state"])
        for word, number in now.health.items():
            by_health.add_metric([word], number)
        yield by_health
        rotations = GaugeMetricFamily("keywright_rotations_open", "Rotations under way.", labels=["stage"])
        for stage in Stage:
            if stage not in ENDED:
                rotations.add_metric([stage.value], now.open_rotations.get(stage.value, 0))
        yield rotations
        yield GaugeMetricFamily("keywright_held", "1 while every rotation is held.", value=int(now.held))
        yield GaugeMetricFamily(
            "keywright_connections_held", "Connections that may not rotate.", value=now.connections_held
        )
        state = GaugeMetricFamily(
            "keywright_ledger_replication", "1 for how the ledger's PostgreSQL replicates.", labels=["state"]
        )
        for replication in Replication:
            state.add_metric([replication.value], int(now.replication is replication))
        yield state
        deliveries = GaugeMetricFamily("keywright_deliveries", "Deliveries to webhooks.", labels=["state"])
        deliveries.add_metric(["waiting"], now.deliveries_waiting)
        deliveries.add_metric(["dead"], now.deliveries_dead)
        yield deliveries
        yield GaugeMetricFamily(
            "keywright_delivery_oldest_seconds", "Age of the oldest that waits.", value=now.delivery_oldest_seconds
        )


class _Attempts(Collector):
    def __init__(self, attempts: Callable[[], Mapping[str, int]]) -> None:
        self._attempts = attempts

    def describe(self) -> list[Metric]:
        """Nothing beforehand."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Those of this process."""
        counted = CounterMetricFamily("keywright_delivery_attempts", "Attempts to deliver.", labels=["outcome"])
        for outcome, number in self._attempts().items():
            counted.add_metric([outcome], number)
        yield counted


class _Answers(Collector):
    """Counted by one thread, at every request: the library's own counters take ten times as long."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], int] = {}
        self._buckets: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def count(self, method: str, status: int, seconds: float) -> None:
        """One more."""
        if method not in _METHODS:
            method = "other"
        counted = method, status
        self._counts[counted] = self._counts.get(counted, 0) + 1
        buckets = self._buckets.get(method)
        if buckets is None:
            self._sums[method] = 0.0
            buckets = self._buckets[method] = [0] * (len(_BUCKETS) + 1)
        buckets[bisect_left(_BUCKETS, seconds)] += 1
        self._sums[method] += seconds

    def describe(self) -> list[Metric]:
        """Nothing beforehand."""
        return []

    def collect(self) -> Iterator[Metric]:
        """As they are; another thread may be counting."""
        requests = CounterMetricFamily("keywright_requests", "Requests answered.", labels=["method", "status"])
        for (method, status), number in self._counts.copy().items():
            requests.add_metric([method, str(status)], number)
        yield requests
        seconds = HistogramMetricFamily(
            "keywright_request_seconds", "Time to the end of an answer, waiting included.", labels=["method"]
        )
        ends = [*map(str, _BUCKETS), "+Inf"]
        for method, counts in self._buckets.copy().items():
            seconds.add_metric([method], list(zip(ends, accumulate(counts), strict=True)), self._sums[method])
        yield seconds


class Metrics:
    """The metrics of one application."""

    def __init__(
        self,
        figures: Figures,
        streams: Callable[[], int] = lambda: 0,
        attempts: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._registry.register(_Ledger(figures))
        answers = _Answers()
        self._registry.register(answers)
        self.count = answers.count
        """Count an answer: its method, status, and how many seconds it took."""
        self._registry.register(_Attempts(attempts))
        Gauge("keywright_streams", "Streams of signals that are open.", registry=self._registry).set_function(streams)

    def text(self) -> bytes:
        """As `/metrics` answers it."""
        return generate_latest(self._registry)
