"""What the package promises from outside: its example runs, and it shares only what it exports."""

import ast
import inspect
import textwrap

from service import redis_client
from tests.redis_client.servers import server


async def test_the_example_of_the_package_runs(tmp_path):
    """The example in the docstring runs as it is printed, against a real server."""
    text = redis_client.__doc__
    lines = [line for line in text.splitlines() if line.startswith("    ")]
    with server(tmp_path / "redis") as node:
        example = textwrap.dedent("\n".join(lines)).replace("redis://localhost", node.url)
        names = {name: getattr(redis_client, name) for name in redis_client.__all__}
        await eval(compile(example, "example", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)  # noqa: S307
        assert node.admin.get("visits") == b"1"


async def test_the_server_knows_the_client_by_the_name_that_the_caller_gives(tmp_path):
    """CLIENT LIST shows the name given to `open_redis_client` or `open_node_client`."""
    with server(tmp_path / "redis") as node:
        clients = [
            await redis_client.open_redis_client(node.url, client_name="one"),
            await redis_client.open_node_client("redis://localhost", ("127.0.0.1", node.port), client_name="two"),
        ]
        for client in clients:
            await client.ping()
        names = {entry["name"] for entry in node.admin.client_list()}
        for client in clients:
            await client.close()
    assert {"one", "two"} <= names


def test_every_exported_name_has_a_docstring():
    """What the package exports is documented where it is defined, types aside."""
    exported = [getattr(redis_client, name) for name in redis_client.__all__]
    documented = [each for each in exported if inspect.isclass(each) or inspect.isfunction(each)]
    assert len(documented) >= 10
    assert [each.__name__ for each in documented if not each.__doc__] == []
