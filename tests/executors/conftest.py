"""The contract of executors is shipped with the package; its assertions are to speak as those of tests do."""

import pytest

pytest.register_assert_rewrite("executors.testing")
