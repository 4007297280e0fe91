"""Figures for papers: what is in them, that they are saved as vectors, and that pyplot knows nothing of them."""

from __future__ import annotations

import io
import sys

import pytest
from matplotlib.figure import Figure

import kerasmagic as keras
from kerasmagic.foundation.errors import InvalidArgument, UnknownName


@pytest.fixture
def history():
    found = keras.callbacks.History()
    found.on_train_begin()
    for epoch, loss in enumerate([1.0, 0.5, 0.25, 0.4]):
        logs = {"loss": loss, "accuracy": 1 - loss, "val_loss": loss + 0.1, "learning_rate": 0.1}
        found.on_epoch_end(epoch, logs)
    return found


def test_a_chart_for_each_metric(history):
    figure = history.plot()
    assert isinstance(figure, Figure)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["loss", "accuracy"]
    training, validation, best = figure.axes[0].lines
    assert training.get_xdata().tolist() == [1, 2, 3, 4]
    assert validation.get_ydata().tolist() == pytest.approx([1.1, 0.6, 0.35, 0.5])
    assert (best.get_xdata(), best.get_ydata()) == ([3], [pytest.approx(0.35)])


def test_options(history):
    figure = history.plot(["val_loss"], log=True, smoothing=0.5, figsize=(2, 2))
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert figure.get_size_inches().tolist() == [2, 2]
    # What was measured, its smoothed form, and the best.
    assert len(axes.lines) == 3
    assert axes.lines[1].get_ydata()[1] == pytest.approx((0.5 * 1.1 + 0.6) / 1.5)


def test_axes_of_the_user(history):
    figure = Figure()
    axes = figure.subplots(1, 2)
    assert history.plot(axes=axes) is figure
    assert history.plot("loss", axes=axes[0]) is figure
    with pytest.raises(InvalidArgument, match="2 charts for 1 axes"):
        history.plot(axes=axes[0])


def test_bad_arguments(history):
    with pytest.raises(UnknownName, match="accuracy") as caught:
        history.plot("acuracy")
    assert "accuracy" in str(caught.value)
    with pytest.raises(InvalidArgument, match="smoothing"):
        history.plot(smoothing=1.0)
    with pytest.raises(InvalidArgument, match="empty"):
        keras.callbacks.History().plot()


@pytest.mark.parametrize("form", ["pdf", "svg"])
def test_saved_as_vectors_with_their_letters(history, form):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="$x_{\\bad")])
    pyplot_was_there = "matplotlib.pyplot" in sys.modules
    for figure in (history.plot(), model.plot()):
        stream = io.BytesIO()
        figure.savefig(stream, format=form)
        saved = stream.getvalue()
        assert saved.startswith(b"%PDF" if form == "pdf" else b"<?xml")
        assert b"/Type3" not in saved
        assert (b"<text" in saved) == (form == "svg")
    assert ("matplotlib.pyplot" in sys.modules) == pyplot_was_there


def test_a_figure_shows_itself(history):
    data, metadata = history.plot("loss")._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"] == {"width": 340, "height": 250}
    assert history.plot("loss")._repr_mimebundle_()[0]["image/png"] == data["image/png"]


def boxes(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_drawing_of_a_model():
    inputs = keras.Input((4,))
    x = inputs
    for _ in range(3):
        x = keras.layers.add([keras.layers.Dense(4)(x), x])
    model = keras.Model(inputs, x, name="skips")
    assert {"InputLayer", "Dense", "Add", "×3"} <= set(boxes(model.plot()))
    assert "4" not in boxes(model.plot(shapes=False))
    figure = Figure(figsize=(4, 3))
    axes = figure.add_subplot()
    assert model.plot(axes=axes) is figure
    assert axes.get_title(loc="left") == "skips"


def test_large_and_odd_models_can_be_drawn():
    deep = keras.Sequential([keras.Input((4,)), *(keras.layers.Dense(4 + i % 3) for i in range(300))])
    assert max(deep.plot().get_size_inches()) < 60
    assert boxes(keras.Sequential([keras.layers.Dense(3)]).plot())
