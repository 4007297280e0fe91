"""Names and what they stand for."""

import pytest

from kerasmagic.foundation import registry
from kerasmagic.foundation.errors import UnknownName
from kerasmagic.foundation.registry import Family


def test_an_object_is_found_by_every_name():
    class BigThing:
        pass

    family = Family("keras.things", "thing")
    family.add(BigThing, "bt")
    assert family.find("BigThing") is family.find("big_thing") is family.find("bt") is BigThing
    assert family.name_of(BigThing) == "BigThing"
    assert family.public_names() == {"BigThing": BigThing}


def test_an_unknown_name_suggests_the_nearest():
    family = Family("keras.things", "thing")
    family.add(dict)
    with pytest.raises(UnknownName, match=r"Unknown thing: 'dicct'\. Did you mean 'dict'\?"):
        family.find("dicct")


def test_scopes_nest_and_end():
    with registry.custom_object_scope({"a": 1}), registry.custom_object_scope({"b": 2}):
        assert registry.get_registered_object("a") == 1
        assert registry.get_registered_object("b") == 2
    assert registry.get_registered_object("a") is None


def test_a_class_without_config_cannot_be_registered():
    with pytest.raises(ValueError, match="get_config"):
        registry.register_keras_serializable()(object)
