"""Who buys: in each month a planted share of every cohort, the eager ones more than once."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate, groupby

from course.shop.dice import Dice, Share
from course.shop.people import FOR_EVER, Population
from course.shop.seasons import DAY_SECONDS, DAYS, Month, month_number
from course.shop.truths import EVENTS_FROM, LAST_DAY, RETENTION, Kind

EXPERIMENT_MONTH = month_number(EVENTS_FROM) + 1
LAST_MONTH = month_number(LAST_DAY)
RECENT_MONTH = LAST_MONTH - 2  # since its first day, fewer than 90 days have passed
# A group B visitor buys more often once the experiment runs, since the checkout loses fewer.
B_BONUS = {"A": 100, "B": 125}


class Buyers:
    """Chooses who orders, month after month; call `in_month` with the months in turn."""

    def __init__(self, people: Population, dice: Dice) -> None:
        self._people, self._dice = people, dice
        self._cohorts = {
            number: list(customers)
            for number, customers in groupby(
                range(len(people)), lambda index: month_number(DAYS[people.registered[index]])
            )
        }
        self._due = [Share(rate, 1000) for rate in RETENTION]
        self._seen = [-1] * len(people)  # the month number of the last order

    def in_month(self, month: Month, times: Sequence[int]) -> list[int]:
        """The buyer of each order of `month`, in the order of its `times`."""
        active = []
        for number, cohort in self._cohorts.items():
            if number <= month.number:
                due = self._due[month.number - number].of(len(cohort))
                active += self._active(month.number, number, cohort, due)
        for customer in active:
            self._seen[customer] = month.number
        more = list(self._again(active, month.number, len(times) - len(active)))
        return self._place(active + more, month, times)

    def _active(self, now: int, born: int, cohort: list[int], count: int) -> list[int]:
        """`count` customers of a cohort: first those who must buy now, then the more eager ones."""
        chosen, keys = [], []
        for customer in cohort:
            if self._people.last_month[customer] < now:
                continue
            if self._must(customer, now, born):
                chosen.append(customer)
            else:
                weight = self._people.eagerness[customer] * self._urgency(customer, now)
                keys.append((self._dice.random() / weight, customer))
        keys.sort()
        return chosen + [customer for _, customer in keys[: max(0, count - len(chosen))]]

    def _must(self, customer: int, now: int, born: int) -> bool:
        """Whether the customer's kind would not show without an order in this month."""
        last = self._people.last_month[customer]
        if last == FOR_EVER:
            return now == LAST_MONTH and born < RECENT_MONTH and self._seen[customer] < RECENT_MONTH
        if self._people.kinds[customer] is Kind.AT_RISK:
            return now == last
        return now == born

    def _urgency(self, customer: int, now: int) -> int:
        """More than 1 for those who would have to buy in the last month if they did not now."""
        return 5 if now > RECENT_MONTH and self._seen[customer] < RECENT_MONTH else 1

    def _again(self, active: list[int], now: int, count: int) -> Iterator[int]:
        """`count` further orders of the month's buyers, more for the eager ones."""
        bonus = B_BONUS if now >= EXPERIMENT_MONTH else dict.fromkeys(B_BONUS, 100)
        weights = accumulate(
            self._people.eagerness[customer] * bonus[self._people.groups[customer]]
            for customer in active
        )
        running = list(weights)
        for _ in range(count):
            yield active[self._dice.weighted(running)]

    def _place(self, buyers: list[int], month: Month, times: Sequence[int]) -> list[int]:
        """Give each order its buyer, nobody an order before registration."""
        registered, dice = self._people.registered, self._dice
        settled = [customer for customer in buyers if registered[customer] <= month.first_day]
        newcomers = [customer for customer in buyers if registered[customer] > month.first_day]
        owners: list[int | None] = [None] * len(times)
        # The latest have the fewest places to choose from, so they choose first.
        for customer in sorted(newcomers, reverse=True):
            start = bisect_left(times, registered[customer] * DAY_SECONDS)
            place = self._free_place(owners, start)
            if place is not None:
                owners[place] = customer
        waiting = list(settled)
        dice.shuffle(waiting)
        return [
            owner if owner is not None else waiting.pop() if waiting else dice.pick(settled)
            for owner in owners
        ]

    def _free_place(self, owners: list[int | None], start: int) -> int | None:
        """A random place from `start` on that nobody has yet; None when there is none."""
        for _ in range(8):
            place = self._dice.between(start, len(owners))
            if place < len(owners) and owners[place] is None:
                return place
        free = [place for place in range(start, len(owners)) if owners[place] is None]
        return self._dice.pick(free) if free else None
