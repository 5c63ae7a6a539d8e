"""What is wrong with a pack or its parameters: one Problem each, all of them in one PackError. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: where, why, and what to do about it."""

    key: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}; remedy: {self.remedy}"


class PackError(ValueError):
    """A pack or its parameters are refused; all problems at once, each with file, key, reason and remedy."""

    def __init__(self, file: str, problems: tuple[Problem, ...]) -> None:
        self.file = file
        self.problems = problems
        super().__init__("\n".join(f"{file}: {problem}" for problem in problems))


class NotInForceError(PackError):
    """The day lies outside the document's validity."""
