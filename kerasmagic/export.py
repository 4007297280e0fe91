"""Artifacts for use without kerasmagic; ``keras.export``."""

from kerasmagic.models.exporting import ExportArchive as ExportArchive
