"""What is planted in the shop's data: the answers that lessons and tests must find again.

Rates are whole numbers (per cent or per mille), so that no machine rounds them differently.
"""

from datetime import date
from enum import StrEnum

from course.settings import TODAY

TABLES = ("customers", "products", "orders", "order_items", "web_events")

# The scale is the number of orders; there are a tenth as many customers, about 2.5 times as many
# items and about 5 times as many web events.
DEFAULT_SCALE = 20_000
SMALLEST_SCALE, LARGEST_SCALE = 1_000, 1_000_000

# The SHA-256 of the default data; when it changes, databases are loaded anew.
SHA256 = "6f6f5d62ae45bdeb019a33e941db5811bf85fe9d10f6a2d45a7adef63d9ccec4"

# Orders begin on the first day; the last day is today, whole.
FIRST_DAY, LAST_DAY = date(2022, 10, 27), TODAY

# Growth: orders a day, cleared of season, grow by this every month (1.02 ** 12: 26.8 % a year).
GROWTH_PER_MONTH = 20  # per mille

# Yearly seasonality: orders a day in a month against the average of the year, per mille.
MONTH_INDEX = (900, 880, 960, 980, 1000, 940, 900, 920, 1000, 1040, 1220, 1260)

# Weekly seasonality: orders on a weekday (Monday first) against the average day, per mille.
WEEKDAY_INDEX = (960, 920, 930, 970, 1060, 1150, 1010)

# Retention: of the customers who registered k calendar months ago, this many per mille place an
# order (of any status) in the month. Month 0 is the month of registration itself.
RETENTION = (550, 420, 360, 330, 310, 290, *(270,) * 6, *(250,) * 12, *(240,) * 13)


class Kind(StrEnum):
    """What a customer is like; it shows in recency, frequency and monetary value only."""

    DORMANT = "dormant"
    ACTIVE = "active"
    VIP = "vip"
    AT_RISK = "at risk"


# Kinds: shares per cent among the established customers, who registered before this day.
ESTABLISHED_BEFORE = date(2025, 1, 1)
KIND_SHARES = {Kind.DORMANT: 35, Kind.ACTIVE: 40, Kind.VIP: 10, Kind.AT_RISK: 15}

# Newer customers are active, but this share per cent of those who registered before
# NEWCOMERS_FROM has never ordered and counts as dormant.
NEVER_ORDERED_SHARE = 25
NEWCOMERS_FROM = date(2025, 8, 1)

# Recency: active customers and VIPs ordered in the last 90 days, customers at risk 91 to 239 days
# ago, dormant ones at least 240 days ago or never. VIPs placed at least so many orders in 365 days.
ACTIVE_WITHIN, DORMANT_AFTER, VIP_ORDERS = 90, 240, 14

# Pairs: of 1,000 orders, how many hold both products, only the first, only the second.
PAIRS = {
    ("Smartphone Alto 5", "Phone Case Clear"): (7, 18, 28),
    ("Espresso Machine Lumo", "Coffee Beans 1 kg"): (6, 19, 34),
    ("Two-Person Tent", "Sleeping Bag"): (5, 15, 20),
    ("Running Shoes Swift", "Running Socks 3-Pack"): (8, 24, 42),
    ("Yoga Mat", "Yoga Block"): (6, 24, 44),
}

# Concentration: so many products (20 % of the catalogue) bring this share of revenue, per cent.
A_PRODUCTS, A_REVENUE_SHARE = 24, 80

# Outliers: one order in so many has a line of 40 to 80 pieces; all other lines have 4 at most.
OUTLIER_EVERY, OUTLIER_QUANTITY, NORMAL_QUANTITY = 500, (40, 80), 4

# Statuses: cancelled and refunded orders per 1,000 orders of a channel; the rest is completed.
CANCELLED = {"web": 40, "mobile": 60, "store": 10}
REFUNDED = {"web": 50, "mobile": 50, "store": 30}
CHANNEL_SHARES = {"web": 50, "mobile": 35, "store": 15}  # per cent of orders

# Price change: one category became dearer on one day.
PRICE_CHANGE_CATEGORY, PRICE_CHANGE_ON, PRICE_CHANGE = "Kitchen", date(2025, 2, 1), 8  # per cent

# Funnel of the last 180 days, counted in sessions: of those with a view, how many per cent reach
# the cart, and of those the checkout. The experiment is about the last step, checkout to purchase.
EVENTS_FROM = date(2025, 4, 30)
CART_RATE, CHECKOUT_RATE = 25, 50
PURCHASE_RATE = {"A": 60, "B": 66}


def lift(both: int, first: int, second: int) -> float:
    """Lift of a pair out of 1,000 orders: P(both) / (P(first) * P(second))."""
    return 1000 * both / ((both + first) * (both + second))
