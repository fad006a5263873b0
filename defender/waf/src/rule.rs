//! A rule as the engine runs it: what `SecLang` says, with every name resolved and every pattern compiled.

use std::sync::Arc;

use regex_automata::meta::Regex;

use crate::{operator::Operator, transformation::Transformation, value::Collection};

/// When a rule is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// 1: the request's head is known.
    RequestHead = 1,
    /// 2: the request's body is known.
    RequestBody = 2,
    /// 3: the response's head is known.
    ResponseHead = 3,
    /// 4: the response's body is known.
    ResponseBody = 4,
    /// 5: all is over.
    Logging = 5,
}

/// One entry of a phase, in file order.
#[derive(Debug, Clone)]
pub enum Step {
    /// A rule, or a `SecAction` (its operator matches always).
    Rule(Box<Rule>),
    /// A `SecMarker`: where `skipAfter` goes on.
    Marker(Arc<str>),
}

/// A rule with the rules chained to it.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its number.
    pub id: u32,
    /// When it is judged.
    pub phase: Phase,
    /// What it and its chain ask; the first is the rule's own. All must hold.
    pub links: Vec<Link>,
    /// `msg`.
    pub message: Template,
    /// `logdata`.
    pub log_data: Template,
    /// `severity`, 0 (emergency) to 7 (debug).
    pub severity: Option<u8>,
    /// `tag`s.
    pub tags: Vec<Arc<str>>,
    /// `ver`.
    pub version: Option<Arc<str>>,
    /// `log` or `nolog`: whether a match is told of.
    pub logged: bool,
    /// What a match does to the request.
    pub disruption: Disruption,
    /// `status` of a refusal.
    pub status: Option<u16>,
    /// `skipAfter`: go on after this marker when the rule matches.
    pub skip_after: Option<Arc<str>>,
    /// `skip`: jump over so many rules.
    pub skip: u32,
}

/// What a match does to the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disruption {
    /// `pass`: nothing.
    Pass,
    /// `block`: what `SecDefaultAction` of the phase says (resolved when compiled; CRS's own default is `pass`).
    Block,
    /// `deny`, `drop`, `redirect`: the request is refused.
    Deny,
    /// `allow`: no more rules.
    Allow,
    /// `allow:phase`.
    AllowPhase,
    /// `allow:request`.
    AllowRequest,
}

/// One condition of a rule, with what happens as soon as it holds.
#[derive(Debug, Clone)]
pub struct Link {
    /// Which values are looked at.
    pub targets: Vec<Target>,
    /// Which are not.
    pub excluded: Vec<Target>,
    /// Applied in order before the operator.
    pub transformations: Vec<Transformation>,
    /// Ask the operator after each transformation that changed something, not only after the last.
    pub multi_match: bool,
    /// What is asked of each value.
    pub operator: Operator,
    /// `!@…`: holds when the operator does not.
    pub negated: bool,
    /// `capture`: the operator's groups become `TX:0` to `TX:9`.
    pub capture: bool,
    /// `setvar`, in order; done for each match.
    pub variables: Vec<SetVariable>,
    /// `ctl`, in order; done once the link holds.
    pub controls: Vec<Control>,
}

/// A choice of values.
#[derive(Debug, Clone)]
pub struct Target {
    /// Of which collection.
    pub collection: Collection,
    /// Which of them.
    pub selector: Selector,
    /// `&`: their number instead.
    pub counted: bool,
}

/// Which values of a collection.
#[derive(Debug, Clone)]
pub enum Selector {
    /// All.
    All,
    /// Those of this name, compared without regard to case.
    Named(Arc<[u8]>),
    /// Those whose name matches (`/…/`).
    Matching(Box<Regex>),
}

/// Text with places to fill in: `msg`, `logdata`, `setvar` and some operators' arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template(pub Vec<Piece>);

/// A part of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(Arc<[u8]>),
    /// `%{COLLECTION.name}`; an empty name for collections without names.
    Variable(Collection, Arc<[u8]>),
}

/// `setvar:tx.name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetVariable {
    /// The name within `TX`, lower case; may have places to fill in.
    pub name: Template,
    /// What becomes of it.
    pub change: Change,
}

/// What `setvar` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// `=value`.
    Set(Template),
    /// `=+value`; what is no number counts as 0.
    Add(Template),
    /// `=-value`.
    Subtract(Template),
    /// `!name`.
    Remove,
}

/// `ctl:…`.
#[derive(Debug, Clone)]
pub enum Control {
    /// `ruleRemoveById=n` or `n-m`.
    RemoveById(u32, u32),
    /// `ruleRemoveByTag=…`, a pattern on tags.
    RemoveByTag(Box<Regex>),
    /// `ruleRemoveTargetById=n;TARGET` or `n-m;TARGET`.
    RemoveTargetById(u32, u32, Target),
    /// `ruleRemoveTargetByTag=…;TARGET`.
    RemoveTargetByTag(Box<Regex>, Target),
    /// `forceRequestBodyVariable=On`.
    ForceRequestBody(bool),
    /// `requestBodyProcessor=…`.
    BodyProcessor(Arc<str>),
    /// `ruleEngine=Off|DetectionOnly|On`.
    Engine(EngineMode),
    /// `auditEngine` and others that have no meaning without an audit log of `ModSecurity`'s kind.
    Ignored,
}

/// `SecRuleEngine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EngineMode {
    /// No rules.
    Off,
    /// Rules are judged, nothing is refused.
    DetectionOnly,
    /// Rules are judged and refuse.
    #[default]
    On,
}
