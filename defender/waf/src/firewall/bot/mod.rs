//! Bots: what sends a request, by what it says of itself and by how it says it (`docs/reference/waas-bots.md`).
//!
//! A [`BotSpec`] is compiled once into [`Bots`]; [`Bots::judge`] tells of one request's head what it was sent by and what the
//! policy wants then. [`session`] asks clients for cookies and JavaScript.

mod agents;
mod browser;
mod class;
mod pages;
pub mod session;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use serde::Deserialize;

use self::browser::{Claim, Sign};
pub use self::{
    class::BotClass,
    session::{Sessions, Signer, Visit},
};
use super::{Effect, Field};
use crate::http::Head;

/// The vendor's `botProtectionSpec`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BotSpec {
    /// Bots of the user's own.
    pub user_defined_bots: Vec<UserDefinedBot>,
    /// Known good bots.
    pub known_bot_protections_spec: KnownBots,
    /// All others.
    pub unknown_bot_protection_spec: UnknownBots,
    /// When a session's cookie was changed, or is another client's.
    pub session_validation: Effect,
    /// Whether clients without a session get a page first that gives them one.
    pub interstitial_page: bool,
    /// Whether they have to run a script for it.
    pub js_injection_spec: JsInjection,
}

/// A bot of the user's own: all that is given must hold.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct UserDefinedBot {
    /// Its name.
    pub name: String,
    /// A header field; empty for any.
    pub header_name: String,
    /// What the field may be, `*` for any part.
    pub header_values: Vec<String>,
    /// Names of network lists, one of which the client is in.
    pub subnets: Vec<String>,
    /// What then.
    pub effect: Effect,
}

/// What is done with known good bots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)] // as the vendor names them
pub struct KnownBots {
    pub search_engine_crawlers: Effect,
    pub business_analytics: Effect,
    pub educational: Effect,
    pub news: Effect,
    pub financial: Effect,
    pub content_feed_clients: Effect,
    pub archiving: Effect,
    pub career_search: Effect,
    pub media_search: Effect,
}

/// What is done with all others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[allow(missing_docs)] // as the vendor names them
pub struct UnknownBots {
    pub generic: Effect,
    pub web_automation_tools: Effect,
    pub web_scrapers: Effect,
    pub api_libraries: Effect,
    pub http_libraries: Effect,
    pub bot_impersonation: Effect,
    pub browser_impersonation: Effect,
    pub request_anomalies: RequestAnomalies,
}

/// How much that browsers do not send is too much.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RequestAnomalies {
    /// 3 strict, 6 moderate, 9 lax.
    pub threshold: u32,
    /// What then.
    pub effect: Effect,
}

impl Default for RequestAnomalies {
    fn default() -> Self {
        Self { threshold: 9, effect: Effect::Disable }
    }
}

/// A script that clients have to run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct JsInjection {
    /// Whether.
    pub enabled: bool,
    /// When they do not in time.
    pub timeout_effect: Effect,
}

/// What is known from outside about a client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<'a> {
    /// Nobody looked.
    Unknown,
    /// The names that the address has and that have the address (forward-confirmed); empty for none.
    Names(&'a [String]),
    /// The address is on the list that whoever runs the bot has published.
    Listed,
}

/// What sends a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// What it is.
    pub class: BotClass,
    /// What the policy wants then; never [`Effect::Disable`].
    pub effect: Effect,
    /// For a human.
    pub message: String,
    /// Where it shows; neither scrubbed nor shortened.
    pub field: Field,
}

/// The bots of a policy, compiled.
#[derive(Debug, Clone, Default)]
pub struct Bots {
    spec: BotSpec,
    /// The networks of each of the user's bots; none where any address will do.
    networks: Vec<Option<Vec<(IpAddr, u8)>>>,
}

/// Weights of signs together that make what says to be a browser none.
const IMPERSONATION: u32 = 5;

