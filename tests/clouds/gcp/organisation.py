"""Billing, APIs, service accounts and the state bucket of the stand-in, over REST."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.clouds.gcp.api_errors import ApiError, denied
from tests.clouds.gcp.rest_api import Call, Handler
from tests.clouds.gcp.world import Json, Operation, Policy, Project, ServiceAccount, World

_BECOMING = "roles/iam.serviceAccountTokenCreator"


@dataclass(frozen=True)
class OrganisationApi:
    world: World

    def handlers(self) -> Mapping[str, Mapping[str, Handler]]:
        """Return them by discovery document."""
        return {
            "cloudbilling.v1": {
                "cloudbilling.billingAccounts.get": self.billing_account,
                "cloudbilling.billingAccounts.testIamPermissions": self.held,
                "cloudbilling.projects.getBillingInfo": self.billing,
                "cloudbilling.projects.updateBillingInfo": self.bill,
            },
            "serviceusage.v1": {
                "serviceusage.services.batchGet": self.apis,
                "serviceusage.services.batchEnable": self.enable,
                "serviceusage.operations.get": self.operation,
            },
            "serviceusage.v1beta1": {
                "serviceusage.services.generateServiceIdentity": self.make_agent,
                "serviceusage.operations.get": self.operation,
            },
            "iam.v1": {
                "iam.projects.serviceAccounts.create": self.create_account,
                "iam.projects.serviceAccounts.get": self.account,
                "iam.projects.serviceAccounts.getIamPolicy": self.account_policy,
                "iam.projects.serviceAccounts.setIamPolicy": self.set_account_policy,
            },
            "iamcredentials.v1": {
                "iamcredentials.projects.serviceAccounts.generateAccessToken": self.become
            },
            "storage.v1": {
                "storage.buckets.getIamPolicy": self.bucket_policy,
                "storage.buckets.setIamPolicy": self.set_bucket_policy,
                "storage.buckets.testIamPermissions": self.bucket_held,
            },
        }

    def billing_account(self, call: Call) -> Json:
        if call["name"] != f"billingAccounts/{self.world.billing_account}":
            raise denied("billing.accounts.get", call["name"])
        return {"name": call["name"], "open": self.world.is_billing_open}

    def held(self, call: Call) -> Json:
        asked = call.body["permissions"]
        return {"permissions": [each for each in asked if each not in self.world.withheld]}

    def billing(self, call: Call) -> Json:
        project = self._project(call, "name", "resourcemanager.projects.get")
        return {
            "name": f"{call['name']}/billingInfo",
            "projectId": project.id,
            "billingAccountName": project.billing,
            "billingEnabled": bool(project.billing),
        }

    def bill(self, call: Call) -> Json:
        project = self._project(call, "name", "resourcemanager.projects.createBillingAssignment")
        if project.billing != call.body["billingAccountName"]:
            project.billing = call.body["billingAccountName"]
            self.world.made.append(f"billing of {project.id}")
        return self.billing(call)

    def apis(self, call: Call) -> Json:
        project = self._project(call, "parent", "serviceusage.services.get")
        return {
            "services": [
                {
                    "name": name,
                    "state": "ENABLED" if name.rpartition("/")[2] in project.apis else "DISABLED",
                }
                for name in call.lists["names"]
            ]
        }

    def enable(self, call: Call) -> Json:
        project = self._project(call, "parent", "serviceusage.services.enable")
        wanted = call.body["serviceIds"]
        if len(wanted) > 20:
            raise ApiError("INVALID_ARGUMENT", "At most 20 services can be enabled at once.")
        if not project.billing:
            raise ApiError(
                "FAILED_PRECONDITION",
                f"Billing account for project '{project.number}' is not found.",
                reason="UREQ_PROJECT_BILLING_NOT_FOUND",
            )

        def finish() -> Json:
            if not project.apis.issuperset(wanted):
                project.apis.update(wanted)
                self.world.made.append(f"APIs of {project.id}")
            return {}

        return _shown(self.world.start(finish))

    def make_agent(self, call: Call) -> Json:
        _, project_id, _, api = call["parent"].split("/")
        project = self.world.project(project_id, call.caller, "serviceusage.services.enable")

        def finish() -> Json:
            if api not in project.agents:
                project.agents.add(api)
                self.world.made.append(f"agent of {api}")
            return {"email": f"service-{project.number}@{api}"}

        return _shown(self.world.start(finish))

    def operation(self, call: Call) -> Json:
        operation = self.world.operation(call["name"])
        operation.look()
        return _shown(operation)

    def create_account(self, call: Call) -> Json:
        project = self._project(call, "name", "iam.serviceAccounts.create")
        email = f"{call.body['accountId']}@{project.id}.iam.gserviceaccount.com"
        if email in project.accounts:
            raise ApiError(
                "ALREADY_EXISTS", f"Service account {email} already exists within project"
            )
        project.accounts[email] = ServiceAccount(email)
        self.world.made.append(f"service account {email}")
        return {"email": email, "name": f"projects/{project.id}/serviceAccounts/{email}"}

    def account(self, call: Call) -> Json:
        email = self._account(call, "name").email
        return {"email": email, "name": call["name"]}

    def account_policy(self, call: Call) -> Json:
        version = int(call.parameters.get("options.requestedPolicyVersion", "1"))
        return self._account(call, "resource").policy.read(version)

    def set_account_policy(self, call: Call) -> Json:
        return self._account(call, "resource").policy.write(call.body["policy"])

    def become(self, call: Call) -> Json:
        account = self._account(call, "name")
        may = account.policy.gives(_BECOMING, call.caller)
        if not may or account.grant_unheard_of:
            if may:
                account.grant_unheard_of -= 1
            raise denied("iam.serviceAccounts.getAccessToken", call["name"])
        seconds = int(call.body["lifetime"].removesuffix("s"))
        if seconds > 3600:
            raise ApiError("INVALID_ARGUMENT", "The access token lifetime cannot exceed 3600s")
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        return {
            "accessToken": self.world.new_token(f"serviceAccount:{account.email}"),
            "expireTime": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        }

    def bucket_policy(self, call: Call) -> Json:
        version = int(call.parameters.get("optionsRequestedPolicyVersion", "1"))
        return {"kind": "storage#policy", **self._bucket(call).read(version)}

    def set_bucket_policy(self, call: Call) -> Json:
        policy = self._bucket(call)
        self.world.check_members(call.body)
        return {"kind": "storage#policy", **policy.write(call.body)}

    def bucket_held(self, call: Call) -> Json:
        self._bucket(call)
        asked = call.lists["permissions"]
        return {"permissions": [each for each in asked if each not in self.world.withheld]}

    def _bucket(self, call: Call) -> Policy:
        if call["bucket"] != self.world.bucket:
            raise ApiError("NOT_FOUND", "The specified bucket does not exist.")
        return self.world.state_policy

    def _account(self, call: Call, parameter: str) -> ServiceAccount:
        return self.world.account(call[parameter].rpartition("/")[2])

    def _project(self, call: Call, parameter: str, permission: str) -> Project:
        return self.world.project(
            call[parameter].removeprefix("projects/"), call.caller, permission
        )


def _shown(operation: Operation) -> Json:
    shown: Json = {"name": operation.name, "done": operation.is_done}
    if operation.error is not None:
        shown["error"] = operation.error.rest(older=False)[1]["error"]
    elif operation.is_done:
        shown["response"] = operation.answer
    return shown
