"""The objects of a page turned on their side: for each key, the values of all objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from operator import methodcaller
from typing import Any

__all__ = ["ObjectColumns"]


class ObjectColumns:
    """Objects of one kind, by key.

    A server writes the objects of a page with the same keys in the same order, and then they are turned in one go;
    where they differ, each key is asked of each object.

    :param objects: dicts; an empty one stands for one that is missing.
    """

    def __init__(self, objects: Sequence[Mapping[str, Any]]) -> None:
        self.objects = objects
        shapes = set(map(tuple, objects))
        #: All keys that any of the objects has.
        self.keys: set[str] = set().union(*shapes)
        self._by_key: dict[str, list[Any]] = {}
        if len(shapes) == 1:
            (keys,) = shapes
            values = list(chain.from_iterable(map(methodcaller("values"), objects)))
            self._by_key = {key: values[place :: len(keys)] for place, key in enumerate(keys)}

    def values(self, key: str) -> list[Any]:
        """The value of each object; ``None`` where it has no such key."""
        if key in self._by_key:
            return self._by_key[key]
        if key not in self.keys:
            return [None] * len(self.objects)
        return [one.get(key) for one in self.objects]