impl Bots {
    /// Compiles the bots of a policy. `networks` gives a network list by its name.
    ///
    /// # Errors
    /// In words, for a bot that names no header and no network, and for a list that nobody knows.
    pub fn compile(spec: &BotSpec, networks: &dyn Fn(&str) -> Option<Vec<(IpAddr, u8)>>) -> Result<Self, String> {
        let of = |bot: &UserDefinedBot| {
            if bot.header_name.is_empty() && bot.subnets.is_empty() {
                return Err(format!("the user-defined bot `{}` has neither `headerName` nor `subnets`", bot.name));
            }
            let lists = bot.subnets.iter().map(|name| {
                networks(name)
                    .ok_or_else(|| format!("the user-defined bot `{}`: there is no network list `{name}`", bot.name))
            });
            let lists = lists.collect::<Result<Vec<_>, _>>()?;
            Ok((!bot.subnets.is_empty()).then(|| lists.concat()))
        };
        let networks = spec.user_defined_bots.iter().map(of).collect::<Result<_, _>>()?;
        Ok(Self { spec: spec.clone(), networks })
    }

    /// The specification.
    #[must_use]
    pub fn spec(&self) -> &BotSpec {
        &self.spec
    }

    /// True when what this says to be can be confirmed by the client's reverse name, and the policy cares.
    #[must_use]
    pub fn wants_names(&self, head: &Head) -> bool {
        let agent = agents::find(&user_agent(head));
        agent.is_some_and(|agent| !agent.domains.is_empty())
            && self.spec.unknown_bot_protection_spec.bot_impersonation != Effect::Disable
    }

    /// What sent a request, of the classes that the policy does something about: first what counts most. `secure` is whether
    /// the client spoke TLS, be it to whoever stands before us.
    #[must_use]
    pub fn judge(&self, head: &Head, client: IpAddr, origin: Origin<'_>, secure: bool) -> Option<Sighting> {
        if let Some(sighting) = self.user_defined(head, client) {
            return Some(sighting);
        }
        let threshold = self.spec.unknown_bot_protection_spec.request_anomalies.threshold;
        let classes = classify(head, origin, secure, threshold).into_iter();
        let mut acted = classes.map(|(class, message)| (class, self.effect(class), message));
        let (class, effect, message) = acted.find(|(_, effect, _)| *effect != Effect::Disable)?;
        Some(sighting(head, class, effect, message))
    }

    fn user_defined(&self, head: &Head, client: IpAddr) -> Option<Sighting> {
        let bots = self.spec.user_defined_bots.iter().zip(&self.networks);
        let found = bots.filter(|(bot, _)| bot.effect != Effect::Disable).find(|(bot, networks)| {
            let from = networks
                .as_ref()
                .is_none_or(|networks| networks.iter().any(|(network, prefix)| contains(*network, *prefix, client)));
            let named = |name: &[u8]| name.eq_ignore_ascii_case(bot.header_name.as_bytes());
            let fits = |value: &[u8]| {
                bot.header_values.is_empty() || bot.header_values.iter().any(|wanted| matches(wanted.as_bytes(), value))
            };
            from && (bot.header_name.is_empty() || head.headers().any(|field| named(field.name) && fits(field.value)))
        });
        found.map(|(bot, _)| {
            sighting(head, BotClass::UserDefinedBot, bot.effect, format!("the user-defined bot `{}`", bot.name))
        })
    }

    /// What the policy wants for a class.
    #[must_use]
    pub fn effect(&self, class: BotClass) -> Effect {
        let (known, unknown) = (&self.spec.known_bot_protections_spec, &self.spec.unknown_bot_protection_spec);
        match class {
            BotClass::UserDefinedBot => Effect::Disable,
            BotClass::SearchEngineCrawlers => known.search_engine_crawlers,
            BotClass::BusinessAnalytics => known.business_analytics,
            BotClass::Educational => known.educational,
            BotClass::News => known.news,
            BotClass::Financial => known.financial,
            BotClass::ContentFeedClients => known.content_feed_clients,
            BotClass::Archiving => known.archiving,
            BotClass::CareerSearch => known.career_search,
            BotClass::MediaSearch => known.media_search,
            BotClass::BotImpersonation => unknown.bot_impersonation,
            BotClass::WebAutomationTools => unknown.web_automation_tools,
            BotClass::WebScrapers => unknown.web_scrapers,
            BotClass::ApiLibraries => unknown.api_libraries,
            BotClass::HttpLibraries => unknown.http_libraries,
            BotClass::Generic => unknown.generic,
            BotClass::BrowserImpersonation => unknown.browser_impersonation,
            BotClass::RequestAnomalies => unknown.request_anomalies.effect,
        }
    }
}

