//! Where a Console listens: `wss://HOST:PORT`.
use std::{fmt, str::FromStr};

use rustls::pki_types::{IpAddr, ServerName};
use thiserror::Error;

/// An address that can be dialled and verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The name or IP address that the Console's certificate must carry.
    pub server: ServerName<'static>,
    /// TCP port.
    pub port: u16,
}

/// Why an address was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not an address like `wss://console.example.com:8084`")]
pub struct AddressError(String);

impl Address {
    /// What the resolver takes: a name, or an IP address without brackets.
    #[must_use]
    pub fn host(&self) -> String {
        match &self.server {
            ServerName::IpAddress(address) => std::net::IpAddr::from(*address).to_string(),
            name => name.to_str().into_owned(),
        }
    }

    /// The URL of a path below this address.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{self}{path}")
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        parse(text).ok_or_else(|| AddressError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Address> {
    let rest = text.strip_prefix("wss://")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = rest.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
    let server = ServerName::try_from(host.to_owned()).ok()?;
    let port = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok()).flatten()?;
    (port != 0).then_some(Address { server, port })
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            ServerName::IpAddress(IpAddr::V6(_)) => write!(out, "wss://[{}]:{}", self.host(), self.port),
            _ => write!(out, "wss://{}:{}", self.host(), self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_back_as_it_was_written() {
        for text in ["wss://console.example.com:8084", "wss://192.0.2.7:443", "wss://[2001:db8::7]:8084"] {
            let address: Address = text.parse().expect("a good address");
            assert_eq!(address.to_string(), text);
            assert_eq!(address.url("/enrol"), format!("{text}/enrol"));
        }
    }

    #[test]
    fn other_schemes_paths_and_ports_are_refused_with_the_words_given() {
        for text in [
            "ws://a:1",
            "https://a:1",
            "wss://a",
            "wss://a:0",
            "wss://a:70000",
            "wss://a:1/x",
            "wss://:1",
            "wss://u@a:1",
            "",
            "wss://a:+1",
        ] {
            let error = text.parse::<Address>().expect_err(text);
            assert!(error.to_string().contains(&format!("`{text}`")), "{error}");
        }
    }
}
