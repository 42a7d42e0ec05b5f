"""Clients for a model server and for exported files, without TensorFlow, Keras and most dependencies of farkeras.

`GrpcClient`, `RestClient` and their asyncio versions talk to TF Serving and to `python -m farkeras.serve`.
`__init__.pyi` lists the public names. Each name is imported, with the packages that it needs, when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
