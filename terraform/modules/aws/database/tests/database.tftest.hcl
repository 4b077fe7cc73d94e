mock_provider "aws" {
  mock_resource "aws_db_instance" {
    defaults = {
      endpoint           = "cell-k7m2p9qx.one.us-east-1.rds.amazonaws.com:5432"
      master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:us-east-1:111122223333:secret:one" }]
    }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/one" }
  }

  mock_resource "aws_security_group" {
    defaults = { id = "sg-database" }
  }
}

variables {
  name                = "cell-k7m2p9qx"
  region              = "us-east-1"
  vpc                 = "vpc-1"
  subnets             = ["subnet-a", "subnet-b", "subnet-c"]
  client_groups       = { nodes = "sg-nodes" }
  client_networks     = ["10.0.0.0/16"]
  instance_class      = "db.m7g.2xlarge"
  storage_gib         = 200
  key                 = "arn:aws:kms:us-east-1:111122223333:key/one"
  final_snapshot      = false
  deletion_protection = true
  log_retention_days  = 90
  tags                = { controlplane-uid = "k7m2p9qx" }
}

run "survives_the_loss_of_a_zone" {
  command = plan

  assert {
    condition     = aws_db_instance.this.multi_az && aws_db_instance.this.backup_retention_period == 14
    error_message = "there is a standby in another zone, and two weeks of backups"
  }
}

run "is_encrypted_and_reached_over_tls_from_within" {
  command = plan

  assert {
    condition = (
      aws_db_instance.this.storage_encrypted
      && aws_db_instance.this.kms_key_id == var.key
      && aws_db_instance.this.performance_insights_kms_key_id == var.key
      && !aws_db_instance.this.publicly_accessible
    )
    error_message = "what it keeps is encrypted with the key, and it is not on the internet"
  }

  assert {
    condition     = contains([for parameter in aws_db_parameter_group.this.parameter : "${parameter.name}=${parameter.value}"], "rds.force_ssl=1")
    error_message = "it refuses who does not speak TLS"
  }
}

run "keeps_no_password_in_the_state" {
  command = plan

  assert {
    condition = (
      aws_db_instance.this.manage_master_user_password
      && aws_db_instance.this.master_user_secret_kms_key_id == var.key
      && aws_db_instance.this.password == null
    )
    error_message = "RDS makes the first role's password, and keeps it"
  }
}

run "lets_in_its_clients_only" {
  command = plan

  assert {
    condition = (
      [for rule in aws_vpc_security_group_ingress_rule.groups : rule.referenced_security_group_id] == ["sg-nodes"]
      && [for rule in aws_vpc_security_group_ingress_rule.networks : rule.cidr_ipv4] == ["10.0.0.0/16"]
    )
    error_message = "who may connect is listed"
  }
}

run "tells_where_it_is_and_who_signs_for_it" {
  command = apply

  assert {
    condition     = output.address == "cell-k7m2p9qx.one.us-east-1.rds.amazonaws.com:5432"
    error_message = "the address has its port"
  }

  assert {
    condition     = startswith(output.ca, "-----BEGIN CERTIFICATE-----")
    error_message = "the region's root is known"
  }
}

run "leaves_a_snapshot_when_asked_to" {
  command = plan

  variables {
    final_snapshot = true
  }

  assert {
    condition     = !aws_db_instance.this.skip_final_snapshot && aws_db_instance.this.final_snapshot_identifier == "cell-k7m2p9qx-final"
    error_message = "a last snapshot outlives it"
  }
}

run "refuses_a_region_whose_root_is_not_known" {
  command = plan

  variables {
    region = "xx-nowhere-1"
  }

  expect_failures = [aws_db_instance.this]
}
