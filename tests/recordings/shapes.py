"""Hypothesis strategies for what others may send us, and the settings to use with them."""

from hypothesis import settings
from hypothesis import strategies as st

# Twice the profile's examples: 50, nightly 2000. No deadline: a shared runner pauses for longer than any parser takes.
fuzz = settings(deadline=None, max_examples=2 * settings.default.max_examples)

leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
json_values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


def keyed(*keys: str) -> st.SearchStrategy[object]:
    """JSON values whose objects use these keys, so that a reader gets past its first step."""
    names = st.sampled_from(keys) | st.text(max_size=4)
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5), max_leaves=12
    )
