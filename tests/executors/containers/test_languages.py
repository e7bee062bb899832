"""Other languages than Python: anything that speaks the run protocol over a Unix socket can do trials."""

import pytest

from executors.base import Prepared
from executors.docker import DockerExecutor
from executors.exchange import Bench
from lineage.artifacts import Artifact, ArtifactKind
from lineage.errors import ExecutionFailed
from lineage.runs import RunState
from tests.executors.containers.conftest import Said

pytestmark = [pytest.mark.anyio, pytest.mark.docker]
S = RunState

WORKER = r"""
use strict;
use IO::Socket::UNIX;

my ($address, $token, $slot) = @ENV{qw(LINEAGE_RUN_URL LINEAGE_RUN_TOKEN LINEAGE_RUN_SLOT)};
$address =~ s/^unix://;

sub call {
    my ($path, $body) = @_;
    my $line = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $address) or die "no API at $address: $!";
    my @head = ("POST $path HTTP/1.1", "Host: localhost", "Authorization: Bearer $token", "Connection: close",
                "Content-Type: application/json", "Content-Length: " . length($body));
    print $line join("\r\n", @head, "", $body);
    local $/;
    my ($status, $answer) = <$line> =~ m{^HTTP/1\.\d (\d+).*?\r\n\r\n(.*)$}s;
    die "$path: $status $answer" unless $status == 200;
    return $answer;
}

while ((my $asked = call("/v1/ask", qq({"slot": "$slot"}))) !~ /"done": *true/) {
    call("/v1/beat", qq({"slot": "$slot"}));
    if ($asked =~ /"number": *(\d+).*"x": *([-\d.]+)/) {
        my ($number, $x) = ($1, $2);
        my $value = 1 - ($x - 2) ** 2;
        print "trial $number: x = $x\n";
        call("/v1/report", qq({"trial": $number, "step": 0, "value": $value}));
        call("/v1/tell", qq({"trial": $number, "state": "COMPLETE", "value": $value, "metrics": {}, "error": null}));
    } else {
        sleep 1;
    }
}
"""


@pytest.fixture
async def perl(docker_executor: DockerExecutor, base_image: str, said: Said) -> Prepared:
    """An environment of another language: a base image, and a command that speaks the run protocol."""
    body = {"language": "perl", "version": "5", "base_image": base_image, "command": ["perl", "code/model.py"]}
    environment = Artifact(kind=ArtifactKind.ENVIRONMENT, name="perl", digest="0" * 64, body=body)
    return await docker_executor.prepare(environment, "", log=said)


async def test_a_worker_in_perl(docker_executor: DockerExecutor, docker_bench: Bench, perl: Prepared) -> None:
    """It asks, reports and tells until there is nothing left to try; its exit code is its verdict."""
    docker_bench.prepared = perl
    workspace = docker_bench.tune(WORKER, [{"x": 1.0}, {"x": 2.0}, {"x": 4.5}], slots=2)

    outcome = await docker_executor.wait(await docker_executor.start(workspace))

    assert S.SUCCEEDED == outcome.state, outcome
    told = docker_bench.exchange.told
    assert [0.0, 1.0, -5.25] == [told[number]["value"] for number in range(3)]
    assert [0] == docker_bench.exchange.steps(1)
    assert "trial 1: x = 2" in outcome.log_tail
    assert docker_bench.exchange.beats


async def test_a_worker_that_dies(docker_executor: DockerExecutor, docker_bench: Bench, perl: Prepared) -> None:
    """One that ends itself with another exit code than 0, again and again, has failed."""
    docker_bench.prepared = perl
    workspace = docker_bench.tune("warn 'no idea how'; exit 7;", [{"x": 1.0}])

    outcome = await docker_executor.wait(await docker_executor.start(workspace))

    assert (S.FAILED, "USER_CODE") == (outcome.state, outcome.reason)
    assert "no idea how" in outcome.log_tail


async def test_what_another_language_needs(docker_executor: DockerExecutor, said: Said) -> None:
    """Without a command there is nothing to run, and the error says what is missing."""
    body = {"language": "julia", "version": "1.11", "base_image": "julia:1.11"}
    environment = Artifact(kind=ArtifactKind.ENVIRONMENT, name="julia", digest="0" * 64, body=body)

    with pytest.raises(ExecutionFailed, match="base_image and a command") as caught:
        await docker_executor.prepare(environment, "", log=said)

    assert "ENVIRONMENT" == caught.value.reason
