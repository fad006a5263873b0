//! The sidecar of a Fargate task: one link to the Console for all its containers.
pub mod health;
pub mod install;
pub mod relay;
pub mod table;
pub mod token;
