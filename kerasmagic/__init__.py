"""kerasmagic."""
