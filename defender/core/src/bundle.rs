//! Install bundles: base64 of `{"v":1,"id":…,"secret":…,"pins":[…],"addresses":["wss://host:8084"]}`.
use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;
use thiserror::Error;

use crate::{Address, hex::Hex};

/// SHA-256 of a certificate authority's certificate (DER) that the Defender trusts.
pub type Pin = Hex<64>;

/// What a Defender needs to find its Console, to trust it, and to enrol.
#[derive(Clone, PartialEq, Eq)]
pub struct InstallBundle {
    /// Its id, which the Console knows.
    pub id: String,
    /// Opens enrolment. Never logged.
    pub secret: String,
    /// Authorities to trust: at least one.
    pub pins: Vec<Pin>,
    /// Where the Console is: at least one.
    pub addresses: Vec<Address>,
}

/// Why a text is no install bundle. It never shows the text.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BundleError {
    /// Not base64.
    #[error("it is not base64")]
    Encoding,
    /// Not the JSON of a bundle.
    #[error("its JSON lacks a field or has one of the wrong kind")]
    Form,
    /// A version that this Defender does not read.
    #[error("its version is `{0}`, and only 1 is supported")]
    Version(u32),
    /// Nothing to trust.
    #[error("it pins no certificate")]
    NoPin,
    /// A bad address, or none.
    #[error("address `{0}` is not of the form `wss://host:port`")]
    Address(String),
}

#[derive(Deserialize)]
struct Encoded {
    v: u32,
    id: String,
    secret: String,
    pins: Vec<Pin>,
    addresses: Vec<String>,
}

impl InstallBundle {
    /// Reads a bundle as it stands in `INSTALL_BUNDLE`; white space around it is ignored.
    ///
    /// # Errors
    /// [`BundleError`], which names what is wrong and nothing that is secret.
    pub fn parse(text: &str) -> Result<Self, BundleError> {
        let json = STANDARD.decode(text.trim()).map_err(|_| BundleError::Encoding)?;
        let Encoded { v, id, secret, pins, addresses } =
            serde_json::from_slice(&json).map_err(|_| BundleError::Form)?;
        if v != 1 {
            return Err(BundleError::Version(v));
        }
        if pins.is_empty() {
            return Err(BundleError::NoPin);
        }
        if addresses.is_empty() {
            return Err(BundleError::Address(String::new()));
        }
        let parse = |text: String| Address::parse(&text).ok_or(BundleError::Address(text));
        let addresses = addresses.into_iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Self { id, secret, pins, addresses })
    }
}

impl fmt::Debug for InstallBundle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("InstallBundle")
            .field("id", &self.id)
            .field("pins", &self.pins)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(json: &str) -> String {
        STANDARD.encode(json)
    }

    fn good() -> String {
        let pin = "ab".repeat(32);
        encoded(&format!(
            r#"{{"v":1,"id":"5c1f","secret":"hush","pins":["{pin}"],"addresses":["wss://console.test:8084"],"new":0}}"#
        ))
    }

    /// A bundle is read whole, fields that are not known are ignored.
    #[test]
    fn reads_a_bundle() {
        let bundle = InstallBundle::parse(&format!("{}\n", good())).unwrap();

        assert_eq!((bundle.id.as_str(), bundle.secret.as_str()), ("5c1f", "hush"));
        assert_eq!(bundle.addresses, [Address { host: "console.test".into(), port: 8084 }]);
    }

    /// The secret shows in no debug output.
    #[test]
    fn debug_hides_the_secret() {
        let bundle = InstallBundle::parse(&good()).unwrap();

        assert!(!format!("{bundle:?}").contains("hush"));
    }

    /// Each kind of damage has its own error, and none of them shows the secret.
    #[test]
    fn damage_is_named() {
        let bundle = |pins: &str, addresses: &str, version: u32| {
            encoded(&format!(r#"{{"v":{version},"id":"x","secret":"hush","pins":[{pins}],"addresses":[{addresses}]}}"#))
        };
        let (pin, address) = (format!("\"{}\"", "0".repeat(64)), "\"wss://h:1\"");
        for (text, error) in [
            ("hush!".to_owned(), BundleError::Encoding),
            (encoded("{\"v\":1}"), BundleError::Form),
            (bundle("\"short\"", address, 1), BundleError::Form),
            (bundle(&pin, address, 2), BundleError::Version(2)),
            (bundle("", address, 1), BundleError::NoPin),
            (bundle(&pin, "", 1), BundleError::Address(String::new())),
            (bundle(&pin, "\"http://h:1\"", 1), BundleError::Address("http://h:1".into())),
        ] {
            assert_eq!(InstallBundle::parse(&text), Err(error));
        }
    }

    proptest! {
        /// Whatever stands in the variable, reading it ends with a bundle or an error.
        #[test]
        fn total_on_any_text(text in any::<String>(), json in any::<String>()) {
            let _ = InstallBundle::parse(&text);
            let _ = InstallBundle::parse(&encoded(&json));
        }
    }
}
