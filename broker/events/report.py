"""What verification of the book found: problems, and what can only be stated."""

from dataclasses import dataclass, field

PROBLEMS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it was sealed: `place` is `event 17`, `seal 3` or `line 9 of the seal log`."""

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(slots=True)
class Verification:
    """The outcome: at most `PROBLEMS_MAX` problems are kept, `problem_count` counts them all."""

    problems: list[Problem] = field(default_factory=list)
    problem_count: int = 0
    statements: list[str] = field(default_factory=list)
    events: int = 0
    seals: int = 0
    lines: int = 0

    def add(self, place: str, text: str) -> None:
        """Count one more problem."""
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(place, text))
