"""Count a file of sales with Dask on this machine; say how long, and fail if the answer differs.

    worker.py FILE [SCHEDULER]

Runs in the environment of this folder, which has Dask and not the course.
"""

import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDERS = [str(ROOT), str(ROOT / "advanced_edition")]
sys.path += FOLDERS


def main() -> None:
    """Both ways, and whether they agree."""
    os.environ["PYTHONPATH"] = os.pathsep.join(FOLDERS)  # for the workers that Dask starts
    from streaming_analytics.engines import count_section, count_with_dask

    path, scheduler = Path(sys.argv[1]), "".join(sys.argv[2:])
    start = time.perf_counter()
    found = count_with_dask(path, scheduler=scheduler, sketches=True).get_summary()
    print(f"Dask, two workers: {found['rows']:,} rows in {time.perf_counter() - start:.2f} s")
    sys.exit(found != count_section(path, None, True).get_summary())


if __name__ == "__main__":
    main()
