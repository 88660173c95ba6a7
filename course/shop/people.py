"""The customers: who they are, when they registered and how they behave."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from course.shop.dice import Dice, apportion, deck
from course.shop.seasons import DAY_TEXTS, DAYS, day_number, month_number, months
from course.shop.truths import (
    DEFAULT_SCALE,
    ESTABLISHED_BEFORE,
    KIND_SHARES,
    NEVER_ORDERED_SHARE,
    NEWCOMERS_FROM,
    Kind,
)

CUSTOMERS_PER_ORDER = 10  # one customer for so many orders

# How many register in the first months; afterwards so many a month, a little more each month.
# (Proportions: the scale decides how many customers there are.)
OPENING_RUSH = (70, 200, 100, 60, 60)
REGISTRATIONS_A_MONTH = 32

CITIES = {
    "Ukraine": "Kyiv Kyiv Kyiv Lviv Lviv Odesa Odesa Kharkiv Dnipro Vinnytsia Poltava Chernivtsi",
    "Poland": "Warsaw Krakow Wroclaw Gdansk",
    "Germany": "Berlin Munich Hamburg Leipzig",
    "France": "Paris Lyon Nantes",
    "Spain": "Madrid Valencia Seville",
    "Italy": "Milan Turin Bologna",
    "Netherlands": "Amsterdam Utrecht Rotterdam",
}
COUNTRY_SHARES = {
    "Ukraine": 58,
    "Poland": 14,
    "Germany": 10,
    "France": 5,
    "Spain": 4,
    "Italy": 4,
    "Netherlands": 5,
}
FIRST_NAMES = {
    "Ukraine": "Olena Iryna Oksana Natalia Kateryna Yulia Sofia Daryna Halyna Svitlana Anna Maria "
    "Andrii Oleksandr Serhii Dmytro Taras Bohdan Maksym Ivan Mykola Vasyl Yurii Petro",
    "Poland": "Anna Maria Katarzyna Agnieszka Zofia Ewa Piotr Tomasz Jan Pawel Michal Jakub",
    "Germany": "Anna Lena Julia Sophie Hanna Klara Lukas Jonas Felix Max Paul Leon",
    "France": "Camille Julie Claire Emma Louise Alice Louis Hugo Antoine Lucas Pierre Paul",
    "Spain": "Lucia Carmen Marta Paula Sara Elena Pablo Javier Diego Carlos Alvaro Daniel",
    "Italy": "Giulia Chiara Sara Martina Elisa Francesca Marco Luca Matteo Andrea Paolo Davide",
    "Netherlands": "Emma Sanne Lotte Anouk Femke Eva Daan Sem Lars Bram Thijs Jasper",
}
LAST_NAMES = {
    "Ukraine": "Shevchenko Kovalenko Bondarenko Tkachenko Kravchenko Oliinyk Shevchuk Koval "
    "Polishchuk Bondar Tkachuk Moroz Marchenko Lysenko Rudenko Savchenko Petrenko Melnyk Klymenko "
    "Pavlenko Kravets Honchar Hrytsenko Didenko",
    "Poland": "Nowak Wojcik Mazur Wozniak Kaczmarek Zajac Pawlak Walczak Stepien Sikora",
    "Germany": "Mueller Schmidt Fischer Weber Wagner Becker Hoffmann Koch Richter Klein",
    "France": "Martin Bernard Dubois Robert Richard Petit Durand Leroy Moreau Simon",
    "Spain": "Garcia Lopez Martinez Sanchez Perez Gomez Ruiz Diaz Moreno Navarro",
    "Italy": "Rossi Russo Ferrari Bianchi Romano Colombo Ricci Marino Greco Conti",
    "Netherlands": "Jansen Bakker Visser Smit Meijer Mulder Bos Vos Peters Dekker",
}
DIALLING_CODES = {
    "Ukraine": 380,
    "Poland": 48,
    "Germany": 49,
    "France": 33,
    "Spain": 34,
    "Italy": 39,
    "Netherlands": 31,
}
PHONE_SHARE, OPT_IN_SHARE = 88, 62  # per cent

# How eagerly a kind buys, one of these numbers a customer: purchase rates differ within a kind.
EAGERNESS = {
    Kind.DORMANT: (2, 3, 3, 4, 6),
    Kind.ACTIVE: (1, 1, 2, 2, 3, 4, 6),
    Kind.VIP: (16, 18, 20, 26),
    Kind.AT_RISK: (4, 5, 6, 8),
}
# Months after registration for which a dormant customer stayed, 0 for one visit; None never came.
DORMANT_STAYS = (None, None, 0, 0, 1, 2, 3, 5, 9, 14)
AT_RISK_LAST_MONTHS = (29, 30, 31, 32)  # March to June 2025, counted from October 2022
LAST_DORMANT_MONTH = 28  # February 2025
NEVER, FOR_EVER = -1, 99


@dataclass(frozen=True, slots=True)
class Population:
    """What the generator knows about the customers, by index (customer_id - 1)."""

    registered: list[int]  # day number, ascending
    kinds: list[Kind]
    groups: list[str]
    eagerness: list[int]
    last_month: list[int]  # month number of the last possible order; NEVER, FOR_EVER

    def __len__(self) -> int:
        return len(self.registered)


@lru_cache(maxsize=2)
def population(scale: int) -> Population:
    """The customers of a shop with `scale` orders."""
    dice = Dice(2022)
    registered = _registrations(scale // CUSTOMERS_PER_ORDER, dice)
    kinds = _kinds(registered, dice)
    groups = deck(dice, {"A": 10, "B": 10})
    return Population(
        registered=registered,
        kinds=kinds,
        groups=[next(groups) for _ in registered],
        eagerness=[dice.pick(EAGERNESS[kind]) for kind in kinds],
        last_month=[
            _last_month(kind, day, dice) for kind, day in zip(kinds, registered, strict=True)
        ],
    )


def kind_of(customer_id: int, scale: int = DEFAULT_SCALE) -> Kind:
    """The kind that was planted for a customer; the database doesn't hold it."""
    return population(scale).kinds[customer_id - 1]


