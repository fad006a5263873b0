//! The sidecar of a Fargate task: one link to the Console for all its containers.
pub mod install;
