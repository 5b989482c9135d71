"""Metrics as tests look at them: a number by name and labels, as Prometheus writes them."""

from collections.abc import Iterable

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from chat import metrics

Figures = dict[str, float]


def read(told: Iterable[Metric]) -> Figures:
    return {
        _written(sample.name, sample.labels): sample.value
        for metric in told
        for sample in metric.samples
    }


def parsed(text: str) -> Figures:
    return read(text_string_to_metric_families(text))


def ours() -> Figures:
    """Of this process."""
    return parsed(metrics.text().decode())


def fallen(before: Figures, after: Figures) -> Figures:
    """Counters that are less than they were."""
    endings = ("_total", "_count", "_sum", "_bucket")
    return {
        name: value
        for name, value in before.items()
        if name.partition("{")[0].endswith(endings) and after.get(name, -1) < value
    }


def _written(name: str, labels: dict[str, str]) -> str:
    told = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    return f"{name}{{{told}}}" if told else name
