//! Sessions: signed cookies that a client gets once it has shown that it keeps cookies, and runs scripts.
//!
//! Nothing is kept here: whatever has to be known comes back in the cookie, signed. A cookie belongs to the address and the
//! user agent that it was given to; whoever takes it elsewhere is found out.

use std::net::IpAddr;

use super::pages;
use crate::{Collection, Request, firewall::Answer, http::Head};

/// Signs with a secret key, by HMAC-SHA256 (RFC 2104).
pub trait Signer {
    /// The signature of a message.
    fn sign(&self, message: &[u8]) -> [u8; 32];
}

/// How sessions are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How long one lasts, in milliseconds.
    pub life: u64,
    /// Whether a script has to be run for one.
    pub script: bool,
    /// Whether its cookie goes over TLS only.
    pub secure: bool,
    /// `Lax`, `Strict` or `None`.
    pub same_site: &'static str,
}

impl Default for Settings {
    fn default() -> Self {
        Self { life: 24 * 3_600_000, script: false, secure: false, same_site: "Lax" }
    }
}

/// Sessions signed with one key. All that answer for the same application share it.
#[derive(Clone, Copy)]
pub struct Sessions<'s> {
    signer: &'s dyn Signer,
    settings: Settings,
}

/// What a request's cookies tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visit {
    /// There is a session.
    Valid {
        /// Its name, to count and to ban by.
        id: String,
        /// What the script saw; [`Visit::is_driven`].
        signs: u32,
    },
    /// The task is solved: the response has to set this cookie.
    Proved {
        /// The name of the session that begins.
        id: String,
        /// What the script saw.
        signs: u32,
        /// The value of `Set-Cookie`.
        set_cookie: String,
    },
    /// There is none, or it is over.
    Missing,
    /// The task was solved too late (`javascriptTimeout`).
    Late,
    /// The cookie was not made here (`sessionValidation`).
    Tampered,
    /// The cookie was given to another client (`sessionValidation`).
    Replayed,
}

/// How long a task may take, in milliseconds.
const PATIENCE: u64 = 60_000;
/// What a version of the cookies begins with.
const VERSION: &str = "v1";
/// Bytes of a name that are kept.
const MOST_ID: usize = 64;

impl Visit {
    /// True when the script saw a browser that a program drives (`webAutomationTools`).
    #[must_use]
    pub fn is_driven(&self) -> bool {
        matches!(self, Self::Valid { signs, .. } | Self::Proved { signs, .. } if *signs != 0)
    }
}

impl<'s> Sessions<'s> {
    /// Sessions signed by a signer.
    #[must_use]
    pub fn new(signer: &'s dyn Signer, settings: Settings) -> Self {
        Self { signer, settings }
    }

    /// What a request's cookies tell. `now` is in milliseconds since 1970; `id` is a name that no other request has.
    #[must_use]
    pub fn visit(&self, request: &Request, client: IpAddr, now: u64, id: &str) -> Visit {
        let binding = self.binding(request, client);
        let mut fault = Visit::Missing;
        for cookie in cookies(request, pages::SESSION) {
            match self.session(cookie, &binding, now) {
                valid @ Visit::Valid { .. } => return valid,
                other => fault = worse(fault, other),
            }
        }
        for cookie in cookies(request, pages::PROOF).filter(|_| self.settings.script) {
            match self.proof(cookie, &binding, now) {
                Ok(signs) => {
                    let id = plain(id);
                    let set_cookie = self.cookie(&id, signs, &binding, now);
                    return Visit::Proved { id, signs, set_cookie };
                }
                Err(other) => fault = worse(fault, other),
            }
        }
        fault
    }

    /// The page that gives a client a session; only an answer to what [`can_answer`] holds for.
    #[must_use]
    pub fn page(&self, request: &Request, client: IpAddr, now: u64, id: &str) -> Answer {
        let binding = self.binding(request, client);
        let id = plain(id);
        if self.settings.script {
            let token = self.sealed("task", &format!("{VERSION}.{now}.{id}"), &binding);
            pages::script(&token, seed(&token), self.settings.secure)
        } else {
            pages::interstitial(&self.cookie(&id, 0, &binding, now))
        }
    }

    /// The value of `Set-Cookie` that ends a client's session, whatever it is.
    #[must_use]
    pub fn ending(&self) -> String {
        format!("{}=; Path=/; Max-Age=0; HttpOnly", pages::SESSION)
    }

    fn cookie(&self, id: &str, signs: u32, binding: &str, now: u64) -> String {
        let expiry = now.saturating_add(self.settings.life);
        let value = self.sealed("session", &format!("{VERSION}.{id}.{expiry}.{signs}"), binding);
        let secure = if self.settings.secure { "; Secure" } else { "" };
        let Settings { life, same_site, .. } = self.settings;
        format!("{}={value}; Path=/; Max-Age={}; HttpOnly; SameSite={same_site}{secure}", pages::SESSION, life / 1000)
    }

