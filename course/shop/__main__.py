"""Make the shop by hand, at any scale.

python -m course.shop                     the default shop into the course's PostgreSQL
python -m course.shop --scale 1000000     a million orders
python -m course.shop --dry-run           count rows and bytes, touch no database
python -m course.shop --hash              print the SHA-256 of the data, touch no database
"""

import argparse
import sys
import time
from collections import Counter

from course.errors import CourseError
from course.shop.truths import DEFAULT_SCALE, LARGEST_SCALE, SMALLEST_SCALE


def scale(text: str) -> int:
    """The number of orders in `text`; ValueError outside what the generator can do."""
    number = int(text.replace("_", ""))
    if not SMALLEST_SCALE <= number <= LARGEST_SCALE:
        raise argparse.ArgumentTypeError(f"from {SMALLEST_SCALE} to {LARGEST_SCALE}, not {number}")
    return number


def arguments(words: list[str] | None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m course.shop",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--scale", type=scale, default=DEFAULT_SCALE, help="number of orders (%(default)s)"
    )
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--dry-run", action="store_true", help="count rows and bytes only")
    instead.add_argument("--hash", action="store_true", help="print the SHA-256 only")
    return parser.parse_args(words)


def count(orders: int) -> None:
    """Print how many rows and bytes each table gets."""
    from course.shop.generate import batches

    rows: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for table, lines in batches(orders):
        rows[table] += len(lines)
        size[table] += sum(map(len, lines))
    for table in rows:
        print(f"{table:12} {rows[table]:>10,} rows {size[table]:>12,} bytes")


def main(words: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    options = arguments(words)
    start = time.perf_counter()
    if options.hash:
        from course.shop.generate import digest

        print(digest(options.scale))
        return 0
    if options.dry_run:
        count(options.scale)
    else:
        from course import connect
        from course.shop.load import load

        try:
            connection = connect.postgres()
            load(connection, options.scale)
            connection.close()
            connect.load_course_data()
        except CourseError as error:
            print(error, file=sys.stderr)
            return error.exit_code
        print(f"The shop is loaded: {options.scale:,} orders.")
    print(f"{time.perf_counter() - start:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
