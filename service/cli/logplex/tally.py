"""What became of all that was sent, in numbers."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """What became of all that a node was given, so far. `repeats`: tries after the first; `answers`: by status, 0 where none
    came; `slowest_s`: the longest that an answer took."""

    frames: int = 0
    messages: int = 0
    repeats: int = 0
    lost_messages: int = 0
    last_refusal: str = ""
    answers: dict[int, int] = field(default_factory=dict)
    slowest_s: float = 0.0

    def __add__(self, other: "Tally") -> "Tally":
        """Both together."""
        statuses = sorted({*self.answers, *other.answers})
        return Tally(
            frames=self.frames + other.frames,
            messages=self.messages + other.messages,
            repeats=self.repeats + other.repeats,
            lost_messages=self.lost_messages + other.lost_messages,
            last_refusal=other.last_refusal or self.last_refusal,
            answers={one: self.answers.get(one, 0) + other.answers.get(one, 0) for one in statuses},
            slowest_s=max(self.slowest_s, other.slowest_s),
        )
