"""What notebooks show: pure state in the middle, one view a file around it.

``reducer`` turns events into a state, ``chart`` and ``readout`` say what there is to see of it,
``training`` (live), ``static_run`` and ``picture`` (saved) show it; ``sink`` puts them into a cell
and ``throttle`` keeps them away from the training. ``place`` lets an output show a widget without naming it, so that
what is saved can be read without one. ``shape_table`` and ``error_card`` stand alone; ``layer_link`` answers for the
rows of a table that is on a page with its kernel;
``graph``, ``graph_layout`` and ``graph_view`` draw the layers below the table, ``editor`` shows both while a text
is typed.
"""
