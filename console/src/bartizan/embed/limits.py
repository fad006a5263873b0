"""How large the texts may be that are taken, by the command line and by the Console alike."""

LARGEST_DEFINITION = 4 << 20
"""Bytes of a task definition or a template: four times what CloudFormation takes ("CloudFormation quotas")."""
LARGEST_LINES = 1 << 20
"""Bytes of a Dockerfile or a manifest: what cf takes of a manifest, and each line costs time."""
