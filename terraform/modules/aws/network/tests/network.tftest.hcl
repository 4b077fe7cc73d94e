mock_provider "aws" {
  mock_data "aws_availability_zones" {
    defaults = { names = ["us-east-1d", "us-east-1b", "us-east-1a", "us-east-1c"] }
  }
}

variables {
  name               = "cell-k7m2p9qx"
  region             = "us-east-1"
  network            = "10.7.0.0/16"
  key                = "arn:aws:kms:us-east-1:111122223333:key/one"
  log_retention_days = 90
  tags               = { controlplane-uid = "k7m2p9qx" }
}

run "spans_three_zones_and_divides_the_network_between_them" {
  command = plan

  assert {
    condition     = output.zones == tolist(["us-east-1a", "us-east-1b", "us-east-1c"])
    error_message = "the first three zones by name are taken, whatever order AWS tells them in"
  }

  assert {
    condition     = local.subnets["us-east-1c"] == { nodes = "10.7.64.0/19", data = "10.7.98.0/24", edge = "10.7.114.0/24" }
    error_message = "subnets are where they always were: moving one would replace what is in it"
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 3
    error_message = "each zone has its own way out"
  }
}

run "gives_databases_no_way_out" {
  command = plan

  assert {
    condition     = length(aws_route.routed_from_data) == 0 && length(aws_route.nat) == 3
    error_message = "there is a route out of the subnets of nodes, and none out of those of databases"
  }
}

run "gives_nobody_a_public_address_or_an_open_group" {
  command = plan

  assert {
    condition     = alltrue([for subnet in aws_subnet.edge : !subnet.map_public_ip_on_launch])
    error_message = "nothing gets a public address by starting somewhere"
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints.cidr_ipv4 == "10.7.0.0/16"
    error_message = "endpoints of AWS services are for the VPC"
  }
}

run "routes_through_the_transit_gateway_that_is_given" {
  command = plan

  variables {
    transit_gateway = { id = "tgw-1" }
    routed_networks = ["10.0.0.0/16"]
  }

  assert {
    condition     = length(aws_route.routed_from_nodes) == 3 && length(aws_route.routed_from_data) == 1
    error_message = "nodes of every zone and databases answer those who come through it"
  }
}

run "records_all_traffic_encrypted" {
  command = plan

  assert {
    condition     = aws_flow_log.this.traffic_type == "ALL" && aws_cloudwatch_log_group.flows.kms_key_id == var.key
    error_message = "flow logs tell of everything, under the key"
  }
}

run "refuses_a_region_of_two_zones" {
  command = plan

  override_data {
    target = data.aws_availability_zones.here
    values = { names = ["us-west-1a", "us-west-1c"] }
  }

  expect_failures = [data.aws_availability_zones.here]
}

run "refuses_a_network_of_another_size" {
  command = plan

  variables {
    network = "10.7.0.0/20"
  }

  expect_failures = [var.network]
}
