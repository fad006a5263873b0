//! A cookie by which clients behind one address are told apart (`sessionCookieEnabled`).
//!
//! Its number is that of the event in which it was given out, with a seal that only we can make: nobody can stand in for
//! another client, nor fill our memory with clients that never were.

use ring::hmac;

use super::{PolicyError, bot::Signer, reading::At};
use crate::http::Head;

/// The cookie's name.
pub const COOKIE: &str = "bartizan-session";

/// How clients are told apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sessions {
    /// Whether cookies are given out.
    pub enabled: bool,
    /// Whether a ban is for the session where there is one, and not for the address.
    pub ban: bool,
    same_site: SameSite,
    /// Whether cookies go over TLS only.
    pub secure: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum SameSite {
    #[default]
    Lax,
    Strict,
    None,
}

/// What seals sessions: HMAC-SHA256 (RFC 2104, FIPS 180-4) with a secret that the Defenders of an application alone know.
#[derive(Clone)]
pub struct Seal(hmac::Key);

impl std::fmt::Debug for Seal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Seal")
    }
}

impl Sessions {
    pub(super) fn read(at: &At<'_>) -> Result<Self, PolicyError> {
        let same_site = at.field("sessionCookieSameSite")?;
        let choices = [("Lax", SameSite::Lax), ("Strict", SameSite::Strict), ("None", SameSite::None)];
        let secure = at.field("sessionCookieSecure")?.flag()?;
        let same_site_choice = same_site.choice(&choices, SameSite::Lax)?;
        if same_site_choice == SameSite::None && !secure {
            return Err(
                same_site.wrong("is `None`, which browsers take of secure cookies only: set `sessionCookieSecure`")
            );
        }
        Ok(Self {
            enabled: at.field("sessionCookieEnabled")?.flag()?,
            ban: at.field("sessionCookieBan")?.flag()?,
            same_site: same_site_choice,
            secure,
        })
    }

    /// `Lax`, `Strict` or `None`.
    #[must_use]
    pub fn same_site(&self) -> &'static str {
        match self.same_site {
            SameSite::Lax => "Lax",
            SameSite::Strict => "Strict",
            SameSite::None => "None",
        }
    }

    /// The value of a `Set-Cookie` for a new session. Source: RFC 6265, section 4.1.
    #[must_use]
    pub fn cookie(&self, seal: &Seal, id: &str) -> String {
        let site = self.same_site();
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{COOKIE}={id}.{}; Path=/; HttpOnly; SameSite={site}{secure}", seal.of(id))
    }
}

impl Signer for Seal {
    fn sign(&self, message: &[u8]) -> [u8; 32] {
        self.digest(b"bot\0", message)
    }
}

impl Seal {
    /// A seal of secret bytes.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &secret))
    }

    /// The session of a request, if its cookie is one of ours.
    #[must_use]
    pub fn session(&self, head: &Head) -> Option<u128> {
        let cookies = head.headers().filter(|header| header.name.eq_ignore_ascii_case(b"cookie"));
        cookies.flat_map(|header| header.value.split(|byte| *byte == b';')).find_map(|pair| {
            let pair = std::str::from_utf8(pair.trim_ascii()).ok()?;
            let (id, seal) = pair.strip_prefix(COOKIE)?.strip_prefix('=')?.rsplit_once('.')?;
            is_same(seal.as_bytes(), self.of(id).as_bytes()).then(|| number(&self.digest(b"number\0", id.as_bytes())))
        })
    }

    fn of(&self, id: &str) -> String {
        let digest = self.digest(b"session\0", id.as_bytes());
        digest.iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"))
    }

    /// `purpose` keeps what is sealed for one thing from being good for another.
    fn digest(&self, purpose: &[u8], text: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(purpose);
        context.update(text);
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }
}

fn number(digest: &[u8; 32]) -> u128 {
    digest[..16].iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// Compares in the same time whatever differs.
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::read_head;

    fn session(seal: &Seal, cookie: &str) -> Option<u128> {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\nCookie: theme=x; {cookie}\r\n\r\n");
        seal.session(&read_head(text.as_bytes()).unwrap().unwrap().0)
    }

    /// A session that we gave out is known again; one that was made up is not.
    #[test]
    fn sessions_cannot_be_made_up() {
        let seal = Seal::new([7; 32]);
        let sessions = Sessions::read(&At::root(&json!({"sessionCookieEnabled": true}))).unwrap();
        let cookie = sessions.cookie(&seal, "77aa");
        let pair = cookie.split(';').next().unwrap();
        assert!(session(&seal, pair).is_some());
        assert_ne!(session(&seal, pair), session(&seal, sessions.cookie(&seal, "77ab").split(';').next().unwrap()));
        assert_eq!(session(&Seal::new([8; 32]), pair), None);
        assert_eq!(session(&seal, &pair.replace("77aa", "77ab")), None);
        assert_eq!(session(&seal, "bartizan-session=77aa."), None);
    }

    /// The seal is HMAC-SHA256, by the answer of Python's `hmac`, and one made for a cookie is none for a bot's session.
    #[test]
    fn digests_are_known() {
        let seal = Seal::new([0xaa; 32]);
        assert_eq!(seal.of("abc"), "9296ae07bef763554b6ebe26d4145764cc68fd2f7f42eb056a4fbb7bfcdc3554");
        assert_ne!(seal.sign(b"abc"), seal.digest(b"session\0", b"abc"));
    }

    /// The cookie has the attributes that were asked for.
    #[test]
    fn cookies_have_their_attributes() {
        let value =
            json!({"sessionCookieEnabled": true, "sessionCookieSameSite": "Strict", "sessionCookieSecure": true});
        let cookie = Sessions::read(&At::root(&value)).unwrap().cookie(&Seal::new([1; 32]), "1");
        assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict; Secure"), "{cookie}");
        assert!(Sessions::read(&At::root(&json!({"sessionCookieSameSite": "None"}))).is_err());
    }
}
