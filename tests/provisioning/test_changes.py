"""What becomes of changes: a real engine, a real worker, a world in memory."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from controlplane.errors import rejected
from provisioning.memory import MemoryProber, MemoryWorld
from provisioning.ports import Incarnation
from provisioning.types import (
    CreateNamespace,
    DecisionKind,
    DeleteNamespace,
    InspectNamespace,
    IssueClientCertificate,
    NamespaceLife,
    NamespaceSpec,
    NamespaceView,
    OperationState,
    RenameSearchAttribute,
    RevokeCertificate,
    SearchAttributeType,
    SetRequestLimit,
    Step,
    UpdateNamespace,
    UpdateTags,
)
from tests.engine import (
    Entities,
    cell_view,
    fresh_namespace,
    memory_activities,
    namespace_spec,
    working,
)
from tests.eventually import eventually

NAME = "orders.acme1"
SPEC = replace(namespace_spec(), search_attributes={"Customer": SearchAttributeType.KEYWORD})
SHORTER = replace(SPEC, retention=timedelta(days=7))


async def test_an_update_is_brought_about_and_only_what_differs_is_touched(
    entities: Entities,
) -> None:
    created = await _created(entities)
    entities.world.taken.clear()

    accepted = await entities.namespaces.update(
        NAME, UpdateNamespace("op2", created.resource_version, SHORTER)
    )
    assert accepted.life == NamespaceLife.UPDATING
    view = await _finished(entities, "op2")

    assert view.life == NamespaceLife.ACTIVE
    assert view.spec == SHORTER
    assert view.resource_version != created.resource_version
    assert entities.world.registered[NAME].retention == timedelta(days=7)
    assert [step for step, _ in entities.world.taken] == [Step.REGISTER]


async def test_who_may_connect_is_admitted_anew_and_proven_anew(entities: Entities) -> None:
    await _created(entities)
    entities.world.taken.clear()

    await entities.namespaces.update(
        NAME,
        UpdateNamespace("op2", "", replace(SPEC, managed_ca=True, client_ca="", api_keys=True)),
    )
    view = await _finished(entities, "op2")

    assert view.observed.certificate is not None
    assert view.observed.certificate.managed_ca.startswith("-----BEGIN CERTIFICATE-----")
    assert ("aws-us-east-1-c1", "acme1") in entities.world.keys_known
    taken = [step for step, _ in entities.world.taken]
    assert taken == [Step.ISSUE_CERTIFICATE, Step.ADMIT, Step.PROVE]


async def test_what_is_refused_for_good_is_taken_back(entities: Entities) -> None:
    created = await _created(entities)
    entities.world.faults[Step.REGISTER] = [rejected("no field is left for it")]
    more = {**SPEC.search_attributes, "Total": SearchAttributeType.DOUBLE}

    await entities.namespaces.update(
        NAME, UpdateNamespace("op2", "", replace(SHORTER, search_attributes=more))
    )
    view = await _finished(entities, "op2")

    operation = next(op for op in view.operations if op.id == "op2")
    assert operation.state == OperationState.FAILED
    assert "no field is left for it" in operation.failure_reason
    settled = await _settled(entities)
    assert settled.spec == created.spec
    assert settled.conditions["Ready"].status == "True"
    assert any(d.kind == DecisionKind.GAVE_UP for d in settled.decisions)

    await entities.namespaces.update(NAME, UpdateNamespace("op3", "", SHORTER))
    assert (await _finished(entities, "op3")).spec == SHORTER


@dataclass(frozen=True)
class HeldProber(MemoryProber):
    """Proves nothing until it may."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)
    may_prove: asyncio.Event = field(default_factory=asyncio.Event)

    async def prove(
        self,
        target: Incarnation,
        server_name: str,
        certificate_fingerprint: str,
        api_keys: bool,
        at: str = "",
    ) -> None:
        self.asked.set()
        await self.may_prove.wait()
        await super().prove(target, server_name, certificate_fingerprint, api_keys, at)


async def test_what_came_while_an_update_was_tried_is_not_taken_back_with_it(
    engine: WorkflowEnvironment,
) -> None:
    world = MemoryWorld(known_cells=[cell_view()])
    prober = HeldProber(world)
    activities = replace(memory_activities(world), prober=prober)
    namespace = await fresh_namespace(engine.client)
    async with working(namespace, world=world, activities=activities) as entities:
        prober.may_prove.set()
        await _created(entities)
        prober.asked.clear()
        prober.may_prove.clear()
        world.faults[Step.PROVE] = [rejected("a stranger was let in")]

        await entities.namespaces.update(
            NAME, UpdateNamespace("op2", "", replace(SPEC, api_keys=True))
        )
        await prober.asked.wait()
        await entities.namespaces.update(NAME, UpdateNamespace("op3", "", SHORTER))
        prober.may_prove.set()
        await _finished(entities, "op3")
        view = await _settled(entities)

    assert view.spec == SHORTER
    states = {op.id: op.state for op in view.operations}
    # What a later one overwrote is fulfilled with it.
    assert (states["op2"], states["op3"]) == (OperationState.FULFILLED, OperationState.FULFILLED)
    assert not any(decision.kind == DecisionKind.GAVE_UP for decision in view.decisions)


