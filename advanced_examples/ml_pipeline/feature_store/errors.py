"""What can go wrong, in words that say what to do."""

from course.errors import UNAVAILABLE, CourseError


class FeatureStoreError(CourseError):
    """Something asked of the store doesn't fit; the text says what and how to put it right."""


class BadFeatures(FeatureStoreError):  # noqa: N818
    """A frame that must not be saved: a missing column, a wrong type, NaN, rows that clash."""


class UnknownFeature(FeatureStoreError):  # noqa: N818
    """An entity type, a version or a feature that the store doesn't have."""


class StoreUnavailable(FeatureStoreError):  # noqa: N818
    """PostgreSQL or Redis does not answer."""

    exit_code = UNAVAILABLE
