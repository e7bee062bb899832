"""An S3 server for tests: real HTTP on loopback, a bucket for each test."""

import uuid
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """The address of moto's server."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty bucket, with the variables by which any S3 client finds it."""
    import boto3

    given = {
        "ENDPOINT_URL": s3_url,
        "ACCESS_KEY_ID": "key",
        "SECRET_ACCESS_KEY": "secret",
        "DEFAULT_REGION": "us-east-1",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    name = f"artifacts-{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}/lineage"
