//! Groups of rules, each with its own effect: what a number or a tag of a rule means to a policy.

use super::{Effect, PolicyError, exception::Exception, reading::At};
use crate::engine::Finding;

/// A kind of attack, as policies name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// SQL injection.
    Sqli,
    /// Cross-site scripting.
    Xss,
    /// Commands of an operating system.
    Cmdi,
    /// Code of a programming language.
    CodeInjection,
    /// Files that are not for clients, of this machine or another.
    Lfi,
    /// Scanners and other tools.
    AttackTools,
    /// Shellshock.
    Shellshock,
    /// Requests that no proper client sends.
    MalformedReq,
    /// Requests that make the application ask elsewhere.
    Ssrf,
    /// Injection into databases without SQL, directories (LDAP) among them.
    Nosql,
    /// Injection into templates.
    Ssti,
    /// External entities of XML.
    Xxe,
    /// Objects that run code when they are read.
    Deserialisation,
    /// Attacks on HTTP itself.
    Protocol,
    /// What a response should not tell.
    InfoLeakage,
}

/// Every group with its field in a policy and its name in events.
const GROUPS: [(Group, &str, &str); 15] = [
    (Group::Sqli, "sqli", "sqli"),
    (Group::Xss, "xss", "xss"),
    (Group::Cmdi, "cmdi", "cmdi"),
    (Group::CodeInjection, "codeInjection", "codeInjection"),
    (Group::Lfi, "lfi", "lfi"),
    (Group::AttackTools, "attackTools", "attackTools"),
    (Group::Shellshock, "shellshock", "shellshock"),
    (Group::MalformedReq, "malformedReq", "malformedRequest"),
    (Group::Ssrf, "ssrf", "ssrf"),
    (Group::Nosql, "nosql", "nosql"),
    (Group::Ssti, "ssti", "ssti"),
    (Group::Xxe, "xxe", "xxe"),
    (Group::Deserialisation, "deserialisation", "deserialisation"),
    (Group::Protocol, "protocol", "protocol"),
    (Group::InfoLeakage, "intelGathering", "informationLeak"),
];

/// How many groups there are.
pub const COUNT: usize = GROUPS.len();

/// What follows from the findings of each group.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Groups([Protection; COUNT]);

/// What follows from the findings of one group.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Protection {
    /// What follows.
    pub effect: Effect,
    /// Where nothing is to be found (`exceptionFields`).
    pub exceptions: Vec<Exception>,
}

impl Group {
    /// The group to which a rule's finding belongs.
    #[must_use]
    pub fn of(finding: &Finding) -> Self {
        let tagged = finding.tags.iter().find_map(|tag| Self::of_precise_tag(tag));
        tagged
            .or_else(|| Self::of_number(finding.rule))
            .or_else(|| finding.tags.iter().find_map(|tag| Self::of_tag(tag)))
            .unwrap_or(Self::Protocol)
    }

    /// The group of an event's name (`type` in audits).
    #[must_use]
    pub fn event_type(self) -> &'static str {
        GROUPS[self as usize].2
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        GROUPS.iter().map(|(group, ..)| *group)
    }

    /// Whether it says more than the vendor's groups do.
    #[must_use]
    pub fn is_precise(self) -> bool {
        self.kin().is_some() && self != Self::Protocol
    }

    /// Tags that say more than a rule's number does.
    fn of_precise_tag(tag: &str) -> Option<Self> {
        Some(match tag {
            "attack-ssrf" => Self::Ssrf,
            "attack-ssti" => Self::Ssti,
            "attack-nosql" | "attack-ldap" => Self::Nosql,
            "attack-xxe" => Self::Xxe,
            "attack-deserialisation" | "attack-deserialization" => Self::Deserialisation,
            "attack-shellshock" => Self::Shellshock,
            _ => return None,
        })
    }

    /// Source: Core Rule Set 4, the files' names and the messages of the rules singled out here.
    fn of_number(rule: u32) -> Option<Self> {
        Some(match rule {
            932_170 | 932_171 => Self::Shellshock,
            // Injection into LDAP, into MongoDB.
            921_200 | 942_290 => Self::Nosql,
            // Serialised Java objects, by class, by magic number, by gadget.
            944_120 | 944_200 | 944_210 | 944_240 => Self::Deserialisation,
            913_000..=913_999 => Self::AttackTools,
            920_000..=920_999 | 922_000..=922_999 => Self::MalformedReq,
            911_000..=912_999 | 921_000..=921_999 | 943_000..=943_999 => Self::Protocol,
            930_000..=931_999 => Self::Lfi,
            932_000..=932_999 => Self::Cmdi,
            933_000..=934_999 | 944_000..=944_999 => Self::CodeInjection,
            941_000..=941_999 => Self::Xss,
            942_000..=942_999 => Self::Sqli,
            950_000..=958_999 => Self::InfoLeakage,
            _ => return None,
        })
    }

    /// For rules that are not of the Core Rule Set.
    fn of_tag(tag: &str) -> Option<Self> {
        Some(match tag {
            "attack-sqli" => Self::Sqli,
            "attack-xss" => Self::Xss,
            "attack-rce" => Self::Cmdi,
            "attack-lfi" | "attack-rfi" => Self::Lfi,
            "attack-reputation-scanner" => Self::AttackTools,
            "attack-multipart-header" => Self::MalformedReq,
            "attack-disclosure" => Self::InfoLeakage,
            _ if tag.starts_with("attack-injection-") => Self::CodeInjection,
            _ => return None,
        })
    }

    /// The vendor's group to which attacks of one of ours belong for whoever knows the vendor's only.
    fn kin(self) -> Option<Self> {
        match self {
            Self::Ssrf | Self::Ssti | Self::Deserialisation => Some(Self::CodeInjection),
            Self::Nosql => Some(Self::Sqli),
            Self::Xxe => Some(Self::Lfi),
            Self::Protocol => Some(Self::MalformedReq),
            _ => None,
        }
    }
}

