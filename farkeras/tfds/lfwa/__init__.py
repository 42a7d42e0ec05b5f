"""`lfwa` for TensorFlow Datasets; importing `lfwa_dataset_builder` makes it known to `tfds.builder`."""
