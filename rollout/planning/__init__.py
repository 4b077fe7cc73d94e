"""What the planner (`rollout.plan`) is made of: its rules, and its bookkeeping. Pure."""