impl Groups {
    /// The groups of an application. One of ours that is absent does what the vendor's nearest does, so that a policy which
    /// knows the vendor's groups only leaves no rule without an effect.
    pub(super) fn read(at: &At<'_>) -> Result<Self, PolicyError> {
        let mut groups = Self::default();
        for (group, field, _) in GROUPS {
            let place = at.field(field)?;
            let protection = match group.kin() {
                _ if group == Group::InfoLeakage => {
                    Protection { effect: place.field("infoLeakageEffect")?.effect()?, exceptions: Vec::new() }
                }
                Some(kin) if place.value().is_none() => groups.of(kin).clone(),
                _ => Protection {
                    effect: place.field("effect")?.effect()?,
                    exceptions: place.field("exceptionFields")?.list(|item| Exception::read(&item))?,
                },
            };
            groups.0[group as usize] = protection;
        }
        Ok(groups)
    }

    /// What follows from the findings of a group.
    #[must_use]
    pub fn of(&self, group: Group) -> &Protection {
        &self.0[group as usize]
    }

    /// True when no finding of any group counts.
    #[must_use]
    pub fn are_disabled(&self) -> bool {
        self.0.iter().all(|protection| protection.effect <= Effect::Allow)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{rule::Phase, value::Collection};

    fn finding(rule: u32, tags: &[&str]) -> Finding {
        Finding {
            rule,
            phase: Phase::RequestBody,
            message: String::new(),
            data: String::new(),
            severity: None,
            tags: tags.iter().map(|tag| (*tag).into()).collect(),
            logged: true,
            collection: Collection::Absent,
            name: Vec::new(),
            matches: Vec::new(),
            points: 0,
            denies: false,
        }
    }

    /// A precise tag goes before the number, the number before a coarse tag.
    #[test]
    fn rules_have_groups() {
        let group = |rule, tags: &[&str]| Group::of(&finding(rule, tags));
        assert_eq!(group(942_100, &["attack-sqli"]), Group::Sqli);
        assert_eq!(group(942_290, &["attack-sqli"]), Group::Nosql);
        assert_eq!(group(921_200, &["attack-protocol"]), Group::Nosql);
        assert_eq!(group(60_120, &["attack-ldap"]), Group::Nosql);
        assert_eq!(group(934_110, &["attack-ssrf"]), Group::Ssrf);
        assert_eq!(group(934_100, &["attack-rce"]), Group::CodeInjection);
        assert_eq!(group(932_171, &["attack-rce"]), Group::Shellshock);
        assert_eq!(group(100_001, &["OWASP", "attack-rce"]), Group::Cmdi);
        assert_eq!(group(100_001, &[]), Group::Protocol);
        assert_eq!(group(951_100, &["attack-disclosure"]), Group::InfoLeakage);
    }

    /// The table is in the order of the groups.
    #[test]
    fn the_table_is_in_order() {
        assert!(Group::all().enumerate().all(|(index, group)| group as usize == index));
    }

    /// A group of ours that a policy does not name does what the vendor's nearest does; one that it names does its own.
    #[test]
    fn groups_of_ours_follow_their_kin() {
        let value = json!({"codeInjection": {"effect": "prevent"}, "ssti": {"effect": "alert"}});
        let groups = Groups::read(&At::root(&value)).unwrap();
        assert_eq!(groups.of(Group::Ssrf).effect, Effect::Prevent);
        assert_eq!(groups.of(Group::Ssti).effect, Effect::Alert);
        assert_eq!(groups.of(Group::Nosql).effect, Effect::Disable);
    }
}
