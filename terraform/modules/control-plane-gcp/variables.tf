variable "name" {
  description = "How everything is called that is made here."
  type        = string
  default     = "controlplane"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,18}[a-z0-9]$", var.name))
    error_message = "name must be 6 to 20 lower-case letters, digits and hyphens, beginning with a letter."
  }
}

variable "project" {
  description = "Id of the project in which the control plane runs."
  type        = string
}

variable "region" {
  description = "The region in which the control plane runs."
  type        = string
}

variable "network" {
  description = "The IPv4 range of its VPC: a /16 that no cell has."
  type        = string
}

variable "operator_networks" {
  description = "IPv4 ranges from which operators reach the cluster's private endpoint."
  type        = list(string)
  default     = []
}

variable "organization" {
  description = "The organisation's number."
  type        = string

  validation {
    condition     = can(regex("^[0-9]+$", var.organization))
    error_message = "organization must be a number, without organizations/ before it."
  }
}

variable "folder" {
  description = "The folder in which every cell gets its project, folders/123456789. Nothing else should be in it."
  type        = string

  validation {
    condition     = can(regex("^folders/[0-9]+$", var.folder))
    error_message = "folder must be such as folders/123456789."
  }
}

variable "billing_account" {
  description = "Which pays for the cells, such as 012345-6789AB-CDEF01."
  type        = string

  validation {
    condition     = can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "billing_account must be such as 012345-6789AB-CDEF01."
  }
}

variable "cell_locations" {
  description = "Where cells may be, in the words of the constraint gcp.resourceLocations, such as in:us-east4-locations."
  type        = list(string)

  validation {
    condition     = length(var.cell_locations) > 0
    error_message = "cell_locations must have at least one location."
  }
}

variable "project_prefix" {
  description = "How the ids of cells' projects begin; ids are unique in the world."
  type        = string
  default     = "cell"
}

variable "managed_zone" {
  description = "Name of the managed zone of the fleet's DNS zone, in this project."
  type        = string
}

variable "service_account" {
  description = "Of the cluster, `<namespace>/<service account>`: whose pods are the control plane."
  type        = string
  default     = "controlplane/controlplane"
}

variable "kubernetes_version" {
  description = "The minor version of Kubernetes. GKE goes up one at a time, and never down."
  type        = string
  default     = "1.35"
}

variable "machine_type" {
  description = "The type of the cluster's nodes."
  type        = string
  default     = "n4-standard-4"
}

variable "tier" {
  description = "The machine type of the database's instances."
  type        = string
  default     = "db-perf-optimized-N-2"
}

variable "dns_endpoint" {
  description = "Whether clusters of cells are reached by their names at Google, where IAM is asked before the cluster is, instead of by their private addresses."
  type        = bool
  default     = false
}

variable "deletion_protection" {
  description = "Whether Google and Terraform refuse to delete cluster and database."
  type        = bool
  default     = true
}

variable "labels" {
  description = "Labels of everything."
  type        = map(string)
  default     = {}
}
