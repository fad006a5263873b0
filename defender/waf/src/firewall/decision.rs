//! From rules' findings to what follows: anomaly scores, by effect.
//!
//! The Core Rule Set adds up points over all rules and refuses at a threshold. With an effect for each group the same sum is
//! made three times: over the groups that ban, over those that refuse or ban, over all that are not disabled. The strongest
//! effect whose sum reaches the threshold follows. With every group at `prevent` that is the Core Rule Set's own decision.

use super::{
    Effect,
    groups::{self, Group, Groups},
};
use crate::{
    engine::{Finding, Matched},
    value::Collection,
};

/// How findings are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counting {
    /// Points at which something follows.
    pub threshold: i64,
    /// Rules above this paranoia level are told of and count nothing.
    pub paranoia: u8,
}

/// What follows, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<'f> {
    /// What follows.
    pub effect: Effect,
    /// The group with the most points among those that count for it.
    pub group: Group,
    /// The points that count for it.
    pub score: i64,
    /// The findings that count for it, in order.
    pub findings: Vec<&'f Finding>,
}

/// Decides by the findings that count; nothing when they do not reach the threshold.
#[must_use]
pub fn decide<'f>(
    findings: impl Iterator<Item = &'f Finding>,
    groups: &Groups,
    counting: Counting,
) -> Option<Decision<'f>> {
    let counted: Vec<(&Finding, Group, i64)> = findings
        .map(|finding| (finding, points(finding, counting)))
        .filter(|(_, points)| *points > 0)
        .map(|(finding, points)| (finding, Group::of(finding), points))
        .filter(|(_, group, _)| groups.of(*group).effect > Effect::Allow)
        .collect();
    [Effect::Ban, Effect::Prevent, Effect::Alert].into_iter().find_map(|effect| {
        let mut sums = [0; groups::COUNT];
        let mut found = Vec::new();
        for (finding, group, points) in counted.iter().filter(|(_, group, _)| groups.of(*group).effect >= effect) {
            sums[*group as usize] += points;
            found.push(*finding);
        }
        let score: i64 = sums.iter().sum();
        // Of equal sums the more precise kind leads, then the first.
        let rank = |group: Group| (sums[group as usize], group.is_precise());
        let group = Group::all().reduce(|best, next| if rank(next) > rank(best) { next } else { best })?;
        (score >= counting.threshold && score > 0).then_some(Decision { effect, group, score, findings: found })
    })
}

impl<'f> Decision<'f> {
    /// The finding that explains it best: of the leading group the one with the most points.
    #[must_use]
    pub fn witness(&self) -> Option<&'f Finding> {
        let of_group = self.findings.iter().filter(|finding| Group::of(finding) == self.group);
        of_group.rev().max_by_key(|finding| finding.points).copied()
    }

    /// The value that explains it: of the witness the first that comes from the client or the application.
    #[must_use]
    pub fn matched(&self) -> Option<&'f Matched> {
        let matches = &self.witness()?.matches;
        matches.iter().find(|matched| !is_kept(matched.collection)).or(matches.first())
    }

    /// The rules, each once, in the order in which they matched.
    #[must_use]
    pub fn rules(&self) -> Vec<u32> {
        let mut rules = Vec::new();
        for finding in &self.findings {
            if !rules.contains(&finding.rule) {
                rules.push(finding.rule);
            }
        }
        rules
    }
}

/// What a finding counts. A rule that refuses of its own accord counts as much as it takes.
fn points(finding: &Finding, counting: Counting) -> i64 {
    if is_evaluation(finding.rule) || paranoia(finding) > counting.paranoia {
        return 0;
    }
    if finding.denies { counting.threshold.max(finding.points).max(1) } else { finding.points }
}

/// The rules that compare the sum with the threshold; that is done here. Source: Core Rule Set, files 949, 959, 980.
fn is_evaluation(rule: u32) -> bool {
    matches!(rule / 1000, 949 | 959 | 980)
}

fn paranoia(finding: &Finding) -> u8 {
    let level = finding.tags.iter().find_map(|tag| tag.strip_prefix("paranoia-level/"));
    level.and_then(|level| level.parse().ok()).unwrap_or(1)
}

