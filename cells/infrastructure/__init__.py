"""What a cell in a cloud stands on, made and taken down by Terraform.

`terraform.py` is the way in. A build is: prepare a folder, plan, let `policy.py` read the plan,
apply exactly that plan, read the outputs. Whoever comes after a crash finds the folder, and in it
what the last run was doing.
"""