async def test_what_fails_for_now_is_brought_about_in_the_end(entities: Entities) -> None:
    await _created(entities)
    entities.world.faults[Step.REGISTER] = [ConnectionError("reset by peer")] * 7

    await entities.namespaces.update(NAME, UpdateNamespace("op2", "", SHORTER))
    view = await _finished(entities, "op2")

    assert view.operations[-1].state == OperationState.FULFILLED
    assert entities.world.registered[NAME].retention == timedelta(days=7)


async def test_a_revocation_is_never_taken_back(entities: Entities) -> None:
    await _created(entities)
    entities.world.faults[Step.ADMIT] = [rejected("the record is another's")] * 3

    await entities.namespaces.revoke(NAME, RevokeCertificate("op2", "a1"))
    view = await _finished(entities, "op2")

    assert view.operations[-1].state == OperationState.FULFILLED
    assert view.policy.revoked_serials == ("a1",)
    assert "a1" in entities.world.admitted[NAME].parts["revoked_serials"]


async def test_a_request_limit_outlives_updates_of_the_spec(entities: Entities) -> None:
    await _created(entities)

    await entities.namespaces.set_request_limit(NAME, SetRequestLimit("op2", 40))
    await entities.namespaces.update(NAME, UpdateNamespace("op3", "", SHORTER))
    view = await _finished(entities, "op3")

    assert view.policy.requests_per_second == 40
    assert entities.world.admitted[NAME].parts["requests_per_second"] == "40"


async def test_a_renamed_search_attribute_keeps_its_field(entities: Entities) -> None:
    # The sequence that the Terraform provider makes, with one version throughout.
    created = await _created(entities)
    field = entities.world.registered[NAME].fields["Customer"]
    version = created.resource_version

    await entities.namespaces.rename_search_attribute(
        NAME, RenameSearchAttribute("op2", version, "Customer", "Buyer")
    )
    renamed = await _finished(entities, "op2")
    assert renamed.spec.search_attributes == {"Buyer": SearchAttributeType.KEYWORD}
    assert entities.world.registered[NAME].fields == {"Buyer": field}

    both = {"Customer": SearchAttributeType.KEYWORD, "Buyer": SearchAttributeType.KEYWORD}
    await entities.namespaces.update(
        NAME, UpdateNamespace("op3", version, replace(SPEC, search_attributes=both))
    )
    view = await _finished(entities, "op3")

    assert view.spec.search_attributes == both
    assert entities.world.registered[NAME].fields["Buyer"] == field


async def test_renames_there_and_back_end_where_they_began(entities: Entities) -> None:
    await _created(entities)
    fields = entities.world.registered[NAME].fields

    await entities.namespaces.rename_search_attribute(
        NAME, RenameSearchAttribute("op2", "", "Customer", "Buyer")
    )
    await entities.namespaces.rename_search_attribute(
        NAME, RenameSearchAttribute("op3", "", "Buyer", "Customer")
    )
    await _finished(entities, "op3")

    assert entities.world.registered[NAME].fields == fields


async def test_a_rename_that_is_done_stays_when_an_update_after_it_is_taken_back(
    entities: Entities,
) -> None:
    await _created(entities)
    await entities.namespaces.rename_search_attribute(
        NAME, RenameSearchAttribute("op2", "", "Customer", "Buyer")
    )
    await _finished(entities, "op2")
    entities.world.faults[Step.REGISTER] = [rejected("no longer than that")]
    buyer = {"Buyer": SearchAttributeType.KEYWORD}

    longer = replace(SPEC, search_attributes=buyer, retention=timedelta(days=90))
    await entities.namespaces.update(NAME, UpdateNamespace("op3", "", longer))
    await _finished(entities, "op3")
    view = await _settled(entities)

    states = {op.id: op.state for op in view.operations}
    assert (states["op2"], states["op3"]) == (OperationState.FULFILLED, OperationState.FAILED)
    assert view.spec == replace(SPEC, search_attributes=buyer)
    assert list(entities.world.registered[NAME].fields) == ["Buyer"]


async def test_tags_need_no_step_in_the_world(entities: Entities) -> None:
    await _created(entities)
    entities.world.taken.clear()

    await entities.namespaces.tag(NAME, UpdateTags("op2", {"team": "payments"}, ()))
    view = await _finished(entities, "op2")

    assert view.tags == {"team": "payments"}
    assert entities.world.taken == []


async def test_an_inspection_says_what_differs_and_it_is_mended(entities: Entities) -> None:
    await _created(entities)
    entities.world.published.clear()
    made = entities.world.registered[NAME]
    entities.world.registered[NAME] = replace(made, retention=timedelta(days=1))

    await entities.namespaces.inspect(NAME, InspectNamespace("op2"))
    view = await _finished(entities, "op2")

    assert view.inspection is not None
    found = {(d.step, d.what): d.found for d in view.inspection.differences}
    assert found == {
        (Step.REGISTER, "retention"): "1 day, 0:00:00",
        (Step.PUBLISH_DNS, "orders.acme1.fleet.test"): "nothing",
    }
    assert view.conditions["InSync"].reason == "Repaired"
    assert entities.world.registered[NAME] == made
    assert entities.world.published
    kinds = [decision.kind for decision in view.decisions]
    assert kinds.index(DecisionKind.DRIFT_FOUND) < kinds.index(DecisionKind.DRIFT_REPAIRED)


