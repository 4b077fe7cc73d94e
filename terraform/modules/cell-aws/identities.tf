# What pods are to AWS, by service account. Everything of the cell is in the cluster's namespace of
# the cell's name. The ingress asks AWS nothing, and has no identity there.
locals {
  identities = {
    for account in ["schema", "temporal"] : account => aws_iam_role.temporal.arn
  }
}

resource "aws_iam_role" "temporal" {
  name = "${local.name}-temporal"
  tags = local.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = module.cluster.identity_provider.arn }
      Condition = {
        StringEquals = {
          "${module.cluster.identity_provider.issuer}:aud" = "sts.amazonaws.com"
          "${module.cluster.identity_provider.issuer}:sub" = [
            "system:serviceaccount:${var.cell}:schema",
            "system:serviceaccount:${var.cell}:temporal",
          ]
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "search" {
  count = var.opensearch ? 1 : 0

  name = "search"
  role = aws_iam_role.temporal.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect   = "Allow"
      Action   = ["es:ESHttpDelete", "es:ESHttpGet", "es:ESHttpHead", "es:ESHttpPost", "es:ESHttpPut"]
      Resource = "arn:${local.partition}:es:${var.region}:${var.account}:domain/${local.name}/*"
    }]
  })
}
