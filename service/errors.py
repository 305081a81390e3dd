"""What can go wrong in ways that someone can answer. Every message names the value, what was expected, and the remedy."""


class DrainwatchError(Exception):
    """The parent of all errors that drainwatch raises on purpose; `str()` of one is a sentence for a person."""


class SettingError(DrainwatchError):
    """A setting, a rule or the place it runs in is wrong: ends the start with status 1 and this one line."""


class Refused(DrainwatchError):
    """A request cannot be granted. `status` is the HTTP status; `parameter`, `column` and `expected` say where and why."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        parameter: str | None = None,
        column: int | None = None,
        expected: str | None = None,
        extra: dict[str, object] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.parameter = parameter
        self.column = column
        self.expected = expected
        self.extra = extra or {}
        self.headers = headers or {}


class StoreAway(DrainwatchError):
    """The database cannot be reached or ended the connection; the same call may succeed later (HTTP 503)."""
