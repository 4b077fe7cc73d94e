mock_provider "aws" {
  mock_data "aws_availability_zones" {
    defaults = { names = ["us-east-1a", "us-east-1b", "us-east-1c"] }
  }

  mock_resource "aws_eks_cluster" {
    defaults = {
      endpoint              = "https://one.gr7.us-east-1.eks.amazonaws.com"
      certificate_authority = [{ data = "LS0tLS1CRUdJTg==" }]
      identity              = [{ oidc = [{ issuer = "https://oidc.eks.us-east-1.amazonaws.com/id/ONE" }] }]
    }
  }

  mock_resource "aws_eks_node_group" {
    defaults = { resources = [{ autoscaling_groups = [{ name = "eks-one" }] }] }
  }

  mock_resource "aws_db_instance" {
    defaults = {
      endpoint           = "cell-k7m2p9qx.one.us-east-1.rds.amazonaws.com:5432"
      master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:one" }]
    }
  }

  mock_resource "aws_vpc_endpoint_service" {
    defaults = {
      service_name                   = "com.amazonaws.vpce.us-east-1.vpce-svc-one"
      private_dns_name_configuration = [{ name = "_one", type = "TXT", value = "vpce:one" }]
    }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/one" }
  }

  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::111122223333:oidc-provider/one" }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:us-east-1:111122223333:key/one" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:us-east-1:111122223333:log-group:one" }
  }

  mock_resource "aws_iam_service_linked_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/aws-service-role/one" }
  }

  mock_resource "aws_lb" {
    defaults = { arn = "arn:aws:elasticloadbalancing:us-east-1:111122223333:loadbalancer/net/one/1" }
  }

  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:us-east-1:111122223333:targetgroup/one/1" }
  }

  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0" }
  }

  mock_resource "aws_opensearch_domain" {
    defaults = { endpoint = "vpc-one.us-east-1.es.amazonaws.com" }
  }
}

mock_provider "aws" {
  alias = "dns"
}

variables {
  cell    = "cell-a"
  uid     = "k7m2p9qx"
  account = "111122223333"
  acts_as = "arn:aws:iam::111122223333:role/controlplane-cell"
  region  = "us-east-1"
  network = "10.7.0.0/16"
}

run "opens_nothing_by_itself" {
  command = plan

  assert {
    condition     = aws_lb.ingress.internal && length(aws_vpc_endpoint_service.ingress.allowed_principals) == 0
    error_message = "the load balancer is internal, and nobody may connect to the endpoint service"
  }

  assert {
    condition     = keys(aws_vpc_security_group_ingress_rule.ingress) == ["10.7.0.0/16"]
    error_message = "the load balancer answers the cell's own network"
  }

  assert {
    condition     = length(aws_route53_zone.cell) == 0 && length(aws_route53_record.delegation) == 0
    error_message = "a cell that is given no zone has none"
  }
}

run "is_as_large_as_it_was_asked_to_be" {
  command = plan

  variables {
    actions_per_second = 1001
  }

  assert {
    condition     = local.size.actions_per_second == 5000 && aws_opensearch_domain.this[0].cluster_config[0].instance_type == "r7g.xlarge.search"
    error_message = "the first size that is enough"
  }
}

run "searches_encrypted_over_three_zones" {
  command = plan

  assert {
    condition = (
      aws_opensearch_domain.this[0].encrypt_at_rest[0].enabled
      && aws_opensearch_domain.this[0].node_to_node_encryption[0].enabled
      && aws_opensearch_domain.this[0].domain_endpoint_options[0].enforce_https
      && aws_opensearch_domain.this[0].cluster_config[0].zone_awareness_config[0].availability_zone_count == 3
      && !aws_opensearch_domain.this[0].advanced_security_options[0].internal_user_database_enabled
    )
    error_message = "encrypted everywhere, in three zones, and without passwords"
  }
}

run "searches_in_postgresql_when_asked_to" {
  command = plan

  variables {
    opensearch = false
  }

  assert {
    condition     = output.search == "" && length(aws_opensearch_domain.this) == 0 && length(aws_iam_role_policy.search) == 0
    error_message = "there is no OpenSearch, and no right to one"
  }
}

run "keeps_the_tags_that_the_sweep_looks_for" {
  command = plan

  variables {
    labels = { team = "storage", controlplane-uid = "another" }
  }

  assert {
    condition = aws_kms_key.cell.tags == tomap({
      team              = "storage"
      controlplane-cell = "cell-a"
      controlplane-uid  = "k7m2p9qx"
      managed-by        = "controlplane"
    })
    error_message = "labels are added, and replace none of them"
  }
}

run "fulfils_the_contract_of_cells" {
  command = apply

  variables {
    control_plane_networks = ["10.0.0.0/16"]
    transit_gateway        = "tgw-1"
    dns_zone               = "cell-a.cells.example.com"
    dns_parent_zone        = "Z1"
    endpoint_consumers     = ["arn:aws:iam::444455556666:root"]
  }

  assert {
    condition = (
      output.cluster_name == "cell-k7m2p9qx"
      && output.cluster_endpoint == "https://one.gr7.us-east-1.eks.amazonaws.com"
      && output.cluster_ca == "-----BEGIN"
      && output.database == "cell-k7m2p9qx.one.us-east-1.rds.amazonaws.com:5432"
      && output.database_secret == "arn:aws:secretsmanager:us-east-1:111122223333:secret:one"
      && startswith(output.database_ca, "-----BEGIN CERTIFICATE-----")
      && output.search == "https://vpc-one.us-east-1.es.amazonaws.com"
      && output.key == "arn:aws:kms:us-east-1:111122223333:key/one"
      && output.endpoint_service == "com.amazonaws.vpce.us-east-1.vpce-svc-one"
      && output.region == "us-east-1"
    )
    error_message = "an output is not what the control plane reads"
  }

  assert {
    condition     = output.identities == { schema = aws_iam_role.temporal.arn, temporal = aws_iam_role.temporal.arn }
    error_message = "identities are by service account"
  }

  assert {
    condition = (
      jsondecode(aws_iam_role.temporal.assume_role_policy).Statement[0].Condition.StringEquals["oidc.eks.us-east-1.amazonaws.com/id/ONE:sub"]
      == ["system:serviceaccount:cell-a:schema", "system:serviceaccount:cell-a:temporal"]
    )
    error_message = "only these service accounts, in the cell's namespace, have the role"
  }

  assert {
    condition     = aws_route53_record.delegation["cell-a.cells.example.com"].zone_id == "Z1"
    error_message = "the zone above delegates the cell's"
  }
}

run "refuses_what_would_open_it_to_everybody" {
  command = plan

  variables {
    control_plane_networks = ["0.0.0.0/0"]
    endpoint_consumers     = ["*"]
  }

  expect_failures = [var.control_plane_networks, var.endpoint_consumers]
}

run "refuses_names_that_are_none" {
  command = plan

  variables {
    cell    = "Cell_A"
    uid     = "7"
    account = "prod"
    acts_as = "arn:aws:sts::111122223333:assumed-role/controlplane-cell/session"
    network = "10.7.0.0/15"
  }

  expect_failures = [var.cell, var.uid, var.account, var.acts_as, var.network]
}

run "refuses_what_is_another_cell" {
  command = plan

  variables {
    actions_per_second = 20001
  }

  expect_failures = [var.actions_per_second]
}
