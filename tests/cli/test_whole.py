"""The command against a whole fleet, from the first certificate to the last step of a deletion."""

import json
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile

from tests.cli.command import Cli
from tests.fleet import Finished, RunningFleet


def succeeded(result: Finished) -> str:
    assert result.code == 0, result.err
    return result.out


async def test_a_namespace_made_and_used_by_commands_alone(
    fleet: RunningFleet, tmp_path: Path
) -> None:
    cli, out = fleet.cli, ("--out", str(tmp_path))
    ca = json.loads(succeeded(await cli("certs", "create-ca", "--name", "ca", *out, "-o", "json")))
    signed_by = ("--ca-cert", ca["certificate_file"], "--ca-key", ca["key_file"])
    made = await cli("certs", "issue", *signed_by, "--name", "worker", *out, "-o", "json")
    worker = json.loads(succeeded(made))

    created = await cli(
        *("namespace", "create", "by-hand", "--region", "gcp-us-central1"),
        *("--ca-file", ca["certificate_file"], "--search-attribute", "Customer=KEYWORD"),
    )
    assert created.code == 0, created.err
    assert "✓ Prove the endpoint from outside" in created.err

    explained = succeeded(await cli("namespace", "explain", "by-hand"))
    assert "is in gcp-us-central1-c1" in explained

    connected = await cli(
        *("namespace", "connect", "by-hand", "-o", "json"),
        *("--client-cert", worker["certificate_file"], "--client-key", worker["key_file"]),
    )
    variables = json.loads(succeeded(connected))["environment"]
    profile = ClientConfigProfile.load(override_env_vars=variables, disable_file=True)
    client = await Client.connect(**profile.to_client_connect_config())
    assert (await client.count_workflows()).count >= 0

    deleted = await cli("namespace", "delete", "by-hand", "--yes")
    assert deleted.code == 0, deleted.err
    assert "↩ Withdraw the DNS name" in deleted.err
    assert (await cli("namespace", "get", "by-hand")).code == 1


async def test_a_namespace_from_a_file_with_a_managed_ca_and_api_keys(
    fleet: RunningFleet, tmp_path: Path
) -> None:
    cli, file = fleet.cli, tmp_path / "by-file.yaml"
    file.write_text(
        "name: by-file\nregion: aws-us-west-2\nmtlsAuth: {enabled: true}\n"
        "apiKeyAuth: {enabled: true}\ntags: {team: payments}\n"
    )
    succeeded(await cli("namespace", "apply", "-f", str(file), "--yes"))
    key, certificate = str(tmp_path / "worker.key"), str(tmp_path / "worker.pem")
    made = ("--key-out", key, "--cert-out", certificate)
    succeeded(await cli("namespace", "cert", "issue", "by-file", *made))
    token = succeeded(await cli("apikey", "create", "--name", "by-file")).strip()
    shown = ("--client-cert", certificate, "--client-key", key)

    async def connected(*options: str, **more: str) -> Client:
        told = await cli("namespace", "connect", "by-file", "-o", "json", *options)
        variables = {**json.loads(succeeded(told))["environment"], **more}
        profile = ClientConfigProfile.load(override_env_vars=variables, disable_file=True)
        return await Client.connect(**profile.to_client_connect_config())

    by_certificate = await connected(*shown)
    by_key = await connected("--with-api-key", TEMPORAL_API_KEY=token)
    assert (await by_certificate.count_workflows()).count >= 0
    assert (await by_key.count_workflows()).count >= 0

    succeeded(await cli("namespace", "cert", "revoke", "by-file", "--cert", certificate))
    with pytest.raises(RuntimeError, match="revoked"):
        await connected(*shown)
    keys = json.loads(succeeded(await cli("apikey", "list", "-o", "json")))["apiKeys"]
    [used] = [key["id"] for key in keys if key["spec"]["displayName"] == "by-file"]
    succeeded(await cli("apikey", "delete", used, "--yes"))
    with pytest.raises(RuntimeError, match="API key"):
        await connected("--with-api-key", TEMPORAL_API_KEY=token)

    succeeded(await cli("namespace", "update", "by-file", "--retention-days", "45"))
    file.write_text(succeeded(await cli("namespace", "get", "by-file", "-o", "yaml")))
    same = await cli("namespace", "apply", "-f", str(file), "--dry-run", "--exit-code")
    assert "nothing to change" in succeeded(same)
    assert "is as it was made" in succeeded(await cli("namespace", "diff", "by-file"))
    succeeded(await cli("namespace", "delete", "by-file", "--yes"))


async def test_watching_outlives_the_api_it_began_with(fleet: RunningFleet, tmp_path: Path) -> None:
    succeeded(await fleet.cli("certs", "create-ca", "--name", "ca", "--out", str(tmp_path)))
    where = ("--region", "aws-us-west-2", "--ca-file", tmp_path / "ca.pem")
    await fleet.stop("dns")
    async with Cli(fleet.exports).started("namespace", "create", "patient", *where) as creation:
        await creation.said("Creating namespace")
        await fleet.kill("api")
        await fleet.start("dns")
        created = await creation.finished()

    assert created.exit_code == 0, created.stderr
    assert "State              ACTIVE" in created.stdout
    assert (await fleet.cli("namespace", "delete", "patient", "--yes")).code == 0


async def test_the_demo_works_twice_and_leaves_the_fleet_up(fleet: RunningFleet) -> None:
    first = await fleet.cli("demo")
    second = await fleet.cli("demo")

    for told in (succeeded(first), succeeded(second)):
        assert "the workflow returned: receipt for order" in told
        assert "with another CA's certificate: refused" in told
        assert "without a certificate: refused" in told
        assert f"http://{fleet.record.address('engine-ui')}/namespaces/controlplane" in told
        assert told.rstrip().endswith("-m controlplane down")
    assert "Prove the endpoint from outside" in first.out
    assert f"orders.{fleet.account} exists already" in second.out
    assert (await fleet.status())["up"]

    assert (await fleet.cli("namespace", "delete", "orders", "--yes")).code == 0
