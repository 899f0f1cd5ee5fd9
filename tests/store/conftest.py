"""The engines for the tests of the store: the embedded Valkey, the system's Redis, and a one-node cluster.

The cluster holds every slot on one node, so it checks each script for cross-slot keys like a large cluster would, and
needs no second process.
"""

import shutil
import tempfile
from pathlib import Path

import pytest
import redis as redis_py

from tests.absent import absent
from tests.redis_client.servers import cluster, server
from tests.store.engines import Engine, immortal, open_stores

REDIS_SERVER = shutil.which("redis-server")


@pytest.fixture(scope="session", params=["valkey", "redis", "cluster"])
def engine(request):
    """Return one engine after the other; each is started once."""
    return request.getfixturevalue(f"{request.param}_engine")


@pytest.fixture(scope="session")
def valkey_engine(valkey):
    """Connect to the Valkey that all tests share."""
    with redis_py.Redis.from_url(valkey) as admin:
        yield Engine("valkey", valkey, admin)


@pytest.fixture(scope="session")
def redis_engine(engine_folder):
    """Run the system's Redis on a Unix domain socket."""
    if REDIS_SERVER is None:
        absent("there is no redis-server here, so the stores are not tried on Redis itself")
    socket_path = engine_folder / "x.sock"
    with server(engine_folder / "redis", "--unixsocket", str(socket_path)) as node:
        yield Engine("redis", f"unix://{socket_path}", node.admin)


@pytest.fixture(scope="session")
def cluster_engine(engine_folder):
    """Run a cluster of one node, which takes two seconds to start."""
    with cluster(engine_folder, (0, 16383)) as (node,):
        yield Engine("cluster", f"redis+cluster://127.0.0.1:{node.port}", node.admin)


@pytest.fixture(scope="session")
def engine_folder():
    """Yield a folder with a short name: the path of a socket has a limit of about a hundred bytes."""
    with tempfile.TemporaryDirectory(prefix="otp-engine-") as folder:
        yield Path(folder)


@pytest.fixture
async def stores(engine):
    """Yield the stores on an empty engine; at the end every key must have a TTL."""
    engine.admin.flushall()
    async with open_stores(engine) as opened:
        yield opened
    assert immortal(engine.admin) == [], "promise 9: every key has a TTL"
