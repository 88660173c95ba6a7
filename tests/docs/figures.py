"""The figures in Module 8's documents, and where the course says the same.

(what a document says, a file, what the file says there). The numbers of the first must be among
those of the last. What a lesson prints stands in its transcript, what it checks in its source.
"""

import re
from functools import cache

from course.settings import ROOT
from tests.docs.pages import STEPS, Page, lessons

LESSONS = {number: entry.path for number, entry in lessons().items()}
PRINTED = {number: f"tests/transcripts/data_{number}.txt" for number in LESSONS}
FOLDER = "advanced_examples/data_services"

FIGURES = [
    ("1,029 queries", PRINTED["01"], "lazy 1029"),
    ("The query that became 1,029", PRINTED["01"], "lazy 1029"),
    ("Why 28 for the cities, not another 1,000", PRINTED["01"],
     "lazy: 1 + 1,000 addresses + 28 cities"),
    ("with 4 queries here", PRINTED["01"], "selectinload 4"),
    ("instead of 2,000 objects", PRINTED["01"], "Seven rows come back instead of 2,000 objects"),
    ("Anna adds 10 points, Ivan 5", f"{FOLDER}/sqlalchemy_parts/locking.py",
     "Anna adds 10 points to what she read, and Ivan 5"),
    ("Without a version Anna's 10", PRINTED["01"], "without a version Anna's 10 are lost"),
    ("200 customers instead of 2,000", LESSONS["02"], "CUSTOMERS, FEWER_CUSTOMERS = 2_000, 200"),
    ("takes 200 customers", LESSONS["02"], "CUSTOMERS, FEWER_CUSTOMERS = 2_000, 200"),
    ("a document ends at 16 MiB", LESSONS["02"], "LARGEST = 16 * 1024 * 1024"),
    ("has 128 places", LESSONS["03"], "@lru_cache(maxsize=128)"),
    ("a speed-up of 11,456x", LESSONS["03"], "claims 11,456x"),
    ("Counted in calls, 11,456x", LESSONS["03"], "CLAIMED = 11_456"),
    ("is passed at n = 26", LESSONS["03"], "{CLAIMED:,}x is passed at n = 26"),
    ("500 callers at once", PRINTED["03"], "The stampede: 500 callers miss at the same moment"),
    ("Step 13 kills a Redis", PRINTED["03"], "13 Redis is killed in mid-run"),
    ("step 13 is skipped", PRINTED["03"], "13 Redis is killed in mid-run"),
    ("takes 5 s", LESSONS["04"], "SEND_EMAIL, RECOMMEND = 5, 10"),
    ("`generate_recommendations` 10 s", LESSONS["04"], "SEND_EMAIL, RECOMMEND = 5, 10"),
    ("After 10 s", LESSONS["04"], "SEND_EMAIL, RECOMMEND = 5, 10"),
    ("within 15 ms", LESSONS["04"], "the request answers within 15 ms"),
    ("20 instead of 10", LESSONS["04"], "naive consumer pays twice\", got[2] == 20) "
     "lesson.check(\"with the table of processed ids the effect is once\", got[3] == 10)"),
    ("30 % off", f"{FOLDER}/shop_profile/engine.py", 'DORMANT: "30 % off"'),
    ("than 617", PRINTED["05"], "dormant 617"),
    ("1,000, 155 and 228", PRINTED["05"],
     "active 1000 30 4 personalised goods vip 155 12 58 exclusive preview and support at risk 228"),
    ("says 53 % and 41 % left", PRINTED["05"], "it says too much (53%, not 41%)"),
    ("the AUC is near 1", PRINTED["05"], "recency 90 days later is such a lie (AUC 1.00)"),
    ("lift 10", PRINTED["05"], "Two-Person Tent + Sleeping Bag 0.500 25.0 10.00"),
    ("on 120 products", PRINTED["05"], "with 120 products you can count"),
    ("50 meetings at least", PRINTED["05"], "asks for 50 meetings at least"),
    ("why 503 for one user", LESSONS["06"], 'lesson.check("who is not gets 503"'),
    ("401, 404, 422", LESSONS["06"], 'lesson.check("401, 404, 422"'),
    ("exit code 69", "course/errors.py", "0, 1, 2, 69, 130"),
    ("kill -9", LESSONS["04"], "killed with -9"),
]  # fmt: skip

# Numbers that are no figures, or that a test of their own looks at.
OTHERS = (
    r"^(#+) \S*\d\S* ", r"\(\d+ minutes\)", r"Everything is \d+ minutes", r"`[^`\n]*`",
    r"\]\([^)]*\)", r"^    .*$", r"(Module|Day|Theme|tasks?|day) \d( and \d)?", r"\bN\+1\b",
    r"companion(\s+guide's)?\s+\d\.\d(( and | to )\d\.\d)*", r"\bfor 1\.4", r"Decimal128",
    r"\buser (2|123)\b", r"\[test_\d\d_\w+\.py", r"\bn = 5\b",
)  # fmt: skip
COLUMNS = ("from", "to", "minutes", "day", "after day", "lesson", "sections", "theme", "step",
           "title", "n", "tier", "claimed", "measured here", "where the answer is")  # fmt: skip


@cache
def source_text(file: str) -> str:
    """A file's text, with single spaces instead of columns and lines; YAML as it is."""
    text = (ROOT / file).read_text(encoding="utf-8")
    return text if file.endswith(".yml") else " ".join(text.split())


def figures_left(page: Page) -> list[str]:
    """The lines and cells with a number that nothing checks."""
    text = re.sub(r"^\|.*$", "", page.prose, flags=re.MULTILINE)
    cells = [cell for table in page.tables() for row in table for column, cell in row.items()
             if column not in COLUMNS]  # fmt: skip
    text = "\n".join([text, *cells])
    for pattern in (STEPS.pattern, *OTHERS):
        text = re.sub(pattern, " ", text, flags=re.MULTILINE)
    for phrase, _, _ in FIGURES:
        words = re.escape(re.sub(r"`[^`]*`", " ", phrase).strip()).replace(r"\ ", r"\s+")
        text = re.sub(words, " ", text)
    return [line for line in text.splitlines() if re.search(r"\d", line)]
