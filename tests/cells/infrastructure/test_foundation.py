"""What a module's outputs have to be."""

import json

import pytest

from cells.infrastructure.failures import TerraformFailed
from cells.infrastructure.foundation import foundation
from cells.providers.types import Account

ACCOUNT = Account(id="210987654321")
OUTPUTS = {
    "cluster_name": "cell-kq2x7wma",
    "cluster_endpoint": "https://10.7.0.2",
    "cluster_ca": "-----BEGIN CERTIFICATE-----\n…",
    "database": "db.example.com:5432",
    "database_secret": "arn:aws:secretsmanager:…",
    "region": "us-east-1",
}


def test_what_a_module_need_not_have_is_empty() -> None:
    made = foundation(json.dumps(OUTPUTS), "cell-aws", ACCOUNT)

    assert made.account == ACCOUNT
    assert made.cluster.endpoint == "https://10.7.0.2"
    assert (made.search, made.key, made.identities) == ("", "", {})


@pytest.mark.parametrize(
    ("outputs", "problem"),
    [
        ({name: OUTPUTS[name] for name in OUTPUTS if name != "region"}, "region is missing"),
        ({**OUTPUTS, "database_secret": ""}, "database_secret is empty"),
        ({**OUTPUTS, "cluster_endpoint": "10.7.0.2"}, "'10.7.0.2', not an https URL"),
        ({**OUTPUTS, "cluster_ca": "LS0tLS1CRUdJTg=="}, "cluster_ca is not PEM"),
        ({**OUTPUTS, "database": "db.example.com"}, "'db.example.com', not host:port"),
        ({**OUTPUTS, "key": 7}, "key is not text, but 7"),
    ],
    ids=["missing", "empty", "endpoint", "authority", "database", "number"],
)
def test_an_output_that_nothing_can_be_built_upon_is_named(
    outputs: dict[str, object], problem: str
) -> None:
    with pytest.raises(TerraformFailed, match=problem):
        foundation(json.dumps(outputs), "cell-aws", ACCOUNT)
