"""One policy for each of many layers: a map from their paths."""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping
from typing import Any

from kerasmagic.core.dtype_policy import DTypePolicy, get
from kerasmagic.core.serialization import deserialize_keras_object, serialize_keras_object
from kerasmagic.foundation.errors import InvalidArgument, UnexpectedArgument
from kerasmagic.foundation.registry import POLICIES


class DTypePolicyMap(DTypePolicy, MutableMapping[str, DTypePolicy]):
    """A policy for each layer inside a layer, by path or by a pattern of paths.

    Args:
        default_policy: The policy of paths that no key fits; the global policy when ``None``.
        policy_map: Paths, or regular expressions that match whole paths, and their policies.

    Raises:
        InvalidArgument: If the default is a map itself, or, on reading, if several patterns fit a path.
        UnexpectedArgument: If ``policy_map`` is no dict.

    Example:

    >>> policies = DTypePolicyMap(DTypePolicy("float32"))
    >>> policies["encoder/.*"] = "bfloat16"
    >>> policies["encoder/dense"].name, policies["decoder/dense"].name
    ('bfloat16', 'float32')
    """

    def __init__(self, default_policy: Any = None, policy_map: dict[str, Any] | None = None):
        if isinstance(default_policy, DTypePolicyMap):
            raise InvalidArgument("`default_policy` cannot be a `DTypePolicyMap`.")
        if policy_map is not None and not isinstance(policy_map, dict):
            raise UnexpectedArgument(
                "If specified, `policy_map` must be a dict. "
                f"Received: policy_map={policy_map!r} of type {type(policy_map)}"
            )
        self._default_policy = None if default_policy is None else get(default_policy)
        self._policy_map: dict[str, DTypePolicy] = dict(policy_map or {})

    @property
    def name(self) -> str:
        """``map_`` and the name of the default."""
        return f"map_{self.default_policy.name}"

    @property
    def default_policy(self) -> DTypePolicy:
        """The policy of paths that no key fits."""
        return get(self._default_policy)

    @property
    def variable_dtype(self) -> str:
        """The type in which the default stores weights."""
        return self.default_policy.variable_dtype

    @property
    def compute_dtype(self) -> str:
        """The type in which the default computes."""
        return self.default_policy.compute_dtype

    @property
    def quantization_mode(self) -> str | None:
        """The quantization that the default asks for, if any."""
        return self.default_policy.quantization_mode

    def __getitem__(self, key: str) -> DTypePolicy:
        if key in self._policy_map:
            return self._policy_map[key]
        matching = [pattern for pattern in self._policy_map if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise InvalidArgument(
                f"Path '{key}' matches multiple dtype policy specification keys: {matching}. Please make sure each "
                "path only matches at most one dtype policy specification key in the DTypePolicyMap."
            )
        return self._policy_map[matching[0]] if matching else self.default_policy

    def __setitem__(self, key: str, value: Any) -> None:
        if key in self._policy_map:
            raise InvalidArgument(
                f"{key} already exist in the DTypePolicyMap with value {self._policy_map[key]}. Please make sure to "
                "not use duplicated keys."
            )
        self._policy_map[key] = get(value)

    def __delitem__(self, key: str) -> None:
        del self._policy_map[key]

    def __contains__(self, key: object) -> bool:
        return key in self._policy_map

    def __len__(self) -> int:
        return len(self._policy_map)

    def __iter__(self) -> Iterator[str]:
        return iter(self._policy_map)

    def __hash__(self) -> int:
        return hash((self.name, tuple(self._policy_map)))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this map again.

        Without a default of its own the policies are written without their source types:
        they take those of the global policy where the file is read.
        """
        policies = {key: serialize_keras_object(policy) for key, policy in self._policy_map.items()}
        if self._default_policy is None:
            for policy in policies.values():
                policy["config"]["source_name" if "source_name" in policy["config"] else "name"] = None
        return {"default_policy": self._default_policy, "policy_map": policies}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """Make a map from what ``get_config`` returned."""
        default = config["default_policy"]
        return cls(
            None if default is None else get(default),
            deserialize_keras_object(dict(config["policy_map"]), custom_objects),
        )

    def __repr__(self) -> str:
        mapping = [(key, policy.name) for key, policy in self._policy_map.items()]
        return f"<DTypePolicyMap default_policy={self.default_policy.name}, mapping={mapping}>"


POLICIES.add(DTypePolicyMap)
