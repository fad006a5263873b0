"""Run an ECS task definition on this machine, the way Fargate would."""
