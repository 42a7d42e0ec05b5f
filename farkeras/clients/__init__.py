"""What runs an exported model elsewhere: without TensorFlow, Keras or the rest of this package's requirements."""
