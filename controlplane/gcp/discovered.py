"""Google's REST APIs, as the discovery documents say that come with the client library."""

from functools import cache
from typing import TYPE_CHECKING

import httplib2
from googleapiclient.discovery import build

if TYPE_CHECKING:
    from googleapiclient._apis.cloudbilling.v1 import CloudbillingResource
    from googleapiclient._apis.cloudkms.v1 import CloudKMSResource
    from googleapiclient._apis.compute.v1 import ComputeResource
    from googleapiclient._apis.container.v1 import ContainerResource
    from googleapiclient._apis.dns.v1 import DnsResource
    from googleapiclient._apis.iam.v1 import IamResource
    from googleapiclient._apis.iamcredentials.v1 import IAMCredentialsResource
    from googleapiclient._apis.secretmanager.v1 import SecretManagerResource
    from googleapiclient._apis.serviceusage.v1 import ServiceUsageResource
    from googleapiclient._apis.serviceusage.v1beta1 import (
        ServiceUsageResource as ServiceUsageBetaResource,
    )
    from googleapiclient._apis.sqladmin.v1 import SQLAdminResource
    from googleapiclient._apis.storage.v1 import StorageResource

# What is built only puts requests together: `Google.ask` sends them, each over a connection of its
# own.


@cache
def cloudbilling() -> "CloudbillingResource":
    return build("cloudbilling", "v1", http=httplib2.Http(), static_discovery=True)


@cache
def cloudkms() -> "CloudKMSResource":
    return build("cloudkms", "v1", http=httplib2.Http(), static_discovery=True)


@cache
def compute() -> "ComputeResource":
    return build("compute", "v1", http=httplib2.Http(), static_discovery=True)


@cache
def container() -> "ContainerResource":
    return build("container", "v1", http=httplib2.Http(), static_discovery=True)


@cache
def dns() -> "DnsResource":
    return build("dns", "v1", http=httplib2.Http(), static_discovery=True)


@cache
def iam() -> "IamResource":
    return build("iam", "v1", http=httplib2.Http(), static_discovery=True)


@cache
def iamcredentials() -> "IAMCredentialsResource":
    return build("iamcredentials", "v1", http=httplib2.Http(), static_discovery=True)


@cache
def secretmanager() -> "SecretManagerResource":
    return build("secretmanager", "v1", http=httplib2.Http(), static_discovery=True)


@cache
def serviceusage() -> "ServiceUsageResource":
    return build("serviceusage", "v1", http=httplib2.Http(), static_discovery=True)


@cache
def serviceusage_beta() -> "ServiceUsageBetaResource":
    return build("serviceusage", "v1beta1", http=httplib2.Http(), static_discovery=True)


@cache
def sqladmin() -> "SQLAdminResource":
    return build("sqladmin", "v1", http=httplib2.Http(), static_discovery=True)


@cache
def storage() -> "StorageResource":
    return build("storage", "v1", http=httplib2.Http(), static_discovery=True)
