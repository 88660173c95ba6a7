"""Saving fails, a handler fails, nobody fails."""

from course.exercises import expect, expect_error, require


class Story:
    """Writes down what happened, in order; saving or greeting may fail."""

    def __init__(self, their, broken: str = "") -> None:
        self.lines: list[str] = []
        self.broken = broken
        self.registration = their.Registration(self.save, [self.greet, self.note])

    def happen(self, what: str) -> None:
        if self.broken == what:
            raise ConnectionError(f"{what} failed")
        self.lines.append(what)

    def save(self, email: str) -> None:
        self.happen("save")

    def greet(self, email: str) -> None:
        self.happen("greet")

    def note(self, email: str) -> None:
        self.happen("note")


def check_order(their):
    """First it is saved, then it is told"""
    story = Story(their)
    story.registration.register("ann@example.com")
    expect(story.lines, ["save", "greet", "note"], "Tell what has happened, not what may happen.")


def check_save_fails(their):
    """What wasn't saved is told to nobody"""
    story = Story(their, broken="save")
    with expect_error(ConnectionError, "The error of save comes out: the person must know."):
        story.registration.register("ann@example.com")
    expect(story.lines, [], "Nobody may be greeted who isn't in the database.")


def check_handler_fails(their):
    """A handler that fails disturbs nobody, and isn't forgotten"""
    story = Story(their, broken="greet")
    try:
        story.registration.register("ann@example.com")
    except ConnectionError:
        require(
            False,
            "the error of a handler came out",
            "The customer is registered: for them, nothing failed.",
        )
    expect(story.lines, ["save", "note"], "The other handlers are told all the same.")
    failures = story.registration.failures
    expect(
        [(handler.__name__, str(error)) for handler, error in failures],
        [("greet", "greet failed")],
        "Keep (handler, error) in self.failures.",
    )
