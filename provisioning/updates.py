"""What the entity of a namespace can be asked: the updates of its workflow.

Each records what is wanted and answers with the namespace as it then is; what it agrees to is in
`provisioning.requests`.
"""

from dataclasses import replace

from temporalio import workflow

from controlplane.errors import not_found
from provisioning import requests
from provisioning.journal import Journal
from provisioning.types import (
    AbortReplicaChange,
    ConfirmMigration,
    CreateNamespace,
    DeleteNamespace,
    FailOver,
    InspectNamespace,
    IssueClientCertificate,
    MigrateNamespace,
    NamespaceState,
    NamespaceView,
    RenameSearchAttribute,
    ReplicaChangeReport,
    ReplicaMoved,
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
    def fail_over(self, request: FailOver) -> NamespaceView:
        """Record that another replica is to be the active one."""
        return self._changed(request)

    @fail_over.validator
    def _check_fail_over(self, request: FailOver) -> None:
        requests.check_change(self._state, request)

    @workflow.update
    def migrate(self, request: MigrateNamespace) -> NamespaceView:
        """Record that a replica is to be in another cell."""
        return self._changed(request)

    @migrate.validator
    def _check_migrate(self, request: MigrateNamespace) -> None:
        requests.check_change(self._state, request)

    @workflow.update
    def confirm_migration(self, request: ConfirmMigration) -> NamespaceView:
        """Record that a migration may do what cannot be undone."""
        return self._changed(request)

    @confirm_migration.validator
    def _check_confirm_migration(self, request: ConfirmMigration) -> None:
        requests.check_change(self._state, request)

    @workflow.update
    def abort_change(self, request: AbortReplicaChange) -> NamespaceView:
        """Record that what is being done to the replicas is to be undone."""
        return self._changed(request)

    @abort_change.validator
    def _check_abort_change(self, request: AbortReplicaChange) -> None:
        requests.check_change(self._state, request)

    @workflow.signal
    def replica_change_moved(self, moved: ReplicaMoved) -> None:
        """Note how far a change of the replicas is."""
        change = self._state.change
        if change is not None and change.id == moved.change:
            self._state.change = replace(
                change,
                progress=moved.progress,
                target=moved.target or change.target,
                moved_at=workflow.now(),
            )
            self._journal.touch()

    @workflow.signal
    def replica_change_reported(self, report: ReplicaChangeReport) -> None:
        """Note what has become of the replicas, for `run` to take into account between two steps:
        while one is taken, it is known where."""
        if self._state.change is not None and self._state.change.id == report.change:
            self._state.reports = [*self._state.reports, report]

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
