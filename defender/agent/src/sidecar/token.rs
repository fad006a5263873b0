//! The proof that an entrypoint gives of its container: derived from the install bundle's secret, which only the sidecar has.
use std::collections::HashMap;

use ring::{
    hmac,
    rand::{SecureRandom, SystemRandom},
};

use crate::link::tls::hex;

/// Length of a token in hex digits.
const DIGITS: usize = 32;

/// Checks tokens.
pub struct Tokens {
    key: hmac::Key,
    blind: hmac::Key,
    identities: HashMap<String, String>,
}

impl Tokens {
    /// Tokens below this secret; none when the kernel gives no random numbers.
    #[must_use]
    pub fn new(secret: &str) -> Option<Self> {
        let mut blind = [0; 32];
        SystemRandom::new().fill(&mut blind).ok()?;
        let blind = hmac::Key::new(hmac::HMAC_SHA256, &blind);
        Some(Self { key: hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), blind, identities: HashMap::new() })
    }

    /// With other identities than their names for these containers (name, identity).
    ///
    /// Where only the deployment of a template knows a name, the token is made of the name's expression.
    #[must_use]
    pub fn with_identities(mut self, identities: impl IntoIterator<Item = (String, String)>) -> Self {
        self.identities = identities.into_iter().collect();
        self
    }

    /// The token of a container: the first 32 hex digits of HMAC-SHA256 over `container`, a zero byte and its identity,
    /// which is its name if there is no other.
    #[must_use]
    pub fn of(&self, container: &str) -> String {
        let identity = self.identities.get(container).map_or(container, String::as_str);
        let mut token = hex(hmac::sign(&self.key, &[b"container\0", identity.as_bytes()].concat()).as_ref());
        token.truncate(DIGITS);
        token
    }

    /// Under which name the audits of a container's Defender process travel: 32 hex digits that only we can make.
    ///
    /// Sources belong to whom the Console has first heard of them, so an entrypoint must not choose its own: it could name
    /// that of another Defender, and the Console would close the channel of the whole task for it, over and over. The same
    /// entrypoint has the same source with the next sidecar too, so that its audits count once.
    #[must_use]
    pub fn source(&self, container: &str, instance: &str) -> String {
        let words = [b"source\0", container.as_bytes(), b"\0", instance.as_bytes()].concat();
        let mut source = hex(hmac::sign(&self.key, &words).as_ref());
        source.truncate(DIGITS);
        source
    }

    /// True for the right token. Both sides are hashed under a random key first, so that time tells nothing.
    #[must_use]
    pub fn proves(&self, container: &str, token: &str) -> bool {
        let expected = hmac::sign(&self.blind, self.of(container).as_bytes());
        hmac::verify(&self.blind, token.as_bytes(), expected.as_ref()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_proves_its_own_container_and_no_other() {
        let tokens = Tokens::new("secret").expect("random");
        let token = tokens.of("shop");
        // printf 'container\0shop' | openssl dgst -sha256 -hmac secret
        assert_eq!(token, "6083af0b0b4e2fa36c0843582462f293");
        assert!(tokens.proves("shop", &token));
        assert!(!tokens.proves("cart", &token));
        assert!(!tokens.proves("shop", &token[..31]));
        assert!(!tokens.proves("shop", ""));
        assert!(!Tokens::new("other").expect("random").proves("shop", &token));
    }

    #[test]
    fn a_container_whose_name_a_template_makes_proves_its_expression() {
        let made = Tokens::new("secret").expect("random").of("<Stack>-shop");
        let tokens = Tokens::new("secret").expect("random");
        let tokens = tokens.with_identities([("live-shop".to_owned(), "<Stack>-shop".to_owned())]);
        assert!(tokens.proves("live-shop", &made));
        assert!(!tokens.proves("shop", &made));
        let by_name = Tokens::new("secret").expect("random").of("live-shop");
        assert!(!tokens.proves("live-shop", &by_name));
    }
}