fn is_kept(collection: Collection) -> bool {
    use Collection as C;
    matches!(collection, C::Tx | C::MatchedVar | C::MatchedVars | C::MatchedVarName | C::MatchedVarsNames | C::Absent)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{firewall::reading::At, rule::Phase};

    const STOCK: Counting = Counting { threshold: 5, paranoia: 1 };

    fn finding(rule: u32, points: i64) -> Finding {
        Finding {
            rule,
            phase: Phase::RequestBody,
            message: String::new(),
            data: String::new(),
            severity: None,
            tags: vec!["paranoia-level/1".into()],
            logged: true,
            collection: Collection::Absent,
            name: Vec::new(),
            matches: Vec::new(),
            points,
            denies: false,
        }
    }

    fn groups(value: &Value) -> Groups {
        Groups::read(&At::root(value)).unwrap()
    }

    fn effects(sqli: &str, xss: &str) -> Groups {
        groups(&json!({"sqli": {"effect": sqli}, "xss": {"effect": xss}}))
    }

    fn decided(findings: &[Finding], groups: &Groups) -> Option<(Effect, Group, i64)> {
        decide(findings.iter(), groups, STOCK).map(|decision| (decision.effect, decision.group, decision.score))
    }

    /// Points of groups that prevent are added up over the groups, as the Core Rule Set does.
    #[test]
    fn points_add_up_over_groups() {
        let findings = [finding(942_100, 3), finding(941_100, 2)];
        assert_eq!(decided(&findings, &effects("prevent", "prevent")), Some((Effect::Prevent, Group::Sqli, 5)));
        assert_eq!(decided(&findings, &effects("prevent", "alert")), Some((Effect::Alert, Group::Sqli, 5)));
        assert_eq!(decided(&findings, &effects("prevent", "disable")), None);
    }

    /// The group that bans bans by its own points only; weaker groups cannot add to them.
    #[test]
    fn effects_are_earned_by_their_groups() {
        let both = [finding(942_100, 5), finding(941_100, 10)];
        assert_eq!(decided(&both, &effects("ban", "alert")), Some((Effect::Ban, Group::Sqli, 5)));
        assert_eq!(decided(&both, &effects("alert", "prevent")), Some((Effect::Prevent, Group::Xss, 10)));
        assert_eq!(decided(&both, &effects("alert", "alert")), Some((Effect::Alert, Group::Xss, 15)));
    }

    /// The stock rule that blocks decides nothing when the groups say alert, nor do rules above the paranoia level.
    #[test]
    fn the_stock_blocking_rule_decides_nothing() {
        let mut blocking = finding(949_110, 0);
        blocking.denies = true;
        let mut paranoid = finding(942_200, 5);
        paranoid.tags = vec!["paranoia-level/2".into()];
        let all = groups(&json!({"sqli": {"effect": "prevent"}, "malformedReq": {"effect": "prevent"}}));
        assert_eq!(decided(&[blocking, paranoid], &all), None);
    }

    /// A rule of one's own that denies is enough alone, by the effect of its group.
    #[test]
    fn a_rule_that_denies_is_enough() {
        let mut own = finding(100_001, 0);
        own.denies = true;
        let malformed = groups(&json!({"malformedReq": {"effect": "prevent"}}));
        assert_eq!(decided(&[own], &malformed), Some((Effect::Prevent, Group::Protocol, 5)));
    }

    proptest! {
        /// With every group at `prevent`, the decision is the Core Rule Set's: the sum reaches the threshold.
        #[test]
        fn all_at_prevent_is_the_core_rule_set(found in proptest::collection::vec((911_u32..944, 0_i64..6), 0..8)) {
            let all = groups(&json!({"sqli": {"effect": "prevent"}, "xss": {"effect": "prevent"},
                "cmdi": {"effect": "prevent"}, "codeInjection": {"effect": "prevent"}, "lfi": {"effect": "prevent"},
                "attackTools": {"effect": "prevent"}, "shellshock": {"effect": "prevent"},
                "malformedReq": {"effect": "prevent"}}));
            let findings: Vec<_> = found.iter().map(|(file, points)| finding(file * 1000 + 100, *points)).collect();
            let sum: i64 = found.iter().map(|(_, points)| points).sum();
            let decision = decided(&findings, &all);
            prop_assert_eq!(decision.is_some(), sum >= 5);
            prop_assert!(decision.is_none_or(|(effect, _, score)| effect == Effect::Prevent && score == sum));
        }
    }
}
