"""What stays, what goes, what is counted, and how much work it is."""

from course.exercises import count_calls, expect, expect_error, require


def filled(their, size: int, *keys):
    """A cache into which those keys were put, each with its own letter as the value."""
    cache = their.LRU(size)
    for key in keys:
        cache.put(key, key.upper())
    return cache


def what_is_in(cache, keys: str) -> str:
    return "".join(key for key in keys if cache.get(key, "-") != "-")


def check_keeps(their):
    """What was put is found"""
    cache = filled(their, 2, "a", "b")
    expect([cache.get("a"), cache.get("b"), cache.get("c")], ["A", "B", None])
    expect(cache.get("c", 0), 0, "The default comes back for what isn't there.")
    expect(len(cache), 2)


def check_forgets(their):
    """The one not used for longest goes"""
    expect(what_is_in(filled(their, 2, "a", "b", "c"), "abc"), "bc", "a was put first.")


def check_get_uses(their):
    """Who was asked for was used"""
    cache = filled(their, 2, "a", "b")
    cache.get("a")
    cache.put("c", "C")
    expect(what_is_in(cache, "abc"), "ac", "a was asked for after b was put: b goes.")


def check_put_again(their):
    """Who is written again was used, and is there once"""
    cache = filled(their, 2, "a", "b")
    cache.put("a", "new")
    expect(len(cache), 2, "The same key takes one place.")
    cache.put("c", "C")
    expect((cache.get("a"), cache.get("b")), ("new", None), "a was written after b: b goes.")


def check_counts(their):
    """Hits and misses are counted, None is a value"""
    cache = their.LRU(2)
    cache.put("nobody", None)
    expect(cache.get("nobody", "default"), None, "None was put, so None is found.")
    cache.get("x")
    expect((cache.hits, cache.misses), (1, 1), "(hits, misses)")


def check_size(their):
    """A size below 1 is refused"""
    with expect_error(ValueError, "A cache of 0 places keeps nothing."):
        their.LRU(0)
    expect(what_is_in(filled(their, 1, "a", "b"), "ab"), "b", "A cache of one place is one.")


def check_work(their):
    """A large cache works as fast as a small one"""

    def some_work(cache) -> None:
        for number in range(50):
            cache.put(("new", number), number)
            cache.get(("new", number))

    small, large = their.LRU(100), their.LRU(5_000)
    for number in range(5_000):
        small.put(number, number)
        large.put(number, number)
    few, many = count_calls(some_work, small), count_calls(some_work, large)
    require(
        many < 3 * few,
        f"{few:,} calls with 100 places, {many:,} with 5,000",
        "Looking for the oldest in all keys takes longer the more there are. OrderedDict knows it.",
    )
