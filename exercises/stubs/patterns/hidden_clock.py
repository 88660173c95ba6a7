"""A clock that no test can turn.

`Reminders` reads the machine's clock and opens its own mail connection. So nobody can test what it
does on the last day of a month, and a test sends real mail. Somebody began to repair it: the clock
and the sender are given as arguments, but they aren't used. Finish it. All dates are in UTC.

`clock()` gives the time now, `send(email, text)` sends a mail.
"""

import smtplib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta


class Reminders:
    """Reminds customers of a payment, once, when it is due within three days."""

    def __init__(
        self, due: dict[str, date], clock: Callable[[], datetime], send: Callable[[str, str], None]
    ) -> None:
        self.due, self.clock, self.send = due, clock, send
        self.reminded: set[str] = set()

    def remind(self) -> list[str]:
        """The emails of those who were reminded now."""
        # TODO: no clock and no mail server of its own.
        today = datetime.now(UTC).date()
        soon = [
            email
            for email, day in self.due.items()
            if today <= day <= today + timedelta(days=3) and email not in self.reminded
        ]
        for email in soon:
            with smtplib.SMTP("localhost", timeout=1) as server:
                server.sendmail("shop@example.com", email, f"due on {self.due[email]}")
            self.reminded.add(email)
        return soon
