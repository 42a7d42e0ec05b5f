from .answers import Answer as Answer
from .errors import ServingError as ServingError
from .grpc_client import AsyncGrpcClient as AsyncGrpcClient
from .grpc_client import GrpcClient as GrpcClient
from .rest_client import AsyncRestClient as AsyncRestClient
from .rest_client import RestClient as RestClient
from .settings import Settings as Settings
from .settings import Tls as Tls
