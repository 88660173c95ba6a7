"""The customers of the course's shop, to be read and never changed."""

from psycopg2.extensions import connection as Connection  # noqa: N812

from customer_service.domain import Customer, Email, UnknownCustomer
from customer_service.ports import ICustomerReader


class ShopCustomers(ICustomerReader):
    """A reader over the table `public.customers`, which knows neither points nor versions."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, customer_id: str) -> Customer:
        found = self._read("WHERE customer_id::text = %s", customer_id)
        if not found:
            raise UnknownCustomer(customer_id)
        return found[0]

    def find_by_email(self, email: Email) -> Customer | None:
        return next(iter(self._read("WHERE lower(email) = %s", email)), None)

    def get_all(self) -> list[Customer]:
        return self._read('ORDER BY email COLLATE "C"')

    def _read(self, rest: str, *values: str) -> list[Customer]:
        query = "SELECT name, email, 0, false, customer_id::text FROM public.customers"
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute(f"{query} {rest}", values)
            return [Customer(*row) for row in cursor]
