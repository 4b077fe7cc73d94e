# Whom the pods of the control plane are.
resource "aws_iam_role" "control_plane" {
  name                 = var.name
  max_session_duration = 3600
  tags                 = local.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = module.cluster.identity_provider.arn }
      Condition = {
        StringEquals = {
          "${module.cluster.identity_provider.issuer}:aud" = "sts.amazonaws.com"
          "${module.cluster.identity_provider.issuer}:sub" = "system:serviceaccount:${var.service_account}"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "control_plane" {
  name = "control-plane"
  role = aws_iam_role.control_plane.id

  policy = templatefile("${path.module}/policies/control-plane.json", {
    account           = var.account
    key               = aws_kms_key.this.arn
    organization_role = local.organization_role
    partition         = local.partition
    region            = var.region
    secrets           = var.name
    zone              = var.zone_id
  })
}

# Writes delegations of cells' zones into the fleet's zone, while Terraform builds a cell.
resource "aws_iam_role" "delegation" {
  name                 = "${var.name}-delegation"
  max_session_duration = 3600
  tags                 = local.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { AWS = aws_iam_role.organization.arn }
    }]
  })
}

resource "aws_iam_role_policy" "delegation" {
  name = "delegation"
  role = aws_iam_role.delegation.id

  policy = templatefile("${path.module}/policies/delegation.json", {
    partition = local.partition
    zone      = var.zone_id
    zone_name = var.zone
  })
}
