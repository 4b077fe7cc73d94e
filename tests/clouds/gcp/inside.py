"""What is in the stand-in's projects: clusters, databases, secrets, networks, zones, keys."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.clouds.gcp.api_errors import ApiError
from tests.clouds.gcp.rest_api import Call, Handler
from tests.clouds.gcp.world import Json, Operation, Project, World

_PAGE = 2
"""Lists have more pages than one, so that those who read only the first are found out."""


@dataclass(frozen=True)
class InsideApi:
    world: World

    def handlers(self) -> Mapping[str, Mapping[str, Handler]]:
        """Return them by discovery document."""
        return {
            "container.v1": {
                "container.projects.locations.clusters.get": self.cluster,
                "container.projects.locations.clusters.list": self.clusters,
            },
            "sqladmin.v1": {
                "sql.instances.list": self.databases,
                "sql.users.update": self.set_password,
                "sql.operations.get": self.operation,
            },
            "secretmanager.v1": {
                "secretmanager.projects.secrets.create": self.create_secret,
                "secretmanager.projects.secrets.delete": self.delete_secret,
                "secretmanager.projects.secrets.list": self.secrets,
                "secretmanager.projects.secrets.addVersion": self.add_version,
                "secretmanager.projects.secrets.versions.access": self.access,
                "secretmanager.projects.secrets.versions.list": self.versions,
                "secretmanager.projects.secrets.versions.destroy": self.destroy,
            },
            "compute.v1": {
                "compute.projects.get": self.compute_project,
                "compute.regions.get": self.region,
                "compute.networks.list": self.networks,
                **{
                    f"compute.{kind}.aggregatedList": self._aggregated(kind)
                    for kind in (
                        "forwardingRules",
                        "serviceAttachments",
                        "instances",
                        "disks",
                        "addresses",
                    )
                },
            },
            "dns.v1": {
                "dns.managedZones.list": self.zones,
                "dns.managedZones.get": self.zone,
                "dns.managedZones.getIamPolicy": self.zone_policy,
                "dns.managedZones.setIamPolicy": self.set_zone_policy,
                "dns.resourceRecordSets.list": self.records,
                "dns.changes.create": self.change,
                "dns.changes.get": self.changed,
            },
            "cloudkms.v1": {
                "cloudkms.projects.locations.keyRings.list": self.key_rings,
                "cloudkms.projects.locations.keyRings.cryptoKeys.list": self.keys,
            },
        }

    def cluster(self, call: Call) -> Json:
        project = self._of(call, call["name"], "container.clusters.get", "container")
        place = "/".join(call["name"].split("/")[3::2])
        if place not in project.clusters:
            raise ApiError("NOT_FOUND", f"Not found: {call['name']}.")
        return project.clusters[place]

    def clusters(self, call: Call) -> Json:
        project = self._of(call, call["parent"], "container.clusters.list", "container")
        return {"clusters": list(project.clusters.values())}

    def databases(self, call: Call) -> Json:
        project = self._of(call, call["project"], "cloudsql.instances.list", "sqladmin")
        return _page(call, "items", list(project.databases.values()))

    def set_password(self, call: Call) -> Json:
        project = self._of(call, call["project"], "cloudsql.users.update", "sqladmin")
        instance = call["instance"]
        if instance not in project.databases:
            raise ApiError("NOT_FOUND", "The Cloud SQL instance does not exist.")

        def finish() -> Json:
            project.passwords.setdefault(instance, {})[call["name"]] = call.body["password"]
            return {}

        return _sql(self.world.start(finish))

    def operation(self, call: Call) -> Json:
        operation = self.world.operation(f"operations/{call['operation']}")
        operation.look()
        return _sql(operation)

    def create_secret(self, call: Call) -> Json:
        project = self._of(call, call["parent"], "secretmanager.secrets.create", "secretmanager")
        if call["secretId"] in project.secrets:
            raise ApiError("ALREADY_EXISTS", f"Secret [{call['secretId']}] already exists.")
        if "replication" not in call.body:
            raise ApiError("INVALID_ARGUMENT", "Secret.replication is required.")
        project.secrets[call["secretId"]] = []
        return {"name": f"{call['parent']}/secrets/{call['secretId']}"}

    def delete_secret(self, call: Call) -> Json:
        project, secret, _ = self._secret(call, "name")
        del project.secrets[secret]
        return {}

    def secrets(self, call: Call) -> Json:
        project = self._of(call, call["parent"], "secretmanager.secrets.list", "secretmanager")
        wanted = call.parameters.get("filter", "name:").removeprefix("name:")
        found = [
            {"name": f"projects/{project.number}/secrets/{name}"}
            for name in project.secrets
            if wanted in name
        ]
        return _page(call, "secrets", found)

    def add_version(self, call: Call) -> Json:
        _, secret, versions = self._secret(call, "parent")
        data = call.body["payload"]["data"]
        if not data:
            raise ApiError("INVALID_ARGUMENT", "Secret Payload cannot be empty.")
        if len(base64.b64decode(data)) > 65_536:
            raise ApiError("INVALID_ARGUMENT", "The secret payload is larger than 65536 bytes.")
        name = f"{call['parent']}/versions/{len(versions) + 1}"
        versions.append({"name": name, "state": "ENABLED", "data": data})
        self.world.made.append(f"version of {secret}")
        return {"name": name, "state": "ENABLED"}

    def access(self, call: Call) -> Json:
        _, _, versions = self._secret(call, "name")
        if not versions:
            raise ApiError("NOT_FOUND", f"Secret Version [{call['name']}] not found.")
        if versions[-1]["state"] != "ENABLED":
            raise ApiError("FAILED_PRECONDITION", f"[{call['name']}] is in DESTROYED state.")
        return {"name": versions[-1]["name"], "payload": {"data": versions[-1]["data"]}}

    def versions(self, call: Call) -> Json:
        _, _, versions = self._secret(call, "parent")
        state = call.parameters.get("filter", "").removeprefix("state:")
        shown = [
            {"name": version["name"], "state": version["state"]}
            for version in reversed(versions)
            if state in ("", version["state"])
        ]
        return _page(call, "versions", shown)

    def destroy(self, call: Call) -> Json:
        _, _, versions = self._secret(call, "name")
        version = versions[int(call["name"].rpartition("/")[2]) - 1]
        if version["state"] == "DESTROYED":
            raise ApiError("FAILED_PRECONDITION", f"[{call['name']}] is in DESTROYED state.")
        version.update(state="DESTROYED", data="")
        return {"name": version["name"], "state": "DESTROYED"}

    def compute_project(self, call: Call) -> Json:
        project = self._of(call, call["project"], "compute.projects.get", "compute")
        return {"name": project.id, "quotas": _quotas(project, {"NETWORKS", "FIREWALLS"})}

    def region(self, call: Call) -> Json:
        project = self._of(call, call["project"], "compute.regions.get", "compute")
        status = self.world.regions.get(call["region"])
        if status is None:
            raise ApiError(
                "NOT_FOUND",
                f"The resource 'projects/{project.id}/regions/{call['region']}' was not found",
            )
        return {
            "name": call["region"],
            "status": status,
            "quotas": _quotas(project, set(project.quotas) - {"NETWORKS", "FIREWALLS"}),
        }

    def networks(self, call: Call) -> Json:
        project = self._of(call, call["project"], "compute.networks.list", "compute")
        networks = [resource for _, resource in project.compute.get("networks", [])]
        return _page(call, "items", [{"name": "default"}, *networks])

    def zones(self, call: Call) -> Json:
        project = self._of(call, call["project"], "dns.managedZones.list", "dns")
        shown = [{"name": name, "dnsName": zone["dnsName"]} for name, zone in project.zones.items()]
        return _page(call, "managedZones", shown)

    def zone(self, call: Call) -> Json:
        return {"name": call["managedZone"], "dnsName": self._zone(call)["dnsName"]}

    def zone_policy(self, call: Call) -> Json:
        options = call.body.get("options", {})
        return self.world.zone_policy.read(options.get("requestedPolicyVersion", 1))

    def set_zone_policy(self, call: Call) -> Json:
        self.world.check_members(call.body["policy"])
        return self.world.zone_policy.write(call.body["policy"])

    def records(self, call: Call) -> Json:
        rrsets = self._zone(call)["rrsets"]
        name = call.parameters.get("name")
        shown = [each for each in rrsets if name in (None, each["name"])]
        return _page(call, "rrsets", shown)

    def change(self, call: Call) -> Json:
        """Carry out all of it or nothing."""
        zone = self._zone(call)
        rrsets = list(zone["rrsets"])
        deletions, additions = call.body.get("deletions", []), call.body.get("additions", [])
        if any(each in additions for each in deletions):
            raise ApiError("INVALID_ARGUMENT", "The change deletes and adds the same record set.")
        for each in deletions:
            if each not in rrsets:
                raise ApiError("FAILED_PRECONDITION", f"Precondition not met for {each['name']}")
            rrsets.remove(each)
        for each in additions:
            same_name = [other for other in rrsets if other["name"] == each["name"]]
            if any(other["type"] == each["type"] for other in same_name):
                raise ApiError("ALREADY_EXISTS", f"{each['name']} ({each['type']}) already exists")
            if any("CNAME" in (other["type"], each["type"]) for other in same_name):
                raise ApiError(
                    "INVALID_ARGUMENT", f"{each['name']}: a CNAME cannot be beside other records"
                )
            rrsets.append(each)
        zone["rrsets"] = rrsets

        def finish() -> Json:
            if self.world.on_change is not None:
                self.world.on_change(deletions, additions)
            return {}

        return _change(self.world.start(finish))

    def changed(self, call: Call) -> Json:
        self._zone(call)
        operation = self.world.operation(f"operations/{call['changeId']}")
        operation.look()
        return _change(operation)

    def key_rings(self, call: Call) -> Json:
        project = self._of(call, call["parent"], "cloudkms.keyRings.list", "cloudkms")
        rings = sorted({key["name"].rpartition("/cryptoKeys/")[0] for key in project.keys})
        return _page(call, "keyRings", [{"name": ring} for ring in rings])

    def keys(self, call: Call) -> Json:
        project = self._of(call, call["parent"], "cloudkms.cryptoKeys.list", "cloudkms")
        keys = [key for key in project.keys if key["name"].startswith(f"{call['parent']}/")]
        return _page(call, "cryptoKeys", keys)

    def _aggregated(self, kind: str) -> Callable[[Call], Json]:
        def aggregated(call: Call) -> Json:
            project = self._of(call, call["project"], f"compute.{kind}.list", "compute")
            items: Json = {"global": {"warning": {"code": "NO_RESULTS_ON_PAGE"}}}
            for place, resource in project.compute.get(kind, []):
                items.setdefault(place, {}).setdefault(kind, []).append(resource)
            return {"items": items}

        return aggregated

    def _secret(self, call: Call, parameter: str) -> tuple[Project, str, list[Json]]:
        parts = call[parameter].split("/")
        project = self._of(call, call[parameter], "secretmanager.versions.access", "secretmanager")
        if parts[3] not in project.secrets:
            raise ApiError("NOT_FOUND", f"Secret [{'/'.join(parts[:4])}] not found.")
        return project, parts[3], project.secrets[parts[3]]

    def _zone(self, call: Call) -> Json:
        project = self._of(call, call["project"], "dns.changes.create", "dns")
        if call["managedZone"] not in project.zones:
            raise ApiError(
                "NOT_FOUND",
                f"The 'parameters.managedZone' resource named "
                f"'{call['managedZone']}' does not exist.",
            )
        zone: Json = project.zones[call["managedZone"]]
        return zone

    def _of(self, call: Call, name: str, permission: str, api: str) -> Project:
        project_id = name.split("/")[1] if "/" in name else name
        return self.world.project(project_id, call.caller, permission, f"{api}.googleapis.com")


def _page(call: Call, kind: str, found: list[Json]) -> Json:
    start = int(call.parameters.get("pageToken", "0"))
    page: Json = {kind: found[start : start + _PAGE]}
    if start + _PAGE < len(found):
        page["nextPageToken"] = str(start + _PAGE)
    return page


def _quotas(project: Project, metrics: set[str]) -> list[Json]:
    return [
        {"metric": metric, "limit": limit, "usage": 0.0}
        for metric, limit in project.quotas.items()
        if metric in metrics
    ]


def _sql(operation: Operation) -> Json:
    status = "DONE" if operation.is_done else "RUNNING"
    return {"name": operation.name.removeprefix("operations/"), "status": status}


def _change(operation: Operation) -> Json:
    status = "done" if operation.is_done else "pending"
    return {"id": operation.name.removeprefix("operations/"), "status": status}
