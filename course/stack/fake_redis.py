"""fakeredis's server as a process of its own, for machines without a real Redis.

Run      python -m course.stack.fake_redis --port 6379
"""

import argparse

from fakeredis import TcpFakeServer


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    server = TcpFakeServer((options.host, options.port))
    server.daemon_threads = True  # an open connection must not keep the process alive
    server.serve_forever()


if __name__ == "__main__":
    main()
