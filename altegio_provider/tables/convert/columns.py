"""Reads the objects of a batch by column: for each key, the values of all objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from operator import methodcaller
from typing import Any

__all__ = ["ObjectColumns"]


class ObjectColumns:
    """JSON objects of one kind, read by column.

    Usually all objects of a page have the same keys in the same order, and their values are split into columns at
    once. Otherwise each key is looked up in each object.

    :param objects: dicts; an empty dict stands for a missing object.
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
        """Return the value of a key in each object, ``None`` if an object does not have it.

        :param key: the key.
        """
        if key in self._by_key:
            return self._by_key[key]
        if key not in self.keys:
            return [None] * len(self.objects)
        return [one.get(key) for one in self.objects]
