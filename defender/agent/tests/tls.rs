//! Who is taken for the Console, and who is not: real TLS handshakes in memory.
#![allow(clippy::expect_used, reason = "a test ends where its ground is missing")]
use std::{io, sync::Arc};

use defender_agent::link::tls;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use ring::digest;
use rustls::{
    ClientConnection, ServerConfig, ServerConnection,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};

type Issuer = CertifiedIssuer<'static, KeyPair>;
type Leaf = (CertificateDer<'static>, PrivateKeyDer<'static>);

fn authority() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

fn leaf(issuer: &Issuer, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["console.test".to_owned()]).expect("a name");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    change(&mut params);
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    (certificate.der().clone(), PrivateKeyDer::try_from(key.serialize_der()).expect("a key"))
}

fn pin(certificate: &CertificateDer<'_>) -> String {
    digest::digest(&digest::SHA256, certificate)
        .as_ref()
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

/// Lets a Defender with these pins meet a server that shows this chain.
fn meet(pins: &[String], chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<(), String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a server");
    let mut server = ServerConnection::new(Arc::new(server)).expect("a server");
    let name = ServerName::try_from("console.test").expect("a name");
    let mut client = ClientConnection::new(tls::client(pins, None).expect("a client"), name).expect("a client");
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire).expect("memory");
        }
        feed(&wire, |reader| server.read_tls(reader));
        // The client's verdict is what matters; the server only hears of it.
        let _ = server.process_new_packets();
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire).expect("memory");
        }
        feed(&wire, |reader| client.read_tls(reader));
        client.process_new_packets().map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn feed(mut wire: &[u8], mut read: impl FnMut(&mut dyn io::Read) -> io::Result<usize>) {
    while !wire.is_empty() {
        read(&mut wire).expect("memory");
    }
}

fn meet_leaf(issuer: &Issuer, leaf: Leaf) -> Result<(), String> {
    meet(&[pin(issuer.der())], vec![leaf.0, issuer.der().clone()], leaf.1)
}

/// A Console below the pinned authority is trusted, also when other pins stand beside it.
#[test]
fn a_console_below_the_pinned_authority_is_trusted() {
    let issuer = authority();
    meet_leaf(&issuer, leaf(&issuer, |_| {})).expect("trusted");
    let (certificate, key) = leaf(&issuer, |_| {});
    let pins = ["0".repeat(64), pin(issuer.der())];
    meet(&pins, vec![certificate, issuer.der().clone()], key).expect("any of several pins will do");
}

/// An authority that is not pinned is not trusted.
#[test]
fn an_authority_that_is_not_pinned_is_not_trusted() {
    let (issuer, other) = (authority(), authority());
    let (certificate, key) = leaf(&issuer, |_| {});
    let error = meet(&[pin(other.der())], vec![certificate, issuer.der().clone()], key).expect_err("the wrong pin");
    assert!(error.contains("UnknownIssuer"), "{error}");
}

/// A pinned authority that merely lies in the chain proves nothing about a certificate that it did not sign.
#[test]
fn a_pinned_authority_has_to_have_signed() {
    let (pinned, rogue) = (authority(), authority());
    let (certificate, key) = leaf(&rogue, |_| {});
    let chain = vec![certificate, rogue.der().clone(), pinned.der().clone()];
    meet(&[pin(pinned.der())], chain, key).expect_err("a pin in the chain only");
}

/// A pin names an authority: the server's own certificate is never one.
#[test]
fn a_pinned_certificate_as_the_servers_own_is_not_trusted() {
    let issuer = authority();
    let (certificate, key) = leaf(&issuer, |_| {});
    let error = meet(&[pin(&certificate)], vec![certificate, issuer.der().clone()], key).expect_err("a pinned leaf");
    assert!(error.contains("UnknownIssuer"), "{error}");
}

/// A certificate for another name is refused.
#[test]
fn another_name_is_refused() {
    let issuer = authority();
    let other = leaf(&issuer, |params| {
        let other = CertificateParams::new(vec!["other.test".to_owned()]).expect("a name");
        params.subject_alt_names = other.subject_alt_names;
    });
    let error = meet_leaf(&issuer, other).expect_err("another name");
    assert!(error.contains("not valid for name"), "{error}");
}

/// A Defender's certificate, of the same authority, does not make a Console.
#[test]
fn a_defenders_certificate_does_not_make_a_console() {
    let issuer = authority();
    let client = leaf(&issuer, |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    let error = meet_leaf(&issuer, client).expect_err("a client certificate").to_lowercase();
    assert!(error.contains("purpose") || error.contains("usage"), "{error}");
}

/// A certificate out of its time is refused.
#[test]
fn a_certificate_out_of_its_time_is_refused() {
    let issuer = authority();
    let expired = leaf(&issuer, |params| {
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
    });
    let error = meet_leaf(&issuer, expired).expect_err("expired").to_lowercase();
    assert!(error.contains("expired"), "{error}");
}
