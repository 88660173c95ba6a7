"""First it is true, then it is told; a handler's failure is kept, and disturbs nobody."""

from collections.abc import Callable

Handler = Callable[[str], None]


class Registration:
    """Registers customers and tells the handlers."""

    def __init__(self, save: Callable[[str], None], handlers: list[Handler]) -> None:
        self.save, self.handlers = save, handlers
        self.failures: list[tuple[Handler, Exception]] = []

    def register(self, email: str) -> None:
        """Save the customer and tell everybody; the error of `save` comes out."""
        self.save(email)
        for handler in self.handlers:
            try:
                handler(email)
            except Exception as error:
                self.failures.append((handler, error))
