//! Who this Defender is: a random instance id and a P-256 key, both made at its start and gone with it.
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject};
use thiserror::Error;

use super::tls::hex;

/// Why no identity could be made or used.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// The kernel gave no random bytes.
    #[error("no random numbers can be had")]
    Random,
    /// The key or the request could not be made.
    #[error("no key can be made: {0}")]
    Key(#[from] rcgen::Error),
    /// What the Console issued is no certificate.
    #[error("the Console issued no certificate that can be read")]
    Certificate,
}

/// A new instance id: 32 lower-case hex digits of the kernel's random numbers.
///
/// # Errors
/// [`IdentityError::Random`].
pub fn instance() -> Result<String, IdentityError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| IdentityError::Random)?;
    Ok(hex(&bytes))
}

/// A uniform random number in 0.0 to 1.0; one half where the kernel gives none.
#[must_use]
pub fn random() -> f64 {
    let mut bytes = [0; 4];
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}

/// A private key that never leaves this process's memory.
pub struct Key(KeyPair);

impl Key {
    /// Makes a key (ECDSA P-256).
    ///
    /// # Errors
    /// [`IdentityError::Key`].
    pub fn generate() -> Result<Self, IdentityError> {
        Ok(Self(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
    }

    /// A signing request (PEM). The Console takes nothing from it but the public key.
    ///
    /// # Errors
    /// [`IdentityError::Key`].
    pub fn request(&self) -> Result<String, IdentityError> {
        Ok(CertificateParams::new(Vec::new())?.serialize_request(&self.0)?.pem()?)
    }

    /// The key as TLS takes it.
    #[must_use]
    pub fn private(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.0.serialize_der()))
    }
}

/// Reads the certificate that the Console issued (PEM).
///
/// # Errors
/// [`IdentityError::Certificate`].
pub fn certificate(pem: &str) -> Result<CertificateDer<'static>, IdentityError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| IdentityError::Certificate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_32_hex_digits_and_differ() {
        let (one, other) = (instance().expect("random"), instance().expect("random"));
        assert_ne!(one, other);
        for instance in [one, other] {
            assert_eq!(instance.len(), 32);
            assert!(instance.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
        }
    }

    #[test]
    fn a_request_carries_the_public_key_and_nothing_private() {
        let key = Key::generate().expect("a key");
        let request = key.request().expect("a request");
        assert!(request.starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
        assert!(!request.contains("PRIVATE"));
    }
}
