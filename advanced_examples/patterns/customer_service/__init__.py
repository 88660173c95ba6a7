"""Customers with patterns: a domain, a service, and four engines that can be swapped.

Read in this order: `domain` (what a customer is), `ports` (what the service asks for), `service`
(the use cases), `engines` (who answers), `unit_of_work`, `events`, and last `factory` and
`bootstrap`, which put it together. Drivers are imported when an engine is opened, not here.
"""

from customer_service.bootstrap import Application, bootstrap, inject
from customer_service.domain import (
    AccountClosed,
    AlreadyStored,
    ConcurrentChange,
    Customer,
    CustomerError,
    CustomerRegistered,
    CustomersMerged,
    DuplicateEmail,
    Email,
    EmailChanged,
    Event,
    ForbiddenChange,
    InvalidEmail,
    InvalidName,
    PointsAwarded,
    UnknownCustomer,
)
from customer_service.engines.memory import InMemoryCustomerRepository, InMemoryRepository
from customer_service.events import EventBus
from customer_service.factory import ConfigurationError, RepositoryFactory, Settings
from customer_service.ports import (
    ICustomerReader,
    ICustomerRepository,
    ICustomerStore,
    ICustomerWriter,
    StoreError,
    StoreUnavailable,
    WorkFailed,
)
from customer_service.service import CustomerService
from customer_service.unit_of_work import UnitOfWork

__all__ = [
    "AccountClosed",
    "AlreadyStored",
    "Application",
    "ConcurrentChange",
    "ConfigurationError",
    "Customer",
    "CustomerError",
    "CustomerRegistered",
    "CustomerService",
    "CustomersMerged",
    "DuplicateEmail",
    "Email",
    "EmailChanged",
    "Event",
    "EventBus",
    "ForbiddenChange",
    "ICustomerReader",
    "ICustomerRepository",
    "ICustomerStore",
    "ICustomerWriter",
    "InMemoryCustomerRepository",
    "InMemoryRepository",
    "InvalidEmail",
    "InvalidName",
    "PointsAwarded",
    "RepositoryFactory",
    "Settings",
    "StoreError",
    "StoreUnavailable",
    "UnitOfWork",
    "UnknownCustomer",
    "WorkFailed",
    "bootstrap",
    "inject",
]
