//! TLS towards the Console: 1.3 only, and nobody is trusted but the pinned authority.
//!
//! The install bundle carries SHA-256 digests of authority certificates, not the certificates. The Console presents its whole
//! chain; the certificate in it whose digest is pinned becomes the only root, and from there on the ordinary rules of
//! RFC 5280 hold: signatures, validity, name, extended key usage. A pinned certificate that merely lies in the chain proves
//! nothing, since the chain still has to be signed by its key.
use std::{collections::BTreeSet, sync::Arc};

use ring::digest;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{self, CryptoProvider},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime},
};

/// A client configuration that trusts only the pinned authorities, with or without a certificate of our own.
///
/// `pins` are lower-case hex SHA-256 digests of certificates (DER).
///
/// # Errors
/// [`Error`] when the key and certificate do not belong together.
pub fn client(
    pins: &[String],
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
) -> Result<Arc<ClientConfig>, Error> {
    let provider = Arc::new(crypto::ring::default_provider());
    let verifier = Arc::new(PinnedAuthority::new(pins, provider.clone()));
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
        None => builder.with_no_client_auth(),
    };
    // A resumed session would keep the identity of an earlier certificate.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// Trusts what a pinned authority signed.
#[derive(Debug)]
pub struct PinnedAuthority {
    pins: BTreeSet<String>,
    provider: Arc<CryptoProvider>,
}

impl PinnedAuthority {
    /// Makes a verifier for these pins (lower-case hex SHA-256 of DER).
    #[must_use]
    pub fn new(pins: &[String], provider: Arc<CryptoProvider>) -> Self {
        Self { pins: pins.iter().cloned().collect(), provider }
    }

    fn pinned(&self, certificate: &CertificateDer<'_>) -> bool {
        self.pins.contains(&hex(digest::digest(&digest::SHA256, certificate).as_ref()))
    }
}

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let authority = intermediates
            .iter()
            .find(|certificate| self.pinned(certificate))
            .ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}
