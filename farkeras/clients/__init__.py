"""Clients of a server and of exported files, without TensorFlow, Keras and most of what farkeras requires.

`GrpcClient`, `RestClient` and their asyncio versions speak to TF Serving and to `python -m farkeras.serve`.
`__init__.pyi` lists the names; each is imported with the packages that it needs when it is first used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
