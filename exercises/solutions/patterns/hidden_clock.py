"""Clock and sender are given: on any day of any year, without a mail server."""

from collections.abc import Callable
from datetime import date, datetime, timedelta


class Reminders:
    """Reminds customers of a payment, once, when it is due within three days."""

    def __init__(
        self, due: dict[str, date], clock: Callable[[], datetime], send: Callable[[str, str], None]
    ) -> None:
        self.due, self.clock, self.send = due, clock, send
        self.reminded: set[str] = set()

    def remind(self) -> list[str]:
        """The emails of those who were reminded now."""
        today = self.clock().date()
        soon = [
            email
            for email, day in self.due.items()
            if today <= day <= today + timedelta(days=3) and email not in self.reminded
        ]
        for email in soon:
            self.send(email, f"due on {self.due[email]}")
            self.reminded.add(email)
        return soon
