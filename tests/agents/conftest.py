"""One thread here as well."""

from tests.sociallm.conftest import one_thread  # noqa: F401 (a fixture is used by being here)
