"""Told before it was true.

When somebody registers, handlers are told: one greets by mail, one writes a line. Twice this week
a person was greeted who isn't in the database. And when the mail server was away, people who
*were* in the database saw an error and registered again. Repair `register`:

- first save, then tell; if saving fails, nobody is told;
- a handler that fails disturbs neither the customer nor the other handlers. Its error is kept in
  `failures`, as (the handler, the error).
"""

from collections.abc import Callable

Handler = Callable[[str], None]


class Registration:
    """Registers customers and tells the handlers."""

    def __init__(self, save: Callable[[str], None], handlers: list[Handler]) -> None:
        self.save, self.handlers = save, handlers
        self.failures: list[tuple[Handler, Exception]] = []

    def register(self, email: str) -> None:
        """Save the customer and tell everybody; the error of `save` comes out."""
        # TODO: in which order, and who may fail?
        for handler in self.handlers:
            handler(email)
        self.save(email)
