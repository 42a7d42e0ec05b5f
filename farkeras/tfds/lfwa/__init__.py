"""`lfwa` for TensorFlow Datasets. Importing `lfwa_dataset_builder` registers it for `tfds.builder`."""
