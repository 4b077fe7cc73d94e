# One group per zone, so that no zone is left without nodes when nodes are replaced.
resource "aws_eks_node_group" "this" {
  for_each = var.subnets

  cluster_name    = aws_eks_cluster.this.name
  node_group_name = "${var.name}-${each.key}"
  node_role_arn   = aws_iam_role.nodes.arn
  subnet_ids      = [each.value]
  instance_types  = [var.instance_type]
  ami_type        = "AL2023_x86_64_STANDARD"
  capacity_type   = "ON_DEMAND"
  tags            = var.tags

  scaling_config {
    min_size     = var.nodes_per_zone
    desired_size = var.nodes_per_zone
    max_size     = var.nodes_per_zone + 1
  }

  # A new node first, then one is drained: pods have somewhere to go.
  update_config {
    max_unavailable = 1
    update_strategy = "DEFAULT"
  }

  node_repair_config {
    enabled = true
  }

  launch_template {
    id      = aws_launch_template.nodes.id
    version = aws_launch_template.nodes.latest_version
  }

  depends_on = [
    aws_eks_addon.network,
    aws_iam_role_policy_attachment.nodes,
  ]
}

resource "aws_launch_template" "nodes" {
  name                   = "${var.name}-nodes"
  update_default_version = true
  tags                   = var.tags

  # One hop: pods do not get at the node's role. They have their own.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  monitoring {
    enabled = true
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      volume_type           = "gp3"
      volume_size           = 100
      encrypted             = "true"
      kms_key_id            = var.key
      delete_on_termination = "true"
    }
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "network-interface", "volume"])

    content {
      resource_type = tag_specifications.value
      tags          = merge(var.tags, { Name = "${var.name}-node" })
    }
  }
}

resource "aws_iam_role" "nodes" {
  name = "${var.name}-nodes"
  tags = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

# To join and to pull images; the network's rights are those of its own role.
resource "aws_iam_role_policy_attachment" "nodes" {
  for_each = toset(["AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodeMinimalPolicy"])

  role       = aws_iam_role.nodes.name
  policy_arn = "${local.managed}/${each.value}"
}
