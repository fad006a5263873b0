"""The names of the techniques that our detections name (MITRE ATT&CK for Enterprise, version 17)."""

from collections.abc import Mapping

TECHNIQUES: Mapping[str, str] = {
    "T1021": "Remote Services",
    "T1027": "Obfuscated Files or Information",
    "T1027.002": "Software Packing",
    "T1040": "Network Sniffing",
    "T1046": "Network Service Discovery",
    "T1053.003": "Cron",
    "T1059": "Command and Scripting Interpreter",
    "T1059.004": "Unix Shell",
    "T1071": "Application Layer Protocol",
    "T1071.004": "DNS",
    "T1095": "Non-Application Layer Protocol",
    "T1098": "Account Manipulation",
    "T1098.004": "SSH Authorized Keys",
    "T1105": "Ingress Tool Transfer",
    "T1136.001": "Local Account",
    "T1204": "User Execution",
    "T1496": "Resource Hijacking",
    "T1505.003": "Web Shell",
    "T1548.001": "Setuid and Setgid",
    "T1552.005": "Cloud Instance Metadata API",
    "T1553.004": "Install Root Certificate",
    "T1554": "Compromise Host Software Binary",
    "T1562": "Impair Defenses",
    "T1562.001": "Disable or Modify Tools",
    "T1565": "Data Manipulation",
    "T1570": "Lateral Tool Transfer",
    "T1571": "Non-Standard Port",
    "T1572": "Protocol Tunneling",
    "T1574.006": "Dynamic Linker Hijacking",
    "T1609": "Container Administration Command",
    "T1620": "Reflective Code Loading",
}


def with_name(technique: str) -> str:
    """Return a technique as people read it, `T1496 Resource Hijacking`; without its name where we do not know that."""
    name = TECHNIQUES.get(technique)
    return f"{technique} {name}" if name else technique
