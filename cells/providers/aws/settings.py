"""What the control plane has to know of the AWS organisation in which it makes cells."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

UID = "{uid}"
"""What an e-mail pattern has in the place of a cell's uid."""

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_OU = re.compile(r"ou-[a-z0-9]{4,32}-[a-z0-9]{8,32}")
_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}")
_CIDR = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}/\d{1,2}")


@dataclass(frozen=True)
class AwsSettings:
    """Read from CONTROLPLANE_AWS_… once. None of it is secret."""

    organization_role: str
    """The ARN of the role in the management account that the control plane becomes."""
    organizational_unit: str
    """The id of the unit in which the accounts of cells are."""
    email_pattern: str
    """The address of an account's owner, unique in all of AWS, such as cells+{uid}@example.com."""
    state_bucket: str
    """Where Terraform keeps the state of cells."""
    state_region: str
    """The region of the bucket, and of whatever has no region of its own."""
    external_id: str = ""
    """What the organisation's role wants to be told by whom it lets become it."""
    state_key: str = ""
    """The ARN of the KMS key that encrypts the state; empty: the bucket's own default."""
    cell_role: str = "controlplane-cell"
    """The name of the role that each cell's account is made with."""
    session_name: str = "controlplane"
    """What CloudTrail shows beside a role: tells this control plane from others."""
    zone_id: str = ""
    """Of the Route 53 zone in which zones of cells are delegated; empty: cells have none."""
    zone: str = ""
    """The name of that zone."""
    dns_role: str = ""
    """The ARN of the role that writes delegations, where the zone is in another account."""
    control_plane_networks: tuple[str, ...] = ()
    """From where the control plane reaches clusters and databases, as CIDRs."""
    transit_gateway: str = ""
    """What the networks of cells are attached to; empty: to nothing."""
    endpoint_consumers: tuple[str, ...] = ()
    """The ARNs of those who may connect by PrivateLink."""

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "AwsSettings":
        """Read the environment; a ValueError names what is missing or malformed."""
        zone_id, zone = env.get(_name("zone_id"), ""), env.get(_name("zone"), "")
        if bool(zone_id) != bool(zone):
            raise ValueError(f"set both {_name('zone')} and {_name('zone_id')}, or neither")
        return cls(
            organization_role=_matching(env, "organization_role", _ROLE, "a role's ARN"),
            organizational_unit=_matching(env, "organizational_unit", _OU, "ou-…-…"),
            email_pattern=_email_pattern(env),
            state_bucket=_required(env, "state_bucket"),
            state_region=_required(env, "state_region"),
            external_id=env.get(_name("external_id"), ""),
            state_key=env.get(_name("state_key"), ""),
            cell_role=_matching(
                env, "cell_role", _ROLE_NAME, "a role's name, without path", cls.cell_role
            ),
            session_name=env.get(_name("session_name")) or cls.session_name,
            zone_id=zone_id,
            zone=zone,
            dns_role=env.get(_name("dns_role"), ""),
            control_plane_networks=_networks(env),
            transit_gateway=env.get(_name("transit_gateway"), ""),
            endpoint_consumers=_several(env, "endpoint_consumers"),
        )

    @property
    def partition(self) -> str:
        """Of AWS: `aws`, or that of China or of a government."""
        return self.organization_role.split(":")[1]

    def email(self, uid: str) -> str:
        return self.email_pattern.replace(UID, uid)

    def cell_role_arn(self, account: str) -> str:
        return f"arn:{self.partition}:iam::{account}:role/{self.cell_role}"


def _name(setting: str) -> str:
    return f"CONTROLPLANE_AWS_{setting.upper()}"


def _required(env: Mapping[str, str], setting: str) -> str:
    value = env.get(_name(setting))
    if not value:
        raise ValueError(f"{_name(setting)} is not set")
    return value


def _matching(
    env: Mapping[str, str], setting: str, form: re.Pattern[str], wanted: str, default: str = ""
) -> str:
    value = env.get(_name(setting)) or default or _required(env, setting)
    if not form.fullmatch(value):
        raise ValueError(f"{_name(setting)} is {value!r}: write {wanted}")
    return value


def _email_pattern(env: Mapping[str, str]) -> str:
    value = _required(env, "email_pattern")
    if value.count(UID) != 1 or value.count("@") != 1 or len(value) > 60:
        raise ValueError(
            f"{_name('email_pattern')} is {value!r}: write an address of 60 characters at most "
            f"with {UID} in it, such as cells+{UID}@example.com"
        )
    return value


def _several(env: Mapping[str, str], setting: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in env.get(_name(setting), "").split(","))))


def _networks(env: Mapping[str, str]) -> tuple[str, ...]:
    networks = _several(env, "control_plane_networks")
    for network in networks:
        if not _CIDR.fullmatch(network):
            raise ValueError(
                f"{_name('control_plane_networks')} has {network!r}: write CIDRs such as "
                "10.0.0.0/16, with commas between them"
            )
    return networks
