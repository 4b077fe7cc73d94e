variable "cell" {
  description = "The cell's id in the fleet."
  type        = string

  validation {
    condition     = can(regex("^[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$", var.cell))
    error_message = "cell must be a DNS label: lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "uid" {
  description = "Tells the cell from an earlier one of the same id, and names what is made for it."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{7}$", var.uid))
    error_message = "uid must be eight lower-case letters and digits, beginning with a letter."
  }
}

variable "account" {
  description = "The AWS account that belongs to the cell alone."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account))
    error_message = "account must be the twelve digits of an AWS account."
  }
}

variable "acts_as" {
  description = "ARN of the role that the control plane has in the account: it administers the cluster."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/.+$", var.acts_as))
    error_message = "acts_as must be the ARN of an IAM role, not of a session of one."
  }
}

variable "region" {
  description = "The region, such as us-east-1."
  type        = string
}

variable "network" {
  description = "The IPv4 range of the VPC: a /16 that no other cell has."
  type        = string

  validation {
    condition     = can(cidrhost(var.network, 0)) && endswith(var.network, "/16")
    error_message = "network must be a /16 in CIDR notation, such as 10.7.0.0/16."
  }
}

variable "actions_per_second" {
  description = "What the cell is to take: decides the sizes of nodes, database and search."
  type        = number
  default     = 1000

  validation {
    condition     = var.actions_per_second > 0 && var.actions_per_second <= 20000
    error_message = "actions_per_second must be between 1 and 20000: more than that is another cell."
  }
}

variable "opensearch" {
  description = "Whether workflows are searched in OpenSearch; otherwise, in PostgreSQL. Never changed later, and the same in all cells that are to replicate namespaces with each other."
  type        = bool
  default     = true
}

variable "control_plane_networks" {
  description = "IPv4 ranges from which the control plane reaches cluster, database and services."
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for range in var.control_plane_networks : can(cidrhost(range, 0)) && !endswith(range, "/0")
    ])
    error_message = "control_plane_networks must be ranges in CIDR notation, and never everything (/0)."
  }
}

variable "fleet_networks" {
  description = "IPv4 ranges of the other cells, to which there is a route where there is a transit gateway: replicas pull from each other. Security groups say who may come in."
  type        = list(string)
  default     = ["10.0.0.0/8"]
}

variable "transit_gateway" {
  description = "Id of the region's transit gateway, which leads to control_plane_networks. Empty: none."
  type        = string
  default     = ""
}

variable "dns_zone" {
  description = "A DNS zone of the cell's own, such as cell-a.cells.example.com. Empty: none."
  type        = string
  default     = ""

  validation {
    condition     = !endswith(var.dns_zone, ".")
    error_message = "dns_zone must be without its trailing dot."
  }
}

variable "dns_parent_zone" {
  description = "Id of the hosted zone above dns_zone, to which the delegation is written with the provider aws.dns. Empty: somebody else writes it, from the output name_servers."
  type        = string
  default     = ""
}

variable "endpoint_consumers" {
  description = "ARNs of accounts, roles or users that may connect by PrivateLink."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.endpoint_consumers : startswith(arn, "arn:")])
    error_message = "endpoint_consumers must be ARNs; everybody (*) is not one."
  }
}

variable "kubernetes_version" {
  description = "The minor version of Kubernetes. EKS goes up one at a time, and never down."
  type        = string
  default     = "1.35"
}

variable "log_retention_days" {
  description = "How long logs are kept: a number of days that CloudWatch Logs knows."
  type        = number
  default     = 90

  validation {
    condition = contains(
      [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653],
      var.log_retention_days,
    )
    error_message = "log_retention_days must be a number of days that CloudWatch Logs knows, such as 30, 90 or 365."
  }
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete cluster, database and load balancer. Switched off by an apply of its own before the cell is destroyed."
  type        = bool
  default     = true
}

variable "labels" {
  description = "More tags of everything."
  type        = map(string)
  default     = {}
}
