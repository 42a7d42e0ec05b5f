"""TF Serving's messages and settings: `serving_pb2` and `config_pb2`, written by `make protos`."""
