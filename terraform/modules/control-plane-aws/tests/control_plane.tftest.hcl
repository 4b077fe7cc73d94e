mock_provider "aws" {
  mock_data "aws_availability_zones" {
    defaults = { names = ["us-east-1a", "us-east-1b", "us-east-1c"] }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:us-east-1:222233334444:key/one" }
  }

  mock_resource "aws_eks_cluster" {
    defaults = {
      certificate_authority = [{ data = "LS0tLS1CRUdJTg==" }]
      identity              = [{ oidc = [{ issuer = "https://oidc.eks.us-east-1.amazonaws.com/id/ONE" }] }]
    }
  }

  mock_resource "aws_eks_node_group" {
    defaults = { resources = [{ autoscaling_groups = [{ name = "eks-one" }] }] }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::222233334444:role/one" }
  }

  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::222233334444:oidc-provider/one" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:222233334444:log-group:one" }
  }

  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0" }
  }

  mock_resource "aws_db_instance" {
    defaults = { master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:us-east-1:222233334444:secret:one" }] }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::controlplane-state-222233334444-us-east-1" }
  }

  mock_resource "aws_ec2_transit_gateway" {
    defaults = { arn = "arn:aws:ec2:us-east-1:222233334444:transit-gateway/tgw-1" }
  }

  mock_resource "aws_ram_resource_share" {
    defaults = { arn = "arn:aws:ram:us-east-1:222233334444:resource-share/one" }
  }
}

mock_provider "aws" {
  alias = "management"

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/controlplane-organization" }
  }

  mock_resource "aws_organizations_organizational_unit" {
    defaults = {
      id  = "ou-ab12-cells123"
      arn = "arn:aws:organizations::111122223333:ou/o-a1b2c3d4e5/ou-ab12-cells123"
    }
  }
}

variables {
  account            = "222233334444"
  region             = "us-east-1"
  network            = "10.0.0.0/16"
  administrators     = { operators = "arn:aws:iam::222233334444:role/operators" }
  organization       = "o-a1b2c3d4e5"
  management_account = "111122223333"
  parent             = "r-ab12"
  cell_regions       = ["us-east-1", "eu-central-1"]
  email_pattern      = "cells+{uid}@example.com"
  external_id        = "fleet-1"
  zone               = "temporal.example.com"
  zone_id            = "Z1"
}

run "lets_only_the_control_plane_into_the_organization" {
  command = apply

  assert {
    condition = jsondecode(aws_iam_role.organization.assume_role_policy).Statement[0].Condition == {
      ArnEquals    = { "aws:PrincipalArn" = "arn:aws:iam::222233334444:role/controlplane" }
      StringEquals = { "sts:ExternalId" = "fleet-1" }
    }
    error_message = "the role in the management account is for one role of one account, which says who sent it"
  }

  assert {
    condition = (
      jsondecode(aws_iam_role.control_plane.assume_role_policy).Statement[0].Condition.StringEquals["oidc.eks.us-east-1.amazonaws.com/id/ONE:sub"]
      == "system:serviceaccount:controlplane:controlplane"
    )
    error_message = "the control plane's role is for the pods of one service account"
  }
}

run "allows_nothing_on_everything_but_looking_and_making_accounts" {
  command = apply

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.organization.policy).Statement :
      statement.Resource != "*" || alltrue([
        for action in flatten([statement.Action]) :
        action == "organizations:CreateAccount" || can(regex(":(Describe|Get|List)", action))
      ])
    ])
    error_message = "what changes something is allowed on what it is to change"
  }

  assert {
    condition = alltrue([
      for statement in concat(
        jsondecode(aws_iam_role_policy.organization.policy).Statement,
        jsondecode(aws_iam_role_policy.control_plane.policy).Statement,
        jsondecode(aws_iam_role_policy.delegation.policy).Statement,
      ) : alltrue([for action in flatten([statement.Action]) : !strcontains(action, "*")])
    ])
    error_message = "actions are named one by one"
  }
}

run "becomes_roles_of_cells_within_the_organization_only" {
  command = apply

  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_role_policy.organization.policy).Statement :
      statement.Sid == "BecomeTheRoleOfACell"
      && statement.Resource == "arn:aws:iam::*:role/controlplane-cell"
      && statement.Condition.StringEquals["aws:ResourceOrgID"] == "o-a1b2c3d4e5"
    ])
    error_message = "a role of that name in somebody else's account is none of ours"
  }
}

run "guards_the_state_of_cells" {
  command = plan

  assert {
    condition = (
      aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
      && aws_s3_bucket_public_access_block.state.restrict_public_buckets
      && aws_s3_bucket_public_access_block.state.block_public_policy
    )
    error_message = "versions are kept, and it cannot be made public"
  }

  assert {
    condition = alltrue(flatten([
      for rule in aws_s3_bucket_server_side_encryption_configuration.state.rule : [
        for by_default in rule.apply_server_side_encryption_by_default : by_default.sse_algorithm == "aws:kms"
      ]
    ]))
    error_message = "it is encrypted with a key of its own"
  }
}

run "says_what_the_control_plane_is_to_be_started_with" {
  command = apply

  assert {
    condition = (
      output.environment.CONTROLPLANE_AWS_ORGANIZATION_ROLE == "arn:aws:iam::111122223333:role/controlplane-organization"
      && output.environment.CONTROLPLANE_AWS_ORGANIZATIONAL_UNIT == "ou-ab12-cells123"
      && output.environment.CONTROLPLANE_AWS_STATE_BUCKET == "controlplane-state-222233334444-us-east-1"
    )
    error_message = "settings come out of what was made"
  }
}

run "refuses_an_address_that_would_be_every_cells" {
  command = plan

  variables {
    email_pattern = "cells@example.com"
  }

  expect_failures = [var.email_pattern]
}