def _registrations(customers: int, dice: Dice) -> list[int]:
    """The day of registration of each customer; whoever came in the first month came on day 0."""
    all_months = months()
    weights = [
        1000 * OPENING_RUSH[month.number]
        if month.number < len(OPENING_RUSH)
        else (1000 * REGISTRATIONS_A_MONTH + 300 * month.number) * month.days // 30
        for month in all_months
    ]
    days: list[int] = []
    for month, count in zip(all_months, apportion(customers, weights), strict=True):
        spread = month.days if month.number else 1
        days += sorted(month.first_day + dice.below(spread) for _ in range(count))
    return days


def _kinds(registered: list[int], dice: Dice) -> list[Kind]:
    established = deck(dice, KIND_SHARES)
    newer = deck(dice, {Kind.DORMANT: NEVER_ORDERED_SHARE, Kind.ACTIVE: 100 - NEVER_ORDERED_SHARE})
    first, second = day_number(ESTABLISHED_BEFORE), day_number(NEWCOMERS_FROM)
    return [
        next(established) if day < first else next(newer) if day < second else Kind.ACTIVE
        for day in registered
    ]


def _last_month(kind: Kind, registered: int, dice: Dice) -> int:
    if kind in (Kind.ACTIVE, Kind.VIP):
        return FOR_EVER
    if kind is Kind.AT_RISK:
        return dice.pick(AT_RISK_LAST_MONTHS)
    stay = dice.pick(DORMANT_STAYS)
    if stay is None or registered >= day_number(ESTABLISHED_BEFORE):
        return NEVER
    return min(month_number(DAYS[registered]) + stay, LAST_DORMANT_MONTH)


def customer_rows(scale: int) -> Iterator[str]:
    """The rows of the table customers, as text for COPY."""
    people, dice = population(scale), Dice(380)
    running = [sum(list(COUNTRY_SHARES.values())[: end + 1]) for end in range(len(COUNTRY_SHARES))]
    countries = list(COUNTRY_SHARES)
    for index, (day, group) in enumerate(zip(people.registered, people.groups, strict=True)):
        country = countries[dice.weighted(running)]
        first = dice.pick(FIRST_NAMES[country].split())
        last = dice.pick(LAST_NAMES[country].split())
        city = dice.pick(CITIES[country].split())
        # No dialling area is called 00: nobody has these numbers.
        number = f"+{DIALLING_CODES[country]} 00 {dice.below(10**7):07d}"
        phone = number if dice.chance(PHONE_SHARE) else r"\N"
        opt_in = "t" if dice.chance(OPT_IN_SHARE) else "f"
        email = f"{first}.{last}{index + 1}@example.com".lower()
        yield (
            f"{index + 1}\t{first} {last}\t{email}\t{phone}\t{city}\t{country}\t"
            f"{DAY_TEXTS[day]}\t{group}\t{opt_in}\n"
        )
