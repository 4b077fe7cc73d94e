"""How each step is taken and undone: the activities behind them, from inside a workflow."""

from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig, LocalActivityConfig

from cells.placement import Placement
from provisioning import plan
from provisioning.activities import (
    Admit,
    IssueCertificate,
    IssueClientCertificateFor,
    Observation,
    ObserveNamespace,
    Prove,
    ProvisioningActivities,
    Register,
    RenameAttribute,
    WriteDatabase,
)
from provisioning.journal import Journal
from provisioning.plan import Wanted
from provisioning.ports import Incarnation
from provisioning.types import (
    NamespaceState,
    NamespaceView,
    ProofFacts,
    SigningRequest,
    Step,
)

# An activity tries a few times at once; after that the entity reports, waits and comes round again.
ATTEMPTS = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    maximum_interval=timedelta(seconds=2),
    maximum_attempts=3,
)
# What waits for the world, or may be cut short, is an activity of its own.
PATIENT = ActivityConfig(
    start_to_close_timeout=timedelta(seconds=20),
    # Short, so that a step begun by a worker that died is soon begun again.
    heartbeat_timeout=timedelta(seconds=5),
    retry_policy=ATTEMPTS,
    # So that an undo never overtakes what it undoes.
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)
PATIENTLY_TAKEN = frozenset({Step.SELECT_CELL, Step.PROVE})
"""The steps that are taken by such activities, the first of them after a quick one; undoing a step
always is."""
# What takes milliseconds runs within the workflow task: several steps cost the engine one task.
# A worker that dies meanwhile leaves the task to another, which repeats them.
QUICK = LocalActivityConfig(
    start_to_close_timeout=timedelta(seconds=20),
    retry_policy=ATTEMPTS,
    cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
)
# The control plane's own database: without it there is nothing to go on with, so no end of trying.
OWN_DATABASE = LocalActivityConfig(
    start_to_close_timeout=timedelta(seconds=5),
    retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=5)),
)


async def choose_cell(region: str) -> Placement:
    """Return a placement with a cell; raise NoCapacity when there is none."""
    return await workflow.execute_local_activity_method(
        ProvisioningActivities.choose_cell, region, **OWN_DATABASE
    )


async def reserve_cell(target: Incarnation) -> None:
    """Hold capacity in the cell; raise its NoCapacity when it has just filled up.

    It waits for another entity, and so is patient; and it ends the workflow task in which the
    creation was accepted, so that whoever asked for it hears of that before the work begins.
    """
    await workflow.execute_activity_method(ProvisioningActivities.reserve_cell, target, **PATIENT)


async def publish(view: NamespaceView) -> None:
    """Make the view readable by everyone else."""
    await workflow.execute_local_activity_method(
        ProvisioningActivities.publish_namespace, view, **OWN_DATABASE
    )


async def observe(target: Incarnation, wanted: Wanted) -> Observation:
    """Return what the world holds of the namespace, and what time it is.

    Decide by this time, not by `workflow.now()`: after local activities a replay may see another
    one than the first execution did.
    """
    return await workflow.execute_activity_method(
        ProvisioningActivities.observe_namespace,
        ObserveNamespace(target, wanted.trust),
        **PATIENT,
    )


async def issue_client_certificate(target: Incarnation, request: SigningRequest) -> None:
    """Have the managed CA sign a client's certificate, for its owner to fetch."""
    await workflow.execute_activity_method(
        ProvisioningActivities.issue_client_certificate,
        IssueClientCertificateFor(target, request),
        **PATIENT,
    )


async def take(step: Step, target: Incarnation, wanted: Wanted, state: NamespaceState) -> None:
    """Take a step in the cell that was selected, and note in `state` what it brought about.

    Steps run side by side, so each reads what the others wrote only after its own await.
    """
    match step:
        case Step.SELECT_CELL:
            raise AssertionError("the cell is selected before there is a target")
        case Step.WRITE_DATABASE:
            former = state.observed.database
            database = await workflow.execute_local_activity_method(
                ProvisioningActivities.write_database,
                WriteDatabase(target, None if former is None else former.rotated_at),
                **QUICK,
            )
            state.observed = replace(state.observed, database=database)
        case Step.ISSUE_CERTIFICATE:
            certificate = await workflow.execute_local_activity_method(
                ProvisioningActivities.issue_certificate,
                IssueCertificate(target, wanted.trust),
                **QUICK,
            )
            state.observed = replace(state.observed, certificate=certificate)
        case Step.REGISTER:
            await _register(target, wanted, state)
        case Step.ADMIT:
            basis = plan.admission_basis(wanted, state.observed)
            admission = await workflow.execute_local_activity_method(
                ProvisioningActivities.admit,
                Admit(target, plan.admission_rules(wanted, state.observed), basis),
                **QUICK,
            )
            state.observed = replace(state.observed, admission=admission)
        case Step.PUBLISH_DNS:
            dns = await workflow.execute_local_activity_method(
                ProvisioningActivities.publish_dns, target, **QUICK
            )
            state.observed = replace(state.observed, dns=dns)
        case Step.PROVE:
            issued, admitted = state.observed.certificate, state.observed.admission
            assert issued is not None, "what is proven was issued before"
            assert admitted is not None, "what is proven was admitted before"
            await workflow.execute_activity_method(
                ProvisioningActivities.prove,
                Prove(target, issued.fingerprint, wanted.spec.api_keys),
                **PATIENT,
            )
            proof = ProofFacts(admitted.digest, workflow.now())
            state.observed = replace(state.observed, proof=proof)


async def _register(target: Incarnation, wanted: Wanted, state: NamespaceState) -> None:
    """Register the namespace; then rename its search attributes, one at a time.

    A renaming waits until the history says in which field the attribute lies: by the field a
    repeated one knows what the first has done, when nothing is left under the old name.
    """
    registered, left = state.observed.registration, wanted.renames
    if registered is not None and left and left[0].old in registered.fields:
        rename = left[0]
        await workflow.execute_local_activity_method(
            ProvisioningActivities.rename_attribute,
            RenameAttribute(target, registered.fields[rename.old], rename.old, rename.new),
            **QUICK,
        )
        Journal(state).note_renamed(rename, workflow.now())
        left = left[1:]
    registration = await workflow.execute_local_activity_method(
        ProvisioningActivities.register,
        Register(target, wanted.spec.retention, plan.attributes_before(wanted.spec, left)),
        **QUICK,
    )
    state.observed = replace(state.observed, registration=registration)


async def undo(step: Step, target: Incarnation) -> None:
    """Undo a step, whether it was taken whole, in part or not at all."""
    run = workflow.execute_activity_method
    match step:
        case Step.SELECT_CELL | Step.PROVE:
            raise AssertionError(f"{step} leaves nothing in a cell to undo")
        case Step.WRITE_DATABASE:
            await run(ProvisioningActivities.remove_database, target, **PATIENT)
        case Step.ISSUE_CERTIFICATE:
            await run(ProvisioningActivities.destroy_certificate, target, **PATIENT)
        case Step.REGISTER:
            await run(ProvisioningActivities.deregister, target, **PATIENT)
        case Step.ADMIT:
            await run(ProvisioningActivities.dismiss, target, **PATIENT)
        case Step.PUBLISH_DNS:
            await run(ProvisioningActivities.withdraw_dns, target, **PATIENT)