async def test_an_inspection_of_what_is_as_made_says_so(entities: Entities) -> None:
    await _created(entities)

    await entities.namespaces.inspect(NAME, InspectNamespace("op2"))
    view = await _finished(entities, "op2")

    assert view.inspection is not None
    assert view.inspection.differences == ()
    assert (view.conditions["InSync"].status, view.conditions["InSync"].reason) == (
        "True",
        "AsMade",
    )


async def test_the_managed_ca_signs_a_clients_certificate_once(entities: Entities) -> None:
    await _created(entities, replace(SPEC, client_ca="", managed_ca=True))
    asked = IssueClientCertificate("op2", _signing_request(), timedelta(days=7))

    await entities.namespaces.issue(NAME, asked)
    await _finished(entities, "op2")
    await entities.namespaces.issue(NAME, asked)

    (issued,) = entities.world.client_certificates[NAME].values()
    assert "worker-1" in issued.subject
    assert issued.not_after - issued.not_before >= timedelta(days=7)


async def test_what_cannot_be_signed_fails_with_the_reason(entities: Entities) -> None:
    await _created(entities, replace(SPEC, client_ca="", managed_ca=True))

    await entities.namespaces.issue(
        NAME, IssueClientCertificate("op2", "no PEM", timedelta(days=7))
    )
    view = await _finished(entities, "op2")

    operation = view.operations[-1]
    assert operation.state == OperationState.FAILED
    assert "PEM" in operation.failure_reason
    assert view.life == NamespaceLife.ACTIVE


async def test_a_deletion_overtakes_a_change_that_cannot_succeed(entities: Entities) -> None:
    await _created(entities)
    entities.world.faults[Step.REGISTER] = [ConnectionError("reset by peer")] * 1000
    await entities.namespaces.update(NAME, UpdateNamespace("op2", "", SHORTER))

    await entities.namespaces.delete(NAME, DeleteNamespace("op3", ""))
    view = await _finished(entities, "op3")

    states = {op.id: op.state for op in view.operations}
    assert states["op2"] == OperationState.CANCELLED
    assert states["op3"] == OperationState.FULFILLED
    assert entities.world.is_empty_of(NAME)


async def test_of_two_updates_by_one_version_the_second_is_refused(entities: Entities) -> None:
    created = await _created(entities)
    version = created.resource_version
    first = UpdateNamespace("op2", version, SHORTER)
    second = UpdateNamespace("op3", version, replace(SPEC, delete_protection=True))

    outcomes = await asyncio.gather(
        _outcome(entities.namespaces.update(NAME, first)),
        _outcome(entities.namespaces.update(NAME, second)),
    )

    assert sorted(outcomes) == ["FailedPrecondition", "accepted"]


async def test_no_change_is_lost_while_the_entity_rolls_over_and_over(entities: Entities) -> None:
    # The test engine suggests rolling over after as many events as a creation takes.
    await _created(entities)
    handle = entities.namespaces.handle(NAME)

    async def tags(worker: int) -> None:
        for number in range(30):
            await entities.namespaces.tag(
                NAME, UpdateTags(f"{worker}-{number}", {f"w{worker}": str(number)}, ())
            )

    await asyncio.gather(*(tags(worker) for worker in range(4)))

    async def all_read() -> bool:
        return entities.world.views[NAME].tags == {f"w{worker}": "29" for worker in range(4)}

    await eventually(all_read, within=60)
    await _settled(entities)
    run = await handle.describe()
    first = run.raw_description.workflow_execution_info.first_run_id
    assert run.run_id != first
    assert run.history_length < 400


async def _created(entities: Entities, spec: NamespaceSpec = SPEC) -> NamespaceView:
    await entities.namespaces.create(NAME, CreateNamespace("op1", spec))
    return await _finished(entities, "op1")


async def _finished(entities: Entities, operation: str) -> NamespaceView:
    """Return the published view in which the operation is finished."""

    async def finished() -> bool:
        view = entities.world.views.get(NAME)
        return view is not None and any(
            op.id == operation and op.finished_at is not None for op in view.operations
        )

    await eventually(finished, within=60)
    return entities.world.views[NAME]


async def _settled(entities: Entities) -> NamespaceView:
    """Return the published view in which nothing is left to do."""

    async def settled() -> bool:
        view = entities.world.views[NAME]
        return view.life == NamespaceLife.ACTIVE and all(op.finished_at for op in view.operations)

    await eventually(settled, within=60)
    return entities.world.views[NAME]


async def _outcome(request: Awaitable[NamespaceView]) -> str:
    try:
        await request
    except ApplicationError as refusal:
        return str(refusal.type)
    return "accepted"


def _signing_request() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "worker-1")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()
