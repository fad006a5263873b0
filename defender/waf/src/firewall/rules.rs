//! Those parts of an application that have readers of their own: rules of one's own, its interface, bots.

use serde_json::Value;

use super::{
    Effect, PolicyError,
    api::{Api, ApiSpec},
    bot::{BotSpec, Bots},
    expression::{Expression, Moment, RuleKind},
    network::NetworkLists,
    reading::At,
};

/// Rules of one's own, API and bots.
#[derive(Debug, Clone, Default)]
pub struct OwnRules {
    /// What it was made from: two of the same source are the same.
    source: [Option<Value>; 4],
    /// `customRules`, in their order.
    pub custom: Vec<CustomRule>,
    /// `apiSpec`, when it names paths.
    pub api: Option<Api>,
    /// `botProtectionSpec`, when there is one.
    pub bots: Option<Bots>,
}

/// A rule of one's own.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomRule {
    /// Its name.
    pub name: String,
    /// What follows when it holds; `allow` ends all judging.
    pub effect: Effect,
    /// What it asks.
    pub expression: Expression,
    /// What is told, with a place for what matched; empty for the name.
    pub message: String,
}

impl PartialEq for OwnRules {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl OwnRules {
    pub(super) fn read(at: &At<'_>, lists: &NetworkLists) -> Result<Self, PolicyError> {
        let custom = at.field("customRules")?;
        let api = at.field("apiSpec")?;
        let bots = at.field("botProtectionSpec")?;
        // Networks of bots come by name.
        let named = at.value().filter(|_| bots.value().is_some()).map(|_| Value::from(format!("{lists:?}")));
        Ok(Self {
            source: [custom.value().cloned(), api.value().cloned(), bots.value().cloned(), named],
            custom: custom.list(|rule| CustomRule::read(&rule))?,
            api: read_api(&api)?,
            bots: read_bots(&bots, lists)?,
        })
    }

    /// Whether a rule of one's own needs the response's body.
    #[must_use]
    pub fn need_response_body(&self) -> bool {
        self.custom.iter().any(|rule| rule.expression.moment() == Moment::ResponseBody)
    }
}

impl CustomRule {
    fn read(at: &At<'_>) -> Result<Self, PolicyError> {
        let kinds = [("waas-request", RuleKind::Request), ("waas-response", RuleKind::Response)];
        let kind = at.field("type")?.choice(&kinds, RuleKind::Request)?;
        let text = at.field("expression")?;
        let expression =
            Expression::parse(kind, text.text()?).map_err(|error| text.wrong(&format!("is no rule: {error}")))?;
        let effects = [Effect::Disable, Effect::Allow, Effect::Alert, Effect::Prevent, Effect::Ban];
        Ok(Self {
            name: at.field("name")?.text()?.to_owned(),
            effect: at.field("effect")?.choice(&effects.map(|effect| (effect.name(), effect)), Effect::Disable)?,
            expression,
            message: at.field("message")?.text()?.to_owned(),
        })
    }
}

fn read_api(at: &At<'_>) -> Result<Option<Api>, PolicyError> {
    let Some(value) = at.value() else { return Ok(None) };
    let spec: ApiSpec =
        serde_json::from_value(value.clone()).map_err(|error| at.wrong(&format!("cannot be read: {error}")))?;
    if spec.paths.is_empty() {
        return Ok(None);
    }
    Api::compile(&spec).map(Some).map_err(|error| at.wrong(&format!("cannot be used: {error}")))
}

fn read_bots(at: &At<'_>, lists: &NetworkLists) -> Result<Option<Bots>, PolicyError> {
    let Some(value) = at.value() else { return Ok(None) };
    let spec: BotSpec =
        serde_json::from_value(value.clone()).map_err(|error| at.wrong(&format!("cannot be read: {error}")))?;
    let bots = Bots::compile(&spec, &|name| lists.prefixes(name));
    bots.map(Some).map_err(|problem| at.wrong(&format!("cannot be used: {problem}")))
}
