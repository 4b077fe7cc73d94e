variable "name" {
  description = "How everything is called that is made here, in the control plane's account and in the organisation."
  type        = string
  default     = "controlplane"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,23}$", var.name))
    error_message = "name must be 2 to 24 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "account" {
  description = "The AWS account in which the control plane runs: not the management account."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "account must be the twelve digits of an AWS account."
  }
}

variable "region" {
  description = "The region in which the control plane runs."
  type        = string
}

variable "network" {
  description = "The IPv4 range of its VPC: a /16 that no cell has."
  type        = string
}

variable "cell_networks" {
  description = "The range that the networks of all cells are taken from."
  type        = string
  default     = "10.0.0.0/8"
}

variable "operator_networks" {
  description = "IPv4 ranges from which operators reach the cluster's endpoint, through the transit gateway."
  type        = list(string)
  default     = []
}

variable "administrators" {
  description = "By a name for the entry: the ARN of a role that administers the cluster."
  type        = map(string)
}

variable "organization" {
  description = "Id of the organisation, o-…"
  type        = string

  validation {
    condition     = can(regex("^o-[a-z0-9]{10,32}$", var.organization))
    error_message = "organization must be an organisation's id, such as o-a1b2c3d4e5."
  }
}

variable "management_account" {
  description = "The organisation's management account: where the provider aws.management acts."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.management_account))
    error_message = "management_account must be the twelve digits of an AWS account."
  }
}

variable "parent" {
  description = "Id of the root or unit below which the unit of the cells is made, r-… or ou-…"
  type        = string
}

variable "cell_regions" {
  description = "Regions in which cells may be: elsewhere, their accounts may do nothing."
  type        = list(string)

  validation {
    condition     = length(var.cell_regions) > 0
    error_message = "cell_regions must have at least one region."
  }
}

variable "cell_role" {
  description = "Name of the role that each cell's account is made with."
  type        = string
  default     = "controlplane-cell"
}

variable "email_pattern" {
  description = "Address of an account's owner, with {uid} in it, such as cells+{uid}@example.com."
  type        = string

  validation {
    condition     = length(split("{uid}", var.email_pattern)) == 2 && length(split("@", var.email_pattern)) == 2
    error_message = "email_pattern must be an address with {uid} in it, such as cells+{uid}@example.com."
  }
}

variable "external_id" {
  description = "What the organisation's role wants to be told by whom it lets become it."
  type        = string
}

variable "zone" {
  description = "The fleet's DNS zone, such as temporal.example.com."
  type        = string
}

variable "zone_id" {
  description = "Id of its hosted zone, in the control plane's account."
  type        = string
}

variable "service_account" {
  description = "Of the cluster, `<namespace>:<service account>`: whose pods are the control plane."
  type        = string
  default     = "controlplane:controlplane"
}

variable "kubernetes_version" {
  description = "The minor version of Kubernetes. EKS goes up one at a time, and never down."
  type        = string
  default     = "1.35"
}

variable "instance_type" {
  description = "The type of the cluster's nodes."
  type        = string
  default     = "m7i.xlarge"
}

variable "instance_class" {
  description = "The class of the database's instances."
  type        = string
  default     = "db.m7g.large"
}

variable "make_autoscaling_role" {
  description = "Whether to make the account's service-linked role of EC2 Auto Scaling: false where there is one."
  type        = bool
  default     = true
}

variable "log_retention_days" {
  description = "How long logs are kept: a number of days that CloudWatch Logs knows."
  type        = number
  default     = 365
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete cluster and database."
  type        = bool
  default     = true
}

variable "tags" {
  description = "Tags of everything."
  type        = map(string)
  default     = {}
}
