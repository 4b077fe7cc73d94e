locals {
  addon_roles = {
    network = {
      service_account = "kube-system:aws-node"
      policies        = ["AmazonEKS_CNI_Policy"]
    }
    observability = {
      service_account = "amazon-cloudwatch:cloudwatch-agent"
      policies        = ["CloudWatchAgentServerPolicy"]
    }
  }
}

# Before there are nodes: without it they do not become ready.
resource "aws_eks_addon" "network" {
  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = "vpc-cni"
  service_account_role_arn    = aws_iam_role.addons["network"].arn
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"
  tags                        = var.tags

  # NetworkPolicies are only enforced when asked for. Prefixes: many pods on few addresses' calls.
  configuration_values = jsonencode({
    enableNetworkPolicy = "true"
    env                 = { ENABLE_PREFIX_DELEGATION = "true" }
  })

  depends_on = [aws_iam_role_policy_attachment.addons]
}

resource "aws_eks_addon" "proxy" {
  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = "kube-proxy"
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"
  tags                        = var.tags
}

resource "aws_eks_addon" "dns" {
  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = "coredns"
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"
  tags                        = var.tags
  depends_on                  = [aws_eks_node_group.this]
}

# Logs of containers and nodes, and metrics of containers.
resource "aws_eks_addon" "observability" {
  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = "amazon-cloudwatch-observability"
  service_account_role_arn    = aws_iam_role.addons["observability"].arn
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"
  tags                        = var.tags

  depends_on = [
    aws_cloudwatch_log_group.containers,
    aws_eks_node_group.this,
    aws_iam_role_policy_attachment.addons,
  ]
}

# Made before the agent would make them, unencrypted and kept for ever.
resource "aws_cloudwatch_log_group" "containers" {
  #checkov:skip=CKV_AWS_338:Who reads the logs says how long they are needed: log_retention_days.
  for_each = toset(["application", "dataplane", "host", "performance"])

  name              = "/aws/containerinsights/${var.name}/${each.value}"
  kms_key_id        = var.key
  retention_in_days = var.log_retention_days
  tags              = var.tags
}

resource "aws_iam_role" "addons" {
  for_each = local.addon_roles

  name = "${var.name}-${each.key}"
  tags = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRoleWithWebIdentity"
      Principal = { Federated = aws_iam_openid_connect_provider.this.arn }
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = "system:serviceaccount:${each.value.service_account}"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "addons" {
  for_each = merge([
    for addon, role in local.addon_roles : { for policy in role.policies : "${addon} ${policy}" => { addon = addon, policy = policy } }
  ]...)

  role       = aws_iam_role.addons[each.value.addon].name
  policy_arn = "${local.managed}/${each.value.policy}"
}
