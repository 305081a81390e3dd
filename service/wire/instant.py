"""How an instant is written in every JSON that leaves the house: `2026-05-11T12:00:00.123456Z` (RFC 3339, UTC)."""

from datetime import UTC, datetime


def instant(at: datetime) -> str:
    """`at` (aware) with six digits of a second and `Z`, so that the texts sort like the times."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
