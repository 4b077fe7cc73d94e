"""Methods put in the place of moto's."""

from collections.abc import Callable
from typing import Any


def replace_methods(owner: type, **methods: Callable[..., Any] | property) -> None:
    """Have the class do these things as we say, and what it lacks, too."""
    for name, method in methods.items():
        setattr(owner, name, method)
