"""Ids, emails, and what isn't there."""

from course.exercises import expect, expect_error


def people(their):
    """A repository with Ann and Bob."""
    repository = their.InMemoryRepository()
    ann = repository.add(their.Customer("Ann", "ann@example.com"))
    bob = repository.add(their.Customer("Bob", "bob@example.com"))
    return repository, ann, bob


def check_add(their):
    """Who is added gets an id"""
    _, ann, bob = people(their)
    expect((ann.id, bob.id), (1, 2), "add() returns a copy of the customer with its id.")
    expect((ann.name, ann.email), ("Ann", "ann@example.com"), "The rest of it stays.")


def check_get(their):
    """Who was added is found, who wasn't is a LookupError"""
    repository, ann, bob = people(their)
    expect(repository.get(2), bob)
    expect(repository.get_all(), [ann, bob], "The first added first.")
    with expect_error(LookupError, "Nobody has id 99 (KeyError is a LookupError, too)."):
        repository.get(99)


def check_email(their):
    """An email is taken once, however it is spelt"""
    repository, ann, bob = people(their)
    with expect_error(ValueError, "ann@example.com is taken, ANN@example.com is the same address."):
        repository.add(their.Customer("Anna", "ANN@example.com"))
    expect(repository.get_all(), [ann, bob], "Nothing is kept of the one who was refused.")


def check_remove(their):
    """Who is removed is gone, and the id with them"""
    repository, ann, _ = people(their)
    repository.remove(2)
    expect(repository.get_all(), [ann])
    with expect_error(LookupError, "Bob is gone already."):
        repository.remove(2)
    cem = repository.add(their.Customer("Cem", "bob@example.com"))
    expect(cem.id, 3, "Bob's email is free again, his id isn't.")


def check_two(their):
    """Two repositories have nothing in common"""
    people(their)
    expect(
        their.InMemoryRepository().get_all(), [], "Keep the dictionary on self, not on the class."
    )
