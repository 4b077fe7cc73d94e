"""What the entity of a namespace can be asked: the updates of its workflow.

Each records what is wanted and answers with the namespace as it then is; what it agrees to is in
`provisioning.requests`.
"""

from temporalio import workflow

from controlplane.errors import not_found
from provisioning import requests
from provisioning.journal import Journal
from provisioning.types import (
    CreateNamespace,
    DeleteNamespace,
    InspectNamespace,
    IssueClientCertificate,
    NamespaceState,
    NamespaceView,
    RenameSearchAttribute,
    RevokeCertificate,
    SetRequestLimit,
    UpdateNamespace,
    UpdateTags,
)


class NamespaceUpdates:
    """The handlers of a namespace's workflow, over the state that its `run` acts on."""

    def __init__(self, state: NamespaceState) -> None:
        self._state = state
        self._journal = Journal(state)

    @workflow.update
    def create(self, request: CreateNamespace) -> NamespaceView:
        """Record that the namespace is wanted. The same operation again changes nothing."""
        if not self._journal.knows(request.operation):
            uid = str(workflow.uuid4())
            requests.record_create(self._state, request, uid, workflow.now())
        return self.view()

    @create.validator
    def _check_create(self, request: CreateNamespace) -> None:
        requests.check_create(self._state, request)

    @workflow.update
    def update(self, request: UpdateNamespace) -> NamespaceView:
        """Record that another spec is wanted."""
        return self._changed(request)

    @update.validator
    def _check_update(self, request: UpdateNamespace) -> None:
        requests.check_change(self._state, request)

    @workflow.update
    def rename_search_attribute(self, request: RenameSearchAttribute) -> NamespaceView:
        """Record that a search attribute is to be called otherwise."""
        return self._changed(request)

    @rename_search_attribute.validator
    def _check_rename(self, request: RenameSearchAttribute) -> None:
        requests.check_change(self._state, request)

    @workflow.update
    def tag(self, request: UpdateTags) -> NamespaceView:
        """Record other tags."""
        return self._changed(request)

    @tag.validator
    def _check_tag(self, request: UpdateTags) -> None:
        requests.check_change(self._state, request)

    @workflow.update
    def set_request_limit(self, request: SetRequestLimit) -> NamespaceView:
        """Record how many requests a second the ingress is to let through."""
        return self._changed(request)

    @set_request_limit.validator
    def _check_request_limit(self, request: SetRequestLimit) -> None:
        requests.check_change(self._state, request)

    @workflow.update
    def revoke(self, request: RevokeCertificate) -> NamespaceView:
        """Record that a client certificate is refused from now on, or no longer."""
        return self._changed(request)

    @revoke.validator
    def _check_revoke(self, request: RevokeCertificate) -> None:
        requests.check_change(self._state, request)

    @workflow.update
    def issue(self, request: IssueClientCertificate) -> NamespaceView:
        """Record that the managed CA is to sign a client's certificate."""
        return self._changed(request)

    @issue.validator
    def _check_issue(self, request: IssueClientCertificate) -> None:
        requests.check_change(self._state, request)

    @workflow.update
    def inspect(self, request: InspectNamespace) -> NamespaceView:
        """Record that somebody wants the world looked at now."""
        return self._changed(request)

    @inspect.validator
    def _check_inspect(self, request: InspectNamespace) -> None:
        requests.check_change(self._state, request)

    @workflow.update
    def delete(self, request: DeleteNamespace) -> NamespaceView:
        """Record that the namespace is no longer wanted."""
        requests.record_delete(self._state, request, workflow.now())
        return self.view()

    @delete.validator
    def _check_delete(self, request: DeleteNamespace) -> None:
        requests.check_delete(self._state, request)

    def _changed(self, request: requests.Change) -> NamespaceView:
        requests.record_change(self._state, request, workflow.now())
        return self.view()

    def view(self) -> NamespaceView:
        """Return the namespace as it is now. No query: see `ARCHITECTURE.md`, "Nobody queries"."""
        state = self._state
        if state.spec is None or state.created_at is None:
            raise not_found(f"namespace {state.id} not found")
        return self._journal.view(state.spec, state.created_at)
