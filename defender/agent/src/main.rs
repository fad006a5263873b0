//! The Defender: `defender app-embedded | fargate sidecar | fargate entrypoint | fargate healthcheck`.
#![forbid(unsafe_code)]

fn main() {}
