"""Connectionist temporal classification: labels that are shorter than the signal they were read from.

Each time step emits a class or a blank; equal neighbours are one label, and blanks drop out.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

NO_LABEL = -1
"""What stands after the end of a decoded sequence."""


def loss(
    labels: jax.Array, logits: jax.Array, label_length: jax.Array, time_length: jax.Array, blank: int = 0
) -> jax.Array:
    """Return minus the log-probability of each label sequence under any alignment.

    Args:
        labels: ``(batch, labels)``, integers.
        logits: ``(batch, time, classes)``.
        label_length: ``(batch,)``: how many labels count.
        time_length: ``(batch,)``: how many time steps count.
        blank: The class that stands for no label.

    Returns:
        ``(batch,)``, in at least float32.

    >>> one = jnp.array([1])
    >>> loss(one[None], jnp.zeros((1, 1, 2)), one, one).round(3).tolist()
    [0.693...]
    """
    # Imported here, at its only use: models without CTC do not pay for it.
    from optax.losses import ctc_loss

    logits = logits.astype(jnp.promote_types(logits.dtype, jnp.float32))
    paddings = [
        (jnp.arange(x.shape[1]) >= lengths[:, None]).astype(logits.dtype)
        for x, lengths in ((logits, time_length), (labels, label_length))
    ]
    return ctc_loss(logits, paddings[0], labels, paddings[1], blank_id=blank)


def greedy_decode(
    scores: jax.Array, lengths: jax.Array, merge_repeated: bool = True, blank: int | None = None
) -> tuple[jax.Array, jax.Array]:
    """Return the labels of the best class at each time.

    Args:
        scores: ``(batch, time, classes)``.
        lengths: ``(batch,)``: how many time steps count.
        merge_repeated: Whether equal neighbours are one label.
        blank: The class that stands for no label; the last one when ``None``.

    Returns:
        Labels ``(1, batch, time)``, ``NO_LABEL`` after their end, and minus the sum of scores ``(batch, 1)``.

    >>> best = jax.nn.one_hot(jnp.array([[1, 1, 0, 1]]), 3)
    >>> greedy_decode(best, jnp.array([4]), blank=0)[0].tolist()
    [[[1, 1, -1, -1]]]
    """
    time, classes = scores.shape[1:]
    blank = classes - 1 if blank is None else blank
    valid = jnp.arange(time) < lengths[:, None]
    labels = jnp.where(valid, jnp.argmax(scores, axis=-1), blank)
    kept = labels != blank
    if merge_repeated:
        kept = kept.at[:, 1:].set(kept[:, 1:] & (labels[:, 1:] != labels[:, :-1]))
    order = jnp.argsort(~kept, axis=-1, stable=True)
    packed = jnp.take_along_axis(jnp.where(kept, labels, NO_LABEL), order, axis=-1)
    total = jnp.sum(jnp.where(valid, jnp.max(scores, axis=-1), 0.0), axis=1, keepdims=True)
    return packed[None], -total


class Beam(NamedTuple):
    """The most probable label sequences so far, all different where their probability is not 0.

    ``labels`` is ``(width, time)``; the others are ``(width,)``: how many labels there are, and the
    log-probabilities of the alignments that end in a blank, and of those that end in the last label.
    """

    labels: jax.Array
    size: jax.Array
    blank: jax.Array
    label: jax.Array

    @property
    def total(self) -> jax.Array:
        """The log-probability of each sequence."""
        return jnp.logaddexp(self.blank, self.label)

    @property
    def last(self) -> jax.Array:
        """The last label of each sequence."""
        at = jnp.maximum(self.size - 1, 0)[:, None]
        return jnp.where(self.size > 0, jnp.take_along_axis(self.labels, at, axis=1)[:, 0], NO_LABEL)


def beam_decode(
    logits: jax.Array, lengths: jax.Array, width: int = 100, top_paths: int = 1, blank: int | None = None
) -> tuple[jax.Array, jax.Array]:
    """Return the most probable label sequences, all alignments of each taken together.

    Args:
        logits: ``(batch, time, classes)``.
        lengths: ``(batch,)``: how many time steps count.
        width: How many sequences are followed.
        top_paths: How many of them are returned.
        blank: The class that stands for no label; the last one when ``None``.

    Returns:
        Labels ``(top_paths, batch, time)``, ``NO_LABEL`` after their end, and log-probabilities
        ``(batch, top_paths)``, the largest first.

    >>> labels, scores = beam_decode(jnp.log(jnp.array([[[0.6, 0.4], [0.6, 0.4]]])), jnp.array([2]), blank=0)
    >>> labels.tolist(), jnp.exp(scores).round(2).tolist()
    ([[[1, -1]]], [[0.64]])
    """
    time, classes = logits.shape[1:]
    blank = classes - 1 if blank is None else blank
    valid = jnp.arange(time) < lengths[:, None]

    def decode(log_p: jax.Array, valid: jax.Array) -> tuple[jax.Array, jax.Array]:
        nothing = jnp.full(width, -jnp.inf, log_p.dtype)
        none = jnp.full((width, time), NO_LABEL, jnp.int32)
        first = Beam(none, jnp.zeros(width, jnp.int32), nothing.at[0].set(0.0), nothing)

        def step(beam: Beam, x: tuple[jax.Array, jax.Array]) -> tuple[Beam, None]:
            log_p, counts = x
            moved = _advance(beam, log_p, blank)
            return jax.tree.map(lambda new, old: jnp.where(counts, new, old), moved, beam), None

        last, _ = jax.lax.scan(step, first, (log_p, valid))
        scores, best = jax.lax.top_k(last.total, top_paths)
        return last.labels[best], scores

    labels, scores = jax.vmap(decode)(jax.nn.log_softmax(logits), valid)
    return jnp.moveaxis(labels, 1, 0), scores


def _advance(beam: Beam, log_p: jax.Array, blank: int) -> Beam:
    """Follow every sequence by one time step and keep the best."""
    width, time = beam.labels.shape
    total, last = beam.total, beam.last
    # What stays the same sequence: a blank, or its last label once more.
    ends_blank = total + log_p[blank]
    ends_label = jnp.where(beam.size > 0, beam.label + log_p[last], -jnp.inf)
    # What becomes longer: by another label, or by the same one after a blank.
    classes = jnp.arange(log_p.shape[0])
    before = jnp.where(classes[None, :] == last[:, None], beam.blank[:, None], total[:, None])
    longer = jnp.where(classes == blank, -jnp.inf, before + log_p)
    # A longer sequence that is in the beam already: its probability goes there.
    known = _is_followed_by(beam) & jnp.isfinite(total)[None, :]
    gained = jnp.where(known, longer[:, last], -jnp.inf)
    ends_label = jnp.logaddexp(ends_label, jax.nn.logsumexp(gained, axis=0))
    taken = jnp.zeros(longer.shape, bool).at[jnp.arange(width)[:, None], last[None, :]].max(known)
    longer = jnp.where(taken, -jnp.inf, longer)

    scores = jnp.concatenate([jnp.logaddexp(ends_blank, ends_label), longer.ravel()])
    _, best = jax.lax.top_k(scores, width)
    grows = best >= width
    parent = jnp.where(grows, (best - width) // log_p.shape[0], best)
    added = (best - width) % log_p.shape[0]
    labels, size = beam.labels[parent], beam.size[parent]
    here = grows[:, None] & (jnp.arange(time) == size[:, None])
    return Beam(
        jnp.where(here, added[:, None], labels).astype(jnp.int32),
        size + grows,
        jnp.where(grows, -jnp.inf, ends_blank[parent]),
        jnp.where(grows, longer.ravel()[jnp.maximum(best - width, 0)], ends_label[parent]),
    )


def _is_followed_by(beam: Beam) -> jax.Array:
    """Return ``(width, width)``: whether sequence ``j`` is sequence ``i`` and one more label."""
    time = beam.labels.shape[1]
    inside = jnp.arange(time) < beam.size[:, None]
    same = (beam.labels[:, None, :] == beam.labels[None, :, :]) | ~inside[:, None, :]
    return same.all(axis=-1) & (beam.size[None, :] == beam.size[:, None] + 1)
