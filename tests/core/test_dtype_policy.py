"""Dtype policies against Keras: names, types, configs, maps, and what layers make of them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import jax.numpy as jnp
import pytest

import kerasmagic
from kerasmagic import config, dtype_policies, layers
from kerasmagic.core import dtype_policy
from tests.layers.evaluation import plain

NAMES = [
    *("float32", "bfloat16", "int32", "mixed_float16", "mixed_bfloat16"),
    *("int8_from_float32", "int8_from_mixed_bfloat16", "int4_from_bfloat16"),
    *("int4/128_from_float32", "int4/-1_from_mixed_float16", "float8_from_mixed_bfloat16"),
    *("gptq/4/128_from_float32", "gptq/2/-1_from_bfloat16", "awq/4/64_from_float32"),
]
REFUSED = [
    *("", "@mixed_float16!", "mixed_bfloat15", "int8_from_", "int8_from_mixed_bfloat15", "int8_abc_", "int8"),
    *("int8_from_float16", "int8_from_mixed_float16", "int4/0_from_float32", "int4/x_from_float32"),
    *("int4/1/2_from_float32", "gptq_from_float32", "gptq/5/1_from_float32", "awq/8/128_from_float32"),
    "awq/4_from_float32",
]


@pytest.fixture(autouse=True)
def _default_policy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(dtype_policy, "_global_policy", None)
    yield
    monkeypatch.undo()


@pytest.mark.parametrize("name", NAMES)
def test_a_name_means_what_it_means_in_keras(name: str, keras: ModuleType) -> None:
    ours, theirs = dtype_policies.get(name), keras.dtype_policies.get(name)
    for attribute in ("name", "variable_dtype", "compute_dtype", "quantization_mode"):
        assert getattr(ours, attribute) == getattr(theirs, attribute)
    assert repr(ours) == repr(theirs)
    written = plain(dtype_policies.serialize(ours))
    assert written == plain(keras.dtype_policies.serialize(theirs))
    for again in (dtype_policies.deserialize(written), dtype_policies.get(written), copy.deepcopy(ours)):
        assert again == ours
        assert hash(again) == hash(ours)
    assert pickle.loads(pickle.dumps(ours)) == ours
    assert ours not in [dtype_policies.get(other) for other in NAMES if other != name]


@pytest.mark.parametrize("name", REFUSED)
def test_another_name_is_refused(name: str, keras: ModuleType) -> None:
    for library in (kerasmagic, keras):
        with pytest.raises(ValueError, match=r"Cannot|Invalid|doesn't"):
            library.dtype_policies.get(name)


def test_what_is_no_name_is_refused(keras: ModuleType) -> None:
    for library in (kerasmagic, keras):
        policies = library.dtype_policies
        with pytest.raises(TypeError, match="string"):
            policies.DTypePolicy(32)
        with pytest.raises(ValueError, match="interpret"):
            policies.get(123)
        with pytest.raises(TypeError, match="integer"):
            policies.QuantizedFloat8DTypePolicy("float8", "float32", amax_history_length=1.5)
        for given in (None, 12):
            with pytest.raises(ValueError, match="policy"):
                library.config.set_dtype_policy(given)


def test_float_policies_are_equal_whatever_their_name(keras: ModuleType) -> None:
    for policies in (dtype_policies, keras.dtype_policies):
        plain_policy, other = policies.DTypePolicy("bfloat16"), policies.FloatDTypePolicy("bfloat16")
        assert plain_policy == other == plain_policy
        assert repr(other) == '<DTypePolicy "bfloat16">'
        assert plain_policy != "bfloat16"
        long = policies.QuantizedFloat8DTypePolicy("float8", "float32", amax_history_length=8)
        assert long != policies.QuantizedFloat8DTypePolicy("float8", "float32")


def test_the_default_is_what_layers_take() -> None:
    assert dtype_policies.get(None).name == "float32"
    config.set_dtype_policy("mixed_bfloat16")
    assert config.dtype_policy().name == layers.Dense(2).dtype_policy.name == "mixed_bfloat16"
    assert dtype_policies.DTypePolicy().name == "mixed_bfloat16"
    config.set_dtype_policy("int8_from_float32")
    layer = layers.Dense(2)
    assert layer(jnp.ones((1, 3))).dtype == "float32"
    assert layer.kernel.dtype == "int8"


class TestMap:
    def made(self, policies: Any, **options: Any) -> Any:
        made = policies.DTypePolicyMap(**options)
        made["encoder/dense"] = policies.DTypePolicy("bfloat16")
        made["encoder/.*"] = "float16"
        made["head"] = "int8_from_float32"
        return made

    def test_it_finds_what_that_of_keras_finds(self, keras: ModuleType) -> None:
        for default in (None, "float32", "bfloat16"):
            ours, theirs = (
                self.made(p, default_policy=default and p.DTypePolicy(default))
                for p in (dtype_policies, keras.dtype_policies)
            )
            for path in ("encoder/dense", "encoder/other", "head", "head/inner", "encoder"):
                assert ours[path].name == theirs[path].name
            assert (len(ours), list(ours), ours.name) == (len(theirs), list(theirs), theirs.name)
            assert ("head" in ours, "none" in ours) == (True, False)
            written = plain(dtype_policies.serialize(ours))
            assert written == plain(keras.dtype_policies.serialize(theirs))
            # Without a default the types are those of whoever reads it.
            again = dtype_policies.get(written)
            names = {path: ours[path].name for path in ours}
            if default is None:
                names |= {"encoder/dense": "float32", "encoder/.*": "float32"}
            assert {path: again[path].name for path in again} == names

    def test_it_refuses_what_is_ambiguous(self, keras: ModuleType) -> None:
        for policies in (dtype_policies, keras.dtype_policies):
            made = self.made(policies)
            with pytest.raises(ValueError, match="already"):
                made["head"] = "float32"
            made["encoder/o.*"] = "float32"
            with pytest.raises(ValueError, match="multiple"):
                made["encoder/other"]
            del made["encoder/o.*"]
            assert made["encoder/other"].name == "float16"
            with pytest.raises(ValueError, match="default_policy"):
                policies.DTypePolicyMap(default_policy=made)
            with pytest.raises(TypeError, match="policy_map"):
                policies.DTypePolicyMap(policy_map=123)

    def test_layers_inside_take_theirs_by_path(self, keras: ModuleType) -> None:
        for library in (kerasmagic, keras):
            policies = library.dtype_policies.DTypePolicyMap(
                policy_map={
                    "outer/query": library.dtype_policies.DTypePolicy("bfloat16"),
                    "outer/value": library.dtype_policies.QuantizedDTypePolicy("int8", "float32"),
                }
            )
            layer = library.layers.MultiHeadAttention(2, 3, dtype=policies, name="outer")
            layer.build((None, 4, 5), (None, 4, 5))
            kernels = [layer.query_dense.kernel, layer.key_dense.kernel, layer.value_dense.kernel]
            assert [kernel.dtype for kernel in kernels] == ["bfloat16", "float32", "int8"]
            assert layer.dtype_policy is policies

    def test_quantizing_notes_the_layer_in_the_map(self) -> None:
        policies = dtype_policies.DTypePolicyMap(dtype_policies.DTypePolicy("float32"))
        layer = layers.MultiHeadAttention(2, 3, dtype=policies, name="outer")
        layer.build((None, 4, 5), (None, 4, 5))
        layer.key_dense.quantize("int8")
        assert {path: policy.name for path, policy in policies.items()} == {"outer/key": "int8_from_float32"}
        again = layers.MultiHeadAttention.from_config(plain(layer.get_config()))
        again.build((None, 4, 5), (None, 4, 5))
        assert [again.key_dense.kernel.dtype, again.query_dense.kernel.dtype] == ["int8", "float32"]