/// What sends a request, and why that is said, first what says most; nothing for what seems a browser.
#[must_use]
pub fn classify(head: &Head, origin: Origin<'_>, secure: bool, threshold: u32) -> Vec<(BotClass, String)> {
    let agent = user_agent(head);
    let named = agents::find(&agent).map(|found| described(found, origin));
    // Known good bots are not asked to be like browsers.
    if let Some((class, message)) = named.clone().filter(|(class, _)| BotClass::KNOWN.contains(class)) {
        return vec![(class, message)];
    }
    let mut classes: Vec<_> = named.into_iter().collect();
    // Brands tell what user agents keep silent about.
    let brands = head.header("sec-ch-ua").unwrap_or_default().to_ascii_lowercase();
    if memchr::memmem::find(&brands, b"headless").is_some() {
        classes.push((BotClass::WebAutomationTools, "`Sec-CH-UA` names a browser without a head".to_owned()));
    }
    if agent.is_empty() {
        classes.push((BotClass::Generic, "there is no user agent".to_owned()));
    }
    let claim = Claim::of(&agent).filter(|_| classes.is_empty());
    let signs = browser::signs(head, claim, secure);
    let weight: u32 = signs.iter().map(|sign| sign.weight).sum();
    if claim.is_some() && weight >= IMPERSONATION {
        classes.push((BotClass::BrowserImpersonation, format!("it says to be a browser, but {}", told(&signs))));
    }
    if weight >= threshold {
        classes.push((BotClass::RequestAnomalies, format!("anomalies weigh {weight}: {}", told(&signs))));
    }
    classes
}

/// What something is whose user agent has a known word.
fn described(agent: &agents::Agent, origin: Origin<'_>) -> (BotClass, String) {
    if agent.domains.is_empty() {
        let word = agent.word.trim_end_matches(['/', ';']);
        return (agent.class, format!("the user agent names `{word}`"));
    }
    confirmed(agent, origin)
}

/// What something is that says to be a bot whose addresses have known names.
fn confirmed(agent: &agents::Agent, origin: Origin<'_>) -> (BotClass, String) {
    let word = agent.word;
    match origin {
        Origin::Unknown => (agent.class, format!("the user agent names `{word}`; nobody looked whether it is")),
        Origin::Listed => (agent.class, format!("`{word}`, by its address")),
        Origin::Names(names) => {
            let within = |name: &String| agent.domains.iter().any(|domain| agents::is_within(name, domain));
            match names.iter().find(|name| within(name)) {
                Some(name) => (agent.class, format!("`{word}`, by its address's name `{name}`")),
                None => (
                    BotClass::BotImpersonation,
                    format!(
                        "the user agent names `{word}`, but the address's name is not in {}",
                        agent.domains.join(", ")
                    ),
                ),
            }
        }
    }
}

fn told(signs: &[Sign]) -> String {
    signs.iter().map(|sign| sign.what).collect::<Vec<_>>().join("; ")
}

fn user_agent(head: &Head) -> Vec<u8> {
    head.header("user-agent").unwrap_or_default().to_ascii_lowercase()
}

fn sighting(head: &Head, class: BotClass, effect: Effect, message: String) -> Sighting {
    let value = String::from_utf8_lossy(head.header("user-agent").unwrap_or_default()).into_owned();
    let field = Field { place: "header".to_owned(), key: "User-Agent".to_owned(), value };
    Sighting { class, effect, message, field }
}

/// Whether a text is as a pattern has it, `*` for any part, in any case. Takes time in proportion to both together at worst.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    let mut pieces = pattern.split(|byte| *byte == b'*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let pieces: Vec<&[u8]> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        let Some(at) = memchr::memmem::find(rest, piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

/// Whether an address is in a network; an IPv4 address mapped into IPv6 is its IPv4 address.
fn contains(network: IpAddr, prefix: u8, address: IpAddr) -> bool {
    match (network, address.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (network.to_bits() ^ address.to_bits()).checked_shr(32_u32.saturating_sub(prefix.into())).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            (network.to_bits() ^ address.to_bits()).checked_shr(128_u32.saturating_sub(prefix.into())).unwrap_or(0) == 0
        }
        _ => false,
    }
}