    fn session(&self, cookie: &str, binding: &str, now: u64) -> Visit {
        let Some((text, bound)) = self.opened("session", cookie) else { return Visit::Tampered };
        let parts: Vec<&str> = text.split('.').collect();
        let [VERSION, id, expiry, signs] = parts[..] else { return Visit::Tampered };
        let (Ok(expiry), Ok(signs)) = (expiry.parse::<u64>(), signs.parse()) else { return Visit::Tampered };
        if now >= expiry {
            Visit::Missing
        } else if bound == binding {
            Visit::Valid { id: id.to_owned(), signs }
        } else {
            Visit::Replayed
        }
    }

    /// What the script saw, when the task is solved.
    fn proof(&self, cookie: &str, binding: &str, now: u64) -> Result<u32, Visit> {
        let mut parts = cookie.rsplitn(3, '.');
        let (Some(signs), Some(number), Some(token)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Visit::Tampered);
        };
        let (text, bound) = self.opened("task", token).ok_or(Visit::Tampered)?;
        let issued = text.split('.').nth(1).and_then(|issued| issued.parse::<u64>().ok()).ok_or(Visit::Tampered)?;
        let (Ok(signs), Ok(number)) = (signs.parse(), number.parse()) else { return Err(Visit::Tampered) };
        if bound != binding {
            Err(Visit::Replayed)
        } else if now > issued.saturating_add(PATIENCE) {
            Err(Visit::Late)
        } else if pages::solves(seed(token), number) {
            Ok(signs)
        } else {
            Err(Visit::Tampered)
        }
    }

    /// A text with what it is bound to and the signature over both.
    fn sealed(&self, purpose: &str, text: &str, binding: &str) -> String {
        format!("{text}.{binding}.{}", self.signature(purpose, text, binding))
    }

    /// The text and what it is bound to, when the signature is ours.
    fn opened<'c>(&self, purpose: &str, sealed: &'c str) -> Option<(&'c str, &'c str)> {
        let (rest, signature) = sealed.rsplit_once('.')?;
        let (text, binding) = rest.rsplit_once('.')?;
        let wanted = self.signature(purpose, text, binding);
        // All bytes are looked at, so that the time tells nothing of how many were right.
        let differs =
            wanted.bytes().zip(signature.bytes()).fold(0, |differs, (ours, theirs)| differs | (ours ^ theirs));
        (differs == 0 && wanted.len() == signature.len()).then_some((text, binding))
    }

    fn signature(&self, purpose: &str, text: &str, binding: &str) -> String {
        hexadecimal(&self.signer.sign(format!("{purpose}\0{text}\0{binding}").as_bytes()))
    }

    /// What a client is known by, without telling it.
    fn binding(&self, request: &Request, client: IpAddr) -> String {
        let agent = request.first(Collection::RequestHeaders, b"user-agent").unwrap_or_default();
        let address = client.to_canonical().to_string();
        hexadecimal(&self.signer.sign(&[b"client\0", address.as_bytes(), b"\0", agent].concat())[..8])
    }
}

impl std::fmt::Debug for Sessions<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Sessions").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Whether a page can be the answer: somebody asks for one with `GET`. Anything else without a session is `missingCookie`.
#[must_use]
pub fn can_answer(head: &Head) -> bool {
    let fetches = head.header("sec-fetch-mode").is_some_and(|mode| mode != b"navigate");
    let upgrades = head.header("upgrade").is_some();
    head.method() == b"GET" && !fetches && !upgrades
}

/// What is worse than nothing is told.
fn worse(one: Visit, other: Visit) -> Visit {
    if one == Visit::Missing { other } else { one }
}

fn cookies<'r>(request: &'r Request, name: &'static str) -> impl Iterator<Item = &'r str> {
    let named = request.of(Collection::RequestCookies).filter(move |cookie| cookie.name == name.as_bytes());
    // Nobody needs more than one; a few make no work.
    named
        .take(4)
        .filter(|cookie| cookie.value.len() <= 512)
        .map(|cookie| std::str::from_utf8(cookie.value).unwrap_or(""))
}

/// The part of a token that nobody can choose: its signature's beginning.
fn seed(token: &str) -> u32 {
    let signature = token.rsplit('.').next().unwrap_or_default();
    signature.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).unwrap_or(0)
}

/// A name of letters, digits and dashes alone, as it goes into cookies and pages.
fn plain(id: &str) -> String {
    id.chars().filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-').take(MOST_ID).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
