# What there has to be in the management account: the unit of the cells, what no account in it may do,
# and the one role through which the control plane makes accounts there and becomes the role of each.

resource "aws_organizations_organizational_unit" "cells" {
  provider = aws.management

  name      = "${var.name}-cells"
  parent_id = var.parent
  tags      = local.tags
}

resource "aws_organizations_policy" "guardrails" {
  provider = aws.management

  name        = "${var.name}-cells"
  description = "What no account of a cell may do"
  type        = "SERVICE_CONTROL_POLICY"
  tags        = local.tags

  content = templatefile("${path.module}/policies/guardrails.json", {
    cell_role = var.cell_role
    partition = local.partition
    regions   = jsonencode(var.cell_regions)
  })
}

resource "aws_organizations_policy_attachment" "guardrails" {
  provider = aws.management

  policy_id = aws_organizations_policy.guardrails.id
  target_id = aws_organizations_organizational_unit.cells.id
}

resource "aws_iam_role" "organization" {
  provider = aws.management

  name                 = "${var.name}-organization"
  max_session_duration = 3600
  tags                 = local.tags

  # The account is the principal and the role a condition, so that this role can be made first.
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = "arn:${local.partition}:iam::${var.account}:root" }
      Condition = {
        ArnEquals    = { "aws:PrincipalArn" = local.control_plane_role }
        StringEquals = { "sts:ExternalId" = var.external_id }
      }
    }]
  })
}

resource "aws_iam_role_policy" "organization" {
  provider = aws.management

  name = "organization"
  role = aws_iam_role.organization.id

  policy = templatefile("${path.module}/policies/organization.json", {
    bucket             = aws_s3_bucket.state.arn
    cell_role          = var.cell_role
    delegation_role    = "arn:${local.partition}:iam::${var.account}:role/${var.name}-delegation"
    management_account = var.management_account
    organization       = var.organization
    organization_role  = local.organization_role
    partition          = local.partition
    state_key          = aws_kms_key.state.arn
    unit               = aws_organizations_organizational_unit.cells.arn
  })
}
