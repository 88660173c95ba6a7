"""The same rows, and each row of the table read once (counted by the plan, not by a clock)."""

from decimal import Decimal

from course.exercises import expect, require

SMALL = """
    CREATE TEMP TABLE daily_sales (date date, revenue numeric);
    INSERT INTO daily_sales VALUES
        ('2024-12-30', 5), ('2024-12-31', 7), ('2025-01-01', 10), ('2025-01-03', 20);
"""
DAYS = 400
LARGE = f"""
    CREATE TEMP TABLE daily_sales AS
    SELECT date '2024-01-01' + n AS date, (n % 7)::numeric AS revenue
    FROM generate_series(0, {DAYS - 1}) AS n;
    ANALYZE daily_sales;
"""


def check_rows(their):
    """The total of the year so far, beginning anew in January"""
    rows = their.rows(SMALL)
    expect(their.columns, ["date", "revenue", "year_so_far"], "The columns, in this order.")
    expect([row[2] for row in rows], [Decimal(n) for n in (5, 12, 10, 30)], "year_so_far, by date.")


def check_work(their):
    """Each row of the table is read once"""
    scans = [step for step in their.plan(LARGE) if step.get("Relation Name") == "daily_sales"]
    read = sum(
        (step["Actual Rows"] + step.get("Rows Removed by Filter", 0)) * step["Actual Loops"]
        for step in scans
    )
    require(
        read <= 2 * DAYS,
        f"{read:,.0f} rows were read, the table has {DAYS}",
        "A window function walks through the sorted rows once and keeps the sum as it goes.",
    )
