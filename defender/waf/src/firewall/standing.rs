//! What clients did before: bans and rates. Shared by all connections of a task.

/// The standing of all clients.
#[derive(Debug, Default)]
pub struct Standing {}
