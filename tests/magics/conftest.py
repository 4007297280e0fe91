"""A terminal IPython with the extension loaded."""

import pytest
from IPython.testing.globalipapp import start_ipython


@pytest.fixture(scope="session")
def shell():
    return start_ipython()


@pytest.fixture
def ip(shell):
    shell.run_line_magic("load_ext", "kerasmagic")
    yield shell
    shell.run_line_magic("unload_ext", "kerasmagic")
    shell.reset(new_session=False)
