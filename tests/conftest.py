"""Settings every test shares."""

from hypothesis import settings

# The same examples on every run, and no deadline: two kernels may be at work beside the tests.
settings.register_profile("companion", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("companion")
