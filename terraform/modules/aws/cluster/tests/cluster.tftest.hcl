mock_provider "aws" {
  mock_resource "aws_eks_cluster" {
    defaults = {
      arn                   = "arn:aws:eks:us-east-1:111122223333:cluster/cell-k7m2p9qx"
      certificate_authority = [{ data = "LS0tLS1CRUdJTg==" }]
      identity              = [{ oidc = [{ issuer = "https://oidc.eks.us-east-1.amazonaws.com/id/ONE" }] }]
    }
  }

  mock_resource "aws_eks_node_group" {
    defaults = { resources = [{ autoscaling_groups = [{ name = "eks-one" }] }] }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/one" }
  }

  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::111122223333:oidc-provider/one" }
  }

  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0" }
  }
}

variables {
  name                = "cell-k7m2p9qx"
  region              = "us-east-1"
  kubernetes_version  = "1.35"
  subnets             = { us-east-1a = "subnet-a", us-east-1b = "subnet-b", us-east-1c = "subnet-c" }
  client_networks     = ["10.0.0.0/16"]
  administrators      = { control-plane = "arn:aws:iam::111122223333:role/controlplane-cell" }
  instance_type       = "m7i.2xlarge"
  nodes_per_zone      = 2
  key                 = "arn:aws:kms:us-east-1:111122223333:key/one"
  deletion_protection = true
  log_retention_days  = 90
  tags                = { controlplane-uid = "k7m2p9qx" }
}

run "is_reached_from_within_only" {
  command = plan

  assert {
    condition = (
      !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
      && aws_eks_cluster.this.vpc_config[0].endpoint_private_access
    )
    error_message = "the cluster has no endpoint on the internet"
  }

  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.endpoint) == ["10.0.0.0/16"]
    error_message = "its endpoint is for the networks that are given, and no others"
  }
}

run "lets_in_only_whom_an_entry_names" {
  command = plan

  assert {
    condition = (
      aws_eks_cluster.this.access_config[0].authentication_mode == "API"
      && !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
    )
    error_message = "whoever makes the cluster is not let in for it"
  }

  assert {
    condition     = [for entry in aws_eks_access_entry.administrators : entry.principal_arn] == [var.administrators["control-plane"]]
    error_message = "the control plane's role administers it, and nobody else"
  }
}

run "encrypts_secrets_volumes_and_logs" {
  command = plan

  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == var.key
    error_message = "Secrets are encrypted with the key"
  }

  assert {
    condition = (
      aws_launch_template.nodes.block_device_mappings[0].ebs[0].encrypted == "true"
      && aws_launch_template.nodes.block_device_mappings[0].ebs[0].kms_key_id == var.key
    )
    error_message = "so are the nodes' volumes"
  }

  assert {
    condition = alltrue([
      for group in concat([aws_cloudwatch_log_group.control_plane], values(aws_cloudwatch_log_group.containers)) :
      group.kms_key_id == var.key && group.retention_in_days == 90
    ])
    error_message = "so are logs, which are not kept for ever"
  }

  assert {
    condition     = length(aws_eks_cluster.this.enabled_cluster_log_types) == 5
    error_message = "the cluster logs all that it can, its audit log included"
  }
}

run "keeps_the_identity_of_nodes_from_pods" {
  command = plan

  assert {
    condition = (
      aws_launch_template.nodes.metadata_options[0].http_tokens == "required"
      && aws_launch_template.nodes.metadata_options[0].http_put_response_hop_limit == 1
    )
    error_message = "the metadata service is a hop too far for pods"
  }

  assert {
    condition     = keys(aws_iam_role_policy_attachment.nodes) == ["AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodeMinimalPolicy"]
    error_message = "nodes join and pull images: the network's rights are another's"
  }
}

run "gives_each_addon_a_role_that_only_its_service_account_has" {
  command = apply

  assert {
    condition = (
      jsondecode(aws_iam_role.addons["network"].assume_role_policy).Statement[0].Condition.StringEquals
      == {
        "oidc.eks.us-east-1.amazonaws.com/id/ONE:aud" = "sts.amazonaws.com"
        "oidc.eks.us-east-1.amazonaws.com/id/ONE:sub" = "system:serviceaccount:kube-system:aws-node"
      }
    )
    error_message = "a role names the one service account whose pods may have it"
  }

  assert {
    condition     = output.ca == "-----BEGIN" && output.identity_provider.issuer == "oidc.eks.us-east-1.amazonaws.com/id/ONE"
    error_message = "outputs are decoded, and the issuer is without its scheme, as policies want it"
  }
}

run "enforces_network_policies" {
  command = plan

  assert {
    condition     = jsondecode(aws_eks_addon.network.configuration_values).enableNetworkPolicy == "true"
    error_message = "without it NetworkPolicies are accepted and ignored"
  }
}

run "has_nodes_in_every_zone" {
  command = plan

  assert {
    condition     = alltrue([for group in aws_eks_node_group.this : length(group.subnet_ids) == 1 && group.scaling_config[0].min_size == 2])
    error_message = "each zone has a group of its own, of the size that was asked for"
  }
}
