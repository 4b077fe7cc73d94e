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
  description = "Id of the project that belongs to the cell alone."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.account))
    error_message = "account must be a project's id."
  }
}

variable "acts_as" {
  description = "E-mail of the service account that the control plane becomes in the project: it administers the cluster and makes the database's first password."
  type        = string

  validation {
    condition     = can(regex("^[^@:]+@[^@:]+$", var.acts_as))
    error_message = "acts_as must be a service account's e-mail."
  }
}

variable "region" {
  description = "The region, such as us-east4."
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
  description = "What the cell is to take: decides the sizes of nodes and database."
  type        = number
  default     = 1000

  validation {
    condition     = var.actions_per_second > 0 && var.actions_per_second <= 20000
    error_message = "actions_per_second must be between 1 and 20000: more than that is another cell."
  }
}

variable "control_plane_networks" {
  description = "IPv4 ranges from which the control plane reaches the cluster and its services."
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for range in var.control_plane_networks : can(cidrhost(range, 0)) && !endswith(range, "/0")
    ])
    error_message = "control_plane_networks must be ranges in CIDR notation, and never everything (/0)."
  }
}

variable "control_plane_project" {
  description = "Project of the control plane, which may connect to Cloud SQL by Private Service Connect. Empty: it comes through the hub."
  type        = string
  default     = ""
}

variable "hub" {
  description = "Id of the Network Connectivity Center hub that leads to control_plane_networks. Empty: none."
  type        = string
  default     = ""
}

variable "dns_endpoint" {
  description = "Whether the cluster is reached by its name at Google, where IAM is asked before the cluster is, instead of by its private address."
  type        = bool
  default     = false
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
  description = "Name of the managed zone above dns_zone, to which the delegation is written. Empty: somebody else writes it, from the output name_servers."
  type        = string
  default     = ""
}

variable "dns_parent_project" {
  description = "Project of dns_parent_zone."
  type        = string
  default     = ""

  validation {
    condition     = var.dns_parent_zone == "" || var.dns_parent_project != ""
    error_message = "dns_parent_project must be given with dns_parent_zone."
  }
}

variable "endpoint_consumers" {
  description = "Projects that may connect by Private Service Connect."
  type        = list(string)
  default     = []
}

variable "kubernetes_version" {
  description = "The minor version of Kubernetes. GKE goes up one at a time, and never down."
  type        = string
  default     = "1.35"
}

variable "log_retention_days" {
  description = "How long logs are kept."
  type        = number
  default     = 90

  validation {
    condition     = var.log_retention_days >= 1 && var.log_retention_days <= 3650
    error_message = "log_retention_days must be between 1 and 3650."
  }
}

variable "deletion_protection" {
  description = "Whether Google and Terraform refuse to delete cluster and database. Switched off by an apply of its own before the cell is destroyed."
  type        = bool
  default     = true
}

variable "labels" {
  description = "More labels of everything."
  type        = map(string)
  default     = {}
}
