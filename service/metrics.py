"""What the service counts about itself, in a registry of its own so that two services fit in one process."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """The counters, gauges and histograms of one web process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.observations = Counter(
            "prodrome_observations",
            "Observation rows by outcome; reason is empty unless rejected",
            ["status", "reason"],
            registry=self.registry,
        )
        self.tiles = Counter(
            "prodrome_scores",
            "Stay updates seen on the feed, by the status of the newest score",
            ["status"],
            registry=self.registry,
        )
        self.alerts = Counter(
            "prodrome_alert_changes",
            "Alert changes seen on the feed, by the condition after the change",
            ["condition"],
            registry=self.registry,
        )
        self.feed_clients = Gauge("prodrome_feed_clients", "Open feeds", registry=self.registry)
        self.latency = Histogram(
            "prodrome_request_seconds",
            "Seconds from request to the start of the answer",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.due = Gauge("prodrome_due_stays", "Stays that wait to be scored", registry=self.registry)
        self.score_age = Gauge(
            "prodrome_score_age_seconds",
            "How long the oldest due stay has waited, service clock",
            registry=self.registry,
        )
