"""Customers in MongoDB: one document each, and a unit of work that depends on the server.

A replica set has transactions. A single server refuses them, and so does the embedded one of this
course. There a rollback takes back what was written, in reverse order: everything is undone after
an error, but others could see it meanwhile, and a process that dies leaves what it had written.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pymongo import MongoClient
from pymongo.client_session import ClientSession
from pymongo.collection import Collection
from pymongo.errors import (
    ConnectionFailure,
    DuplicateKeyError,
    InvalidOperation,
    OperationFailure,
)

from customer_service.domain import (
    AlreadyStored,
    ConcurrentChange,
    Customer,
    DuplicateEmail,
    Email,
    UnknownCustomer,
)
from customer_service.engines.base import PATIENCE, Store
from customer_service.ports import StoreError, StoreUnavailable

Document = dict[str, Any]
FIELDS = {"_id": "customer_id"}


class MongoCustomerRepository(Store):
    """A repository over a collection whose `email` has a unique index."""

    def __init__(self, collection: Collection[Document]) -> None:
        self._collection = collection
        self._client = collection.database.client
        hello = self._client.admin.command("hello")
        self.has_transactions = "setName" in hello or hello.get("msg") == "isdbgrid"
        self._session: ClientSession | None = None
        self._undo: list[Callable[[], int]] = []

    @classmethod
    def open(cls, url: str, namespace: str) -> "MongoCustomerRepository":
        """Connect to the URL's database; the collection is called `<namespace>_customers`."""
        client: MongoClient = MongoClient(url, serverSelectionTimeoutMS=int(PATIENCE * 1_000))
        collection = client.get_default_database("learning_db")[f"{namespace}_customers"]
        try:
            collection.create_index("email", unique=True)
            return cls(collection)
        except ConnectionFailure as error:
            client.close()
            raise StoreUnavailable(f"MongoDB does not answer: {error}") from error

    def get(self, customer_id: str) -> Customer:
        found = self._one({"_id": customer_id})
        if found is None:
            raise UnknownCustomer(customer_id)
        return found

    def find_by_email(self, email: Email) -> Customer | None:
        return self._one({"email": email})

    def get_all(self) -> list[Customer]:
        with self._talking():
            found = self._collection.find(session=self._session).sort("email")
            return [as_customer(document) for document in found]

    def add(self, customer: Customer) -> None:
        document = as_document(customer)
        with self._talking(customer):
            self._collection.insert_one(document, session=self._session)
        written = {"_id": customer.customer_id, "version": customer.version}
        self._remember(lambda: self._collection.delete_one(written).deleted_count)

    def update(self, customer: Customer) -> Customer:
        changed = replace(customer, version=customer.version + 1)
        known = {"_id": customer.customer_id, "version": customer.version}
        written = {"_id": customer.customer_id, "version": changed.version}
        with self._talking(customer):
            before = self._collection.find_one_and_replace(
                known, as_document(changed), session=self._session
            )
            if before is None:
                self._refuse_update(customer)
        self._remember(lambda: self._collection.replace_one(written, before).matched_count)
        return changed

    def close(self) -> None:
        self._client.close()

    def _one(self, query: Document) -> Customer | None:
        with self._talking():
            found = self._collection.find_one(query, session=self._session)
        return as_customer(found) if found else None

    def _remember(self, undo: Callable[[], int]) -> None:
        """Note how to take a write back; `undo` returns 0 where that can't be done any more."""
        if self._open and not self.has_transactions:
            self._undo.append(undo)

    def _begin(self) -> None:
        self._undo = []
        if self.has_transactions:
            self._session = self._client.start_session()
            self._session.start_transaction()

    def _commit(self) -> None:
        if self._session:
            self._session.commit_transaction()
            self._end_session()

    def _rollback(self) -> None:
        if self._session:
            self._session.abort_transaction()
            self._end_session()
            return
        # What somebody else has changed since is theirs: it stays, and that is said.
        stayed = [undo for undo in reversed(self._undo) if not undo()]
        if stayed:
            raise StoreError(f"{len(stayed)} writes were changed by others and could not be undone")

    def _end_session(self) -> None:
        if self._session:
            self._session.end_session()
        self._session = None

    def _translated(self, error: Exception, customer: Customer | None) -> Exception | None:
        if isinstance(error, DuplicateKeyError) and customer:
            pattern = (error.details or {}).get("keyPattern", {})
            if "_id" in pattern:
                return AlreadyStored(customer.customer_id)
            return DuplicateEmail(customer.email)
        if isinstance(error, ConnectionFailure | InvalidOperation):
            return StoreUnavailable(f"the connection to MongoDB is lost: {error}")
        if isinstance(error, OperationFailure) and error.has_error_label(
            "TransientTransactionError"
        ):
            return ConcurrentChange()
        return None


def as_document(customer: Customer) -> Document:
    """A customer as MongoDB keeps it."""
    return {
        "_id": customer.customer_id,
        "name": customer.name,
        "email": str(customer.email),
        "points": customer.points,
        "closed": customer.closed,
        "version": customer.version,
    }


def as_customer(document: Document) -> Customer:
    """The customer of a document."""
    return Customer(**{FIELDS.get(name, name): value for name, value in document.items()})
