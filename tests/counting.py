"""The words for what is counted: numbers of `service/metrics.py` before and after, and a page of metrics, read."""

from prometheus_client.parser import text_string_to_metric_families

from service.metrics import REGISTRY


def counted(name: str, **labels: str) -> float:
    """What this process says of `drainwatch_NAME` now; 0 where there is no such series yet."""
    return REGISTRY.get_sample_value(f"drainwatch_{name}", labels) or 0.0


class Gained:
    """How much numbers of this process have risen since it was made; tests share the process, and so the numbers."""

    def __init__(self, *names: str, **labels: str) -> None:
        self._labels = labels
        self._before = {name: counted(name, **labels) for name in names}

    def __call__(self) -> list[float]:
        """The gains, in the order of the names."""
        return [counted(name, **self._labels) - before for name, before in self._before.items()]


def samples(page: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of a page by its name and labels: `("drainwatch_stage_waiting", (("stage", "fold"),))`."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }
