//! A rule as the engine runs it: what `SecLang` says, with every name resolved and every pattern compiled.

use std::sync::Arc;

use regex_automata::meta::Regex;

use crate::{engine::Chain, operator::Operator, prefilter::BitSet, transformation::Transformation, value::Collection};

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
    /// What the ruleset found out about it.
    pub(crate) plan: RulePlan,
}

impl Rule {
    /// Whether a match leads past other rules.
    pub(crate) fn leads(&self) -> bool {
        self.skip_after.is_some() || self.skip > 0
    }
}

/// What is known of a rule once all rules are read; [`crate::Ruleset::new`] fills it in.
#[derive(Debug, Clone, Default)]
pub(crate) struct RulePlan {
    /// Its number among all rules, from 0.
    pub place: usize,
    /// The step of its phase on which `skipAfter` and `skip` go on.
    pub skip_to: usize,
    /// Nobody is told of it, and nothing in it looks at what it matched.
    pub quiet: bool,
    /// One of its links looks at what it matched before.
    pub watched: bool,
    /// Each value of its first link counts by itself.
    pub chain: Option<Arc<Chain>>,
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
    /// What the ruleset found out about it.
    pub(crate) plan: LinkPlan,
}

/// What is known of a link once all rules are read.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkPlan {
    /// Its number among what is asked of a request's values, when the prefilter can tell that it does not hold.
    pub ask: Option<u16>,
    /// The comparison of two numbers that is all of it.
    pub comparison: Option<Comparison>,
    /// The place of its rule, if that is a chain of which it is the first link: its question is asked of nobody else.
    pub chain: Option<usize>,
}

/// `TX:a "@lt 2"`, `&TX:a "@eq 0"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// The number of the `TX` name.
    pub slot: u16,
    /// Whether its number of values is compared, which is 0 or 1.
    pub counted: bool,
    /// Which outcomes hold: less, equal, greater.
    pub holds: [bool; 3],
    /// With what.
    pub with: Number,
}

/// A number, or the name of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    Constant(i64),
    Slot(u16),
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
    /// The number of the `TX` name that it chooses, once all rules are read.
    pub(crate) slot: Option<u16>,
    /// The numbers of those `TX` names that its pattern chooses.
    pub(crate) slots: Option<Arc<[u16]>>,
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
    /// `%{TX.name}`, by the name's number, once all rules are read.
    Kept(u16),
}

/// `setvar:tx.name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetVariable {
    /// The name within `TX`, lower case; may have places to fill in.
    pub name: Template,
    /// What becomes of it.
    pub change: Change,
    /// The number of the name, when it has nothing to fill in, once all rules are read.
    pub(crate) slot: Option<u16>,
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
    /// `ruleRemoveById=n` or `n-m`, `ruleRemoveByTag=…`.
    Remove(Chosen),
    /// `ruleRemoveTargetById=n;TARGET` or `n-m;TARGET`, `ruleRemoveTargetByTag=…;TARGET`.
    RemoveTarget(Chosen, Target),
    /// `forceRequestBodyVariable=On`.
    ForceRequestBody(bool),
    /// `requestBodyProcessor=…`.
    BodyProcessor(Arc<str>),
    /// `ruleEngine=Off|DetectionOnly|On`.
    Engine(EngineMode),
    /// `auditEngine` and others that have no meaning without an audit log of `ModSecurity`'s kind.
    Ignored,
}

/// Rules that a `ctl` names.
#[derive(Debug, Clone)]
pub enum Chosen {
    /// By number, from one to another.
    Ids(u32, u32),
    /// By a pattern on their tags.
    Tag(Box<Regex>),
    /// By their places among all rules: what the others become once all rules are read.
    Places(Arc<BitSet>),
}

impl Chosen {
    /// Whether a rule is one of them.
    #[must_use]
    pub fn chooses(&self, rule: &Rule) -> bool {
        match self {
            Self::Ids(first, last) => (*first..=*last).contains(&rule.id),
            Self::Tag(pattern) => rule.tags.iter().any(|tag| pattern.is_match(tag.as_bytes())),
            Self::Places(places) => places.contains(rule.plan.place),
        }
    }
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
