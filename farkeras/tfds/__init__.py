"""Data sets for TensorFlow Datasets, in its conventions; loaded only by those who ask TFDS for them."""
