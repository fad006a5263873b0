//! TLS towards clients: certificates by the name that a client asks for, versions as the policy has them.
//!
//! A configuration belongs to one policy. The next policy brings its own, so certificates are renewed without a restart and
//! without an end to connections that are open.

use std::{collections::BTreeMap, fmt, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::ring::{default_provider, sign::any_supported_type},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use serde::Deserialize;

use crate::config::CERTIFICATE_PREFIX;

/// Where a certificate with its key is found.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Source {
    /// In the policy itself, as PEM.
    plain: Option<String>,
    /// In a variable of the Defender's environment, whose name begins with `DEFENDER_WAAS_CERTIFICATE`.
    environment: Option<String>,
}

impl fmt::Debug for Source {
    /// Shows nothing of the key.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Source").field("environment", &self.environment).finish_non_exhaustive()
    }
}

/// How TLS is spoken (`tlsConfig`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spoken {
    /// `1.2` or `1.3`.
    #[serde(rename = "minTLSVersion")]
    pub least: Option<String>,
    /// What browsers are told to remember.
    #[serde(rename = "HSTSConfig")]
    pub strict: Strict,
}

/// `Strict-Transport-Security`. Source: RFC 6797, section 6.1.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Strict {
    enabled: bool,
    max_age_seconds: u64,
    include_subdomains: bool,
    preload: bool,
}

impl Strict {
    /// The header's value, where it is wanted.
    #[must_use]
    pub fn value(&self) -> Option<String> {
        let subdomains = if self.include_subdomains { "; includeSubDomains" } else { "" };
        let preload = if self.preload { "; preload" } else { "" };
        self.enabled.then(|| format!("max-age={}{subdomains}{preload}", self.max_age_seconds))
    }
}

/// One application's part of a port.
#[derive(Debug)]
pub struct Served<'a> {
    /// The application, for errors.
    pub application: &'a str,
    /// Hosts that it serves, `*` for any part.
    pub hosts: Vec<String>,
    /// Its certificate.
    pub source: &'a Source,
    /// How it speaks.
    pub spoken: &'a Spoken,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

/// The configuration of one port.
///
/// # Errors
/// Which application's certificate, or version, cannot be used, and why; nothing of a key is shown.
pub fn config(served: &[Served<'_>], variables: &BTreeMap<String, String>) -> Result<Arc<ServerConfig>, String> {
    let mut by_host = ByHost(Vec::new());
    for one in served {
        let key = certified(one.source, variables).map_err(|problem| {
            format!("the certificate of application `{}` cannot be used: {problem}", one.application)
        })?;
        let hosts = one.hosts.iter().map(|host| host_alone(host).to_ascii_lowercase()).collect();
        by_host.0.push((hosts, Arc::new(key)));
    }
    let mut versions = vec![&TLS13];
    if served.iter().all(|one| one.spoken.least.as_deref() != Some("1.3")) {
        versions.push(&TLS12);
    }
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&versions)
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(by_host));
    if served.iter().any(|one| one.http2) {
        config.alpn_protocols.push(b"h2".to_vec());
    }
    config.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(Arc::new(config))
}

fn certified(source: &Source, variables: &BTreeMap<String, String>) -> Result<CertifiedKey, String> {
    let given = |text: &Option<String>| text.as_ref().filter(|text| !text.is_empty()).cloned();
    let (plain, environment) = (given(&source.plain), given(&source.environment));
    let pem = match (&plain, &environment) {
        (Some(pem), None) => pem,
        (None, Some(name)) if name.starts_with(CERTIFICATE_PREFIX) => {
            variables.get(name).ok_or_else(|| format!("the variable `{name}` is not set"))?
        }
        (None, Some(_)) => return Err(format!("the variable's name has to begin with `{CERTIFICATE_PREFIX}`")),
        (None, None) => return Err("there is none".into()),
        (Some(_), Some(_)) => return Err("it is given twice".into()),
    };
    // A variable of a task definition has no line breaks unless they are written as `\n`.
    let pem = pem.replace("\\n", "\n");
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|_| "it is not PEM".to_owned())?;
    if chain.is_empty() {
        return Err("there is no certificate in it".into());
    }
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| "there is no private key in it".to_owned())?;
    let key = any_supported_type(&key).map_err(|_| "its private key is of a kind that is not known".to_owned())?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) | Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::Unknown)) => Ok(certified),
        Err(_) => Err("its private key belongs to another certificate".into()),
    }
}

