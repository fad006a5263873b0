//! The install bundle: what a Defender needs to find its Console, to trust it and to enrol.
use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use thiserror::Error;

/// Why a bundle was refused; shows nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BundleError {
    /// Not base64.
    #[error("it is not base64")]
    Encoding,
    /// Not the JSON object that the Console makes.
    #[error("it is not an install bundle")]
    Shape,
    /// Of another version.
    #[error("its version is not supported, only 1 is")]
    Version,
    /// A pin is no SHA-256 digest, or there is none.
    #[error("its pins are not SHA-256 digests")]
    Pins,
}

/// A bundle, checked.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct InstallBundle {
    v: u32,
    /// Its id in the Console.
    pub id: String,
    /// What enrols; never shown.
    pub secret: String,
    /// Lower-case hex SHA-256 digests of authority certificates (DER).
    pub pins: Vec<String>,
    /// Where the Console listens (`wss://HOST:PORT`).
    pub addresses: Vec<String>,
}

impl InstallBundle {
    /// Reads base64(JSON).
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        let json = STANDARD.decode(text.trim()).map_err(|_| BundleError::Encoding)?;
        let bundle: Self = serde_json::from_slice(&json).map_err(|_| BundleError::Shape)?;
        if bundle.v != 1 {
            return Err(BundleError::Version);
        }
        let digest =
            |pin: &String| pin.len() == 64 && pin.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if bundle.pins.is_empty() || !bundle.pins.iter().all(digest) {
            return Err(BundleError::Pins);
        }
        if bundle.id.is_empty() || bundle.secret.is_empty() {
            return Err(BundleError::Shape);
        }
        Ok(bundle)
    }
}

impl fmt::Debug for InstallBundle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("InstallBundle")
            .field("id", &self.id)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}
