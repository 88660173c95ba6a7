"""Two orders in a month count once, and a cohort that never ordered has its row."""

from datetime import date

from course.exercises import expect

TABLES = """
    CREATE TEMP TABLE customers (customer_id int, registration_date date);
    CREATE TEMP TABLE orders (order_id int, customer_id int, ordered_at timestamptz);
    INSERT INTO customers VALUES
        (1, '2024-11-30'), (2, '2024-11-02'), (3, '2024-12-24'), (4, '2025-02-01');
    INSERT INTO orders VALUES
        (1, 1, '2024-11-30 12:00+00'), (2, 1, '2024-12-01 08:00+00'),
        (3, 1, '2024-12-20 08:00+00'), (4, 2, '2025-01-03 08:00+00'),
        (5, 3, '2024-12-31 23:59+00'), (6, 3, '2025-06-01 08:00+00');
"""


def check_small(their):
    """Each customer counts once a month, and each cohort has its row"""
    rows = their.rows(TABLES)
    names = ["cohort", "customers", "active_0", "active_1", "active_2"]
    expect(their.columns, names, "The columns, in this order.")
    expect(
        [(str(row[0])[:10], *row[1:]) for row in rows],
        [
            ("2024-11-01", 2, 1, 1, 1),
            ("2024-12-01", 1, 1, 0, 0),
            ("2025-02-01", 1, 0, 0, 0),
        ],
        "Customer 1 ordered on the last day of November and twice in December: months 0 and 1.",
    )
    expect(rows[0][0], date(2024, 11, 1), "cohort is a date: cast it with ::date.")


def check_shop(their):
    """The shop's planted retention: 55 %, 42 % and 36 %"""
    rows = [row for row in their.rows() if row[0] <= date(2025, 8, 1)]
    people = sum(row[1] for row in rows)
    shares = [round(100 * sum(row[k] for row in rows) / people) for k in (2, 3, 4)]
    expect(
        shares,
        [55, 42, 36],
        "Active customers of all cohorts old enough, in % of those registered.",
    )
