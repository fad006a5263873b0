"""The Console's end of the channel (port 8084): Defenders enrol, get their policies and report audits."""
