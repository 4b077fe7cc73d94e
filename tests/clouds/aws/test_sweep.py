"""A cell is gone when nothing of it is left in its account, tagged or not."""

from cells.life.types import Blueprint
from cells.providers.aws.cloud import AwsCloud
from tests.clouds.aws.cells import blueprint
from tests.clouds.aws.running import RunningAws

REGION = "us-west-2"


async def test_nothing_is_left_in_an_account_that_was_never_used(
    cloud: AwsCloud, cell: Blueprint
) -> None:
    account = await cloud.ensure_account(cell)

    assert list(await cloud.leftovers(cell, account)) == []


async def test_whatever_costs_money_or_keeps_data_is_found_until_it_is_gone(
    aws: RunningAws, cloud: AwsCloud, cell: Blueprint
) -> None:
    account = await cloud.ensure_account(cell)
    ec2 = aws.client("ec2", REGION, account.id)
    volume = ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1)["VolumeId"]
    vpc = ec2.create_vpc(CidrBlock="10.7.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.7.0.0/24")["Subnet"]["SubnetId"]
    elbv2 = aws.client("elbv2", REGION, account.id)
    balancer = elbv2.create_load_balancer(
        Name="ingress", Type="network", Scheme="internal", Subnets=[subnet]
    )["LoadBalancers"][0]["LoadBalancerArn"]
    service = ec2.create_vpc_endpoint_service_configuration(NetworkLoadBalancerArns=[balancer])[
        "ServiceConfiguration"
    ]["ServiceId"]
    rds = aws.client("rds", REGION, account.id)
    database = rds.create_db_instance(
        DBInstanceIdentifier="cell-c1a2b3d4",
        Engine="postgres",
        DBInstanceClass="db.m7g.large",
        AllocatedStorage=20,
        MasterUsername="postgres",
        MasterUserPassword="password",
    )["DBInstance"]["DBInstanceArn"]
    zone = aws.client("route53", REGION, account.id).create_hosted_zone(
        Name="c7.cells.fleet.test", CallerReference="one"
    )["HostedZone"]["Id"]
    aws.client("logs", REGION, account.id).create_log_group(logGroupName="/aws/eks/cell/cluster")
    await aws.has_cluster(account.id, REGION, "cell-c1a2b3d4", "https://127.0.0.1", "CA")
    queue = aws.client("sqs", REGION, account.id).create_queue(
        QueueName="tagged", tags={"controlplane-uid": cell.uid}
    )["QueueUrl"]

    found = await cloud.leftovers(cell, account)

    for expected in (volume, vpc, balancer, service, database, "EKS cluster cell-c1a2b3d4"):
        assert expected in found
    assert f"arn:aws:sqs:{REGION}:{account.id}:tagged" in found
    assert any(zone.endswith(name.rpartition("/")[2]) for name in found)
    assert any("/aws/eks/cell/cluster" in name for name in found)

    aws.client("eks", REGION, account.id).delete_cluster(name="cell-c1a2b3d4")
    aws.client("sqs", REGION, account.id).delete_queue(QueueUrl=queue)
    aws.client("logs", REGION, account.id).delete_log_group(logGroupName="/aws/eks/cell/cluster")
    aws.client("route53", REGION, account.id).delete_hosted_zone(Id=zone)
    rds.delete_db_instance(DBInstanceIdentifier="cell-c1a2b3d4", SkipFinalSnapshot=True)
    ec2.delete_vpc_endpoint_service_configurations(ServiceIds=[service])
    elbv2.delete_load_balancer(LoadBalancerArn=balancer)
    ec2.delete_subnet(SubnetId=subnet)
    assert list(await cloud.leftovers(cell, account)) == sorted([volume, vpc])
    ec2.delete_volume(VolumeId=volume)
    ec2.delete_vpc(VpcId=vpc)
    assert list(await cloud.leftovers(cell, account)) == []


async def test_a_key_counts_until_its_deletion_is_scheduled(
    aws: RunningAws, cloud: AwsCloud, cell: Blueprint
) -> None:
    account = await cloud.ensure_account(cell)
    kms = aws.client("kms", REGION, account.id)
    tags = [{"TagKey": "controlplane-uid", "TagValue": cell.uid}]
    key = kms.create_key(Tags=tags)["KeyMetadata"]

    assert list(await cloud.leftovers(cell, account)) == [key["Arn"]]
    kms.schedule_key_deletion(KeyId=key["KeyId"], PendingWindowInDays=7)
    assert list(await cloud.leftovers(cell, account)) == []


async def test_what_is_in_another_cells_account_is_not_left_of_this_one(
    aws: RunningAws, cloud: AwsCloud, cell: Blueprint
) -> None:
    account = await cloud.ensure_account(cell)
    other = await cloud.ensure_account(blueprint(uid="z9y8x7w6"))
    ec2 = aws.client("ec2", REGION, other.id)
    ec2.create_volume(AvailabilityZone=f"{REGION}a", Size=1)

    assert list(await cloud.leftovers(cell, account)) == []
