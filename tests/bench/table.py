"""How figures are told: the median, and from the lowest to the highest."""

import statistics
from collections.abc import Mapping, Sequence


def show(what: str, values: Sequence[float], unit: float = 1, digits: int = 1) -> None:
    """A line of the table."""
    low, mid, high = (
        f"{value / unit:,.{digits}f}"
        for value in (min(values), statistics.median(values), max(values))
    )
    print(f"    {what:<44}{mid:>9}  ({low} to {high})", flush=True)


def show_cores(rounds: Sequence[Mapping[str, float]]) -> None:
    """On how many cores each process was busy."""
    for name in rounds[0]:
        show(f"  cores: {name}", [cores[name] for cores in rounds], digits=2)


def show_ratio(what: str, ours: Sequence[float], theirs: Sequence[float]) -> None:
    """How many times as much, round by round: what the machine did meanwhile touches both."""
    show(f"{what}, times", [our / their for our, their in zip(ours, theirs, strict=True)])


def percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[len(values) * percent // 100]