/// A host without the port that a policy may name with it.
fn host_alone(host: &str) -> &str {
    host.rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(host, |(host, _)| host)
}

/// Certificates in the order of their applications, with the hosts of each.
#[derive(Debug)]
struct ByHost(Vec<(Vec<String>, Arc<CertifiedKey>)>);

impl ResolvesServerCert for ByHost {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name().map(str::to_ascii_lowercase);
        let serves = |hosts: &[String], name: &str| hosts.iter().any(|host| matches(host, name));
        let named = asked.and_then(|name| self.0.iter().find(|(hosts, _)| serves(hosts, &name)));
        // Who asks for nothing, or for nothing that is here, gets the first and may object to it.
        named.or_else(|| self.0.first()).map(|(_, key)| key.clone())
    }
}

/// Whether a host of a policy, with `*` for any run of characters at its beginning, is this name.
fn matches(host: &str, name: &str) -> bool {
    host.strip_prefix('*').map_or(host == name, |end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn pem(key: &KeyPair, other: Option<&KeyPair>) -> String {
        let certificate = CertificateParams::new(vec!["shop.test".to_owned()]).unwrap().self_signed(key).unwrap();
        certificate.pem() + &other.unwrap_or(key).serialize_pem()
    }

    fn problem(source: &Source, variables: &BTreeMap<String, String>) -> String {
        let spoken = Spoken::default();
        let served = Served { application: "shop", hosts: vec!["*".into()], source, spoken: &spoken, http2: false };
        config(&[served], variables).map_or_else(|error| error, |_| "none".into())
    }

    /// A certificate comes from the policy or from a variable of ours, and what is wrong with it is said without its key.
    #[test]
    fn certificates_are_found() {
        let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let variable = "DEFENDER_WAAS_CERTIFICATE_SHOP".to_owned();
        let variables = BTreeMap::from([(variable.clone(), pem(&key, None).replace('\n', "\\n"))]);
        let plain = |text: String| Source { plain: Some(text), environment: None };
        let named = |name: &str| Source { plain: None, environment: Some(name.into()) };

        assert_eq!(problem(&plain(pem(&key, None)), &variables), "none");
        assert_eq!(problem(&named(&variable), &variables), "none");
        for (source, expected) in [
            (plain(pem(&key, Some(&other))), "belongs to another"),
            (plain("junk".into()), "no certificate"),
            (named("HOME"), "has to begin with"),
            (named("DEFENDER_WAAS_CERTIFICATE_B"), "is not set"),
            (Source::default(), "there is none"),
        ] {
            let problem = problem(&source, &variables);
            assert!(problem.contains("`shop`") && problem.contains(expected), "{problem}");
        }
    }

    /// Names are matched as policies write them.
    #[test]
    fn hosts_match() {
        assert!(matches("*", "a.test") && matches("*.test", "a.test") && matches("a.test", "a.test"));
        assert!(!matches("*.test", "test") && !matches("a.test", "b.a.test"));
        assert_eq!((host_alone("a.test:443"), host_alone("*"), host_alone("a")), ("a.test", "*", "a"));
    }

    /// What browsers are told to remember is written as RFC 6797 has it.
    #[test]
    fn strictness_is_written() {
        let strict = Strict { enabled: true, max_age_seconds: 60, include_subdomains: true, preload: true };
        assert_eq!(strict.value().as_deref(), Some("max-age=60; includeSubDomains; preload"));
        assert_eq!(Strict { enabled: false, ..strict }.value(), None);
    }
}
