"""Is all well? `facts.py` asks everything once; `findings.py` makes of it what is wrong, why it matters, and what to type."""

from service.doctor.facts import Facts, gather
from service.doctor.finding import Finding
from service.doctor.findings import FINDINGS, findings, saw

__all__ = ["FINDINGS", "Facts", "Finding", "findings", "gather", "saw"]
