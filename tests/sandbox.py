"""The sandbox in which tests run workflows: it finds what a replay could not repeat."""

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

# The sandbox loads what a workflow imports anew for each run: a second of a busy machine, five
# times as long as all else. So what only declares comes from outside; what decides stays inside.
_DECLARATIONS = (
    "cells.activities",
    "cells.ingress.records",
    "cells.ledger.activities",
    "cells.ledger.types",
    "cells.life.activities",
    "cells.life.ports",
    "cells.life.progress",
    "cells.life.types",
    "cells.ports",
    "cells.providers.ports",
    "cells.providers.types",
    "cells.release",
    "cells.runtime.ports",
    "cells.types",
    "cells.visits.activities",
    "cells.visits.types",
    "controlplane.errors",
    "controlplane.ids",
    "controlplane.resource",
    "provisioning.activities",
    "provisioning.automatic.activities",
    "provisioning.automatic.ports",
    "provisioning.automatic.sight",
    "provisioning.automatic.types",
    "provisioning.evacuation.activities",
    "provisioning.evacuation.facts",
    "provisioning.evacuation.policy",
    "provisioning.evacuation.types",
    "provisioning.ports",
    "provisioning.types",
    "rollout.activities",
    "rollout.policy",
    "rollout.ports",
    "rollout.types",
)

SANDBOX = SandboxedWorkflowRunner(
    restrictions=SandboxRestrictions.default.with_passthrough_modules(*_DECLARATIONS)
)
