"""Data sets for TensorFlow Datasets (TFDS), in its conventions. farkeras itself does not import them."""
