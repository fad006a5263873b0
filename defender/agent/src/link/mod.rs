//! The links of a Defender: to the Console, or from a wrapped container to the sidecar of its task.
pub mod address;
pub mod background;
pub mod bundle;
pub mod console;
pub mod desk;
pub mod dial;
pub mod frame;
pub mod identity;
pub mod protected;
pub mod relay;
pub mod resolve;
mod session;
pub mod tls;

pub use defender_core::message;
