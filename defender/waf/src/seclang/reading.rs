//! Directives, one after the other, become a ruleset.

use std::{collections::HashMap, sync::Arc};

use super::{
    Source,
    actions::{self, Actions},
    lexer::Directive,
    targets,
};
use crate::{
    operator::{self, Operator, OperatorError},
    rule::{Disruption, Link, LinkPlan, Phase, Rule, RulePlan, Step, Target},
    ruleset::{LeftOut, Ruleset, Settings},
    value::Collection,
};

/// Directives about what does not exist here (`ModSecurity`'s logs, files and collections), or that fix what we do anyway.
const WITHOUT_MEANING: [&str; 34] = [
    "secargumentseparator",
    "secauditengine",
    "secauditlog",
    "secauditlogdirmode",
    "secauditlogfilemode",
    "secauditlogformat",
    "secauditlogparts",
    "secauditlogrelevantstatus",
    "secauditlogstoragedir",
    "secauditlogtype",
    "seccollectiontimeout",
    "seccomponentsignature",
    "seccookieformat",
    "secdatadir",
    "secdebuglog",
    "secdebugloglevel",
    "secpcrematchlimit",
    "secpcrematchlimitrecursion",
    "secrequestbodyaccess",
    "secrequestbodyinmemorylimit",
    "secrequestbodylimitaction",
    "secrequestbodynofileslimit",
    "secresponsebodyaccess",
    "secresponsebodylimit",
    "secresponsebodylimitaction",
    "secresponsebodymimetype",
    "secresponsebodymimetypesclear",
    "secserversignature",
    "secstatusengine",
    "sectmpdir",
    "sectmpsaveuploadedfiles",
    "secunicodemapfile",
    "secuploaddir",
    "secuploadkeepfiles",
];

/// What was read so far.
pub(super) struct Reading<'a> {
    data: &'a [Source<'a>],
    settings: Settings,
    defaults: HashMap<Phase, Disruption>,
    /// In file order, a marker as itself: it goes to every phase in the end.
    steps: Vec<Step>,
    /// The rule whose chain is still open.
    open: Option<Open>,
    file: &'a str,
    /// Rules of `steps` that are not to be judged, by their numbers.
    left_out: HashMap<u32, LeftOut>,
}

/// A rule whose chain may go on.
struct Open {
    rule: Rule,
    /// Where it began.
    line: usize,
    /// Why it cannot be judged, if it cannot.
    not_done: Option<String>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(data: &'a [Source<'a>]) -> Self {
        let (settings, defaults) = (Settings::default(), HashMap::new());
        Self { data, settings, defaults, steps: Vec::new(), open: None, file: "", left_out: HashMap::new() }
    }

    /// What is taken from now on is in this file.
    pub(super) fn begin_file(&mut self, name: &'a str) {
        self.file = name;
    }

    /// Takes the next directive.
    pub(super) fn take(&mut self, directive: &Directive) -> Result<(), String> {
        let name = directive.name.to_ascii_lowercase();
        match (name.as_str(), &directive.words[..]) {
            ("secrule", [targets, operator]) => self.rule(directive.line, targets, operator, ""),
            ("secrule", [targets, operator, actions]) => self.rule(directive.line, targets, operator, actions),
            ("secaction", [actions]) => self.action(directive.line, actions),
            ("secmarker", [marker]) => {
                self.steps.push(Step::Marker(marker.as_str().into()));
                Ok(())
            }
            ("secdefaultaction", [text]) => self.default_action(text),
            ("secruleupdatetargetbyid", [ids, change]) => {
                let (first, last) = actions::range(ids)?;
                self.change_targets(change, |rule| (first..=last).contains(&rule.id))
            }
            ("secruleupdatetargetbytag", [tag, change]) => {
                let pattern = operator::pattern(tag)?;
                self.change_targets(change, |rule| rule.tags.iter().any(|tag| pattern.is_match(tag.as_bytes())))
            }
            ("secruleremovebyid", ids) if !ids.is_empty() => self.remove_by_id(ids),
            ("secruleremovebytag", [tag]) => {
                let pattern = operator::pattern(tag)?;
                self.remove(|rule| rule.tags.iter().any(|tag| pattern.is_match(tag.as_bytes())));
                Ok(())
            }
            ("secruleengine", [mode]) => {
                self.settings.mode = actions::engine_mode(mode)?;
                Ok(())
            }
            ("secrequestbodylimit", [bytes]) => set(&mut self.settings.body_limit, bytes),
            ("secrequestbodyjsondepthlimit", [depth]) => set(&mut self.settings.depth_limit, depth),
            ("secargumentslimit", [_]) => Ok(()),
            (known, _) if WITHOUT_MEANING.binary_search(&known).is_ok() => Ok(()),
            (_, words) => Err(format!("`{}` with {} words is no directive that we know", directive.name, words.len())),
        }
    }

    /// A chain may not go on in the next file.
    pub(super) fn end_of_file(&mut self) -> Result<(), (usize, String)> {
        match self.open.take() {
            Some(Open { rule, line, .. }) => {
                Err((line, format!("the chain of rule `{}` has no end: a `SecRule` must follow", rule.id)))
            }
            None => Ok(()),
        }
    }

    /// The rules by phase.
    pub(super) fn finish(mut self) -> Ruleset {
        let mut phases: [Vec<Step>; 5] = Default::default();
        let mut left_out = Vec::new();
        for step in self.steps {
            match step {
                Step::Rule(rule) if self.left_out.contains_key(&rule.id) => {
                    left_out.extend(self.left_out.remove(&rule.id));
                }
                Step::Rule(rule) => phases[rule.phase as usize - 1].push(Step::Rule(rule)),
                Step::Marker(name) => {
                    for steps in &mut phases {
                        steps.push(Step::Marker(Arc::clone(&name)));
                    }
                }
            }
        }
        let mut ruleset = Ruleset::new(self.settings, phases);
        ruleset.left_out = left_out;
        ruleset
    }

    fn rule(&mut self, line: usize, aims: &str, asked: &str, said: &str) -> Result<(), String> {
        let (targets, excluded) = targets::parse(aims, &['|'])?;
        let (negated, operator) = self.operator(asked)?;
        let (operator, not_done) = match operator {
            Ok(operator) => (operator, only_absent(&targets).then(|| NOTHING_THERE.to_owned())),
            Err(reason) => (Operator::Never, Some(reason)),
        };
        let actions = actions::parse(said)?;
        self.add_link(line, actions, not_done, |actions| Link {
            targets,
            excluded,
            transformations: actions.transformations.clone(),
            multi_match: actions.multi_match,
            operator,
            negated,
            capture: actions.capture,
            variables: actions.variables.clone(),
            controls: actions.controls.clone(),
            plan: LinkPlan::default(),
        })
    }

    fn action(&mut self, line: usize, said: &str) -> Result<(), String> {
        if self.open.is_some() {
            return Err("a `SecAction` cannot be chained to a rule".to_owned());
        }
        self.add_link(line, actions::parse(said)?, None, |actions| Link {
            targets: Vec::new(),
            excluded: Vec::new(),
            transformations: Vec::new(),
            multi_match: false,
            operator: Operator::Always,
            negated: false,
            capture: false,
            variables: actions.variables.clone(),
            controls: actions.controls.clone(),
            plan: LinkPlan::default(),
        })
    }

    /// Adds a link to the open chain, or begins a rule with it; `not_done` says why it cannot be judged, if it cannot.
    fn add_link(
        &mut self,
        line: usize,
        actions: Actions,
        not_done: Option<String>,
        make: impl FnOnce(&Actions) -> Link,
    ) -> Result<(), String> {
        let condition = make(&actions);
        let chained = actions.chain;
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open { rule: self.begin(actions)?, line, not_done: None },
        };
        open.rule.links.push(condition);
        open.not_done = open.not_done.or(not_done);
        if chained {
            self.open = Some(open);
            return Ok(());
        }
        let Open { rule, line, not_done } = open;
        if let Some(reason) = not_done {
            let left = LeftOut { rule: rule.id, file: self.file.to_owned(), line, reason };
            self.left_out.insert(rule.id, left);
        }
        self.steps.push(Step::Rule(Box::new(rule)));
        Ok(())
    }

    fn begin(&self, actions: Actions) -> Result<Rule, String> {
        let id = actions.id.ok_or("the rule has no `id`")?;
        // ModSecurity's own default (reference manual, "SecRule").
        let phase = actions.phase.unwrap_or(Phase::RequestBody);
        if self.rules().any(|rule| rule.id == id) {
            return Err(format!("there is a rule `{id}` already"));
        }
        let default = self.defaults.get(&phase).copied().unwrap_or(Disruption::Pass);
        let disruption = match actions.disruption {
            None | Some(Disruption::Block) => default,
            Some(other) => other,
        };
        Ok(Rule {
            id,
            phase,
            links: Vec::new(),
            message: actions.message,
            log_data: actions.log_data,
            severity: actions.severity,
            tags: actions.tags,
            version: actions.version,
            logged: actions.logged.unwrap_or(true),
            disruption,
            status: actions.status,
            skip_after: actions.skip_after,
            skip: actions.skip,
            plan: RulePlan::default(),
        })
    }

    /// `!@rx …`, `@rx …`, or a bare pattern: whether what it says is turned round, and the operator, or why it is not to be had.
    fn operator(&self, text: &str) -> Result<(bool, Result<Operator, String>), String> {
        let trimmed = text.trim_start();
        let (negated, rest) = trimmed.strip_prefix('!').map_or((false, trimmed), |rest| (true, rest));
        let (name, argument) = match rest.strip_prefix('@') {
            Some(named) => named.split_once(char::is_whitespace).unwrap_or((named, "")),
            None => ("rx", rest),
        };
        let data = |wanted: &str| {
            let base = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
            self.data.iter().find(|source| base(source.name) == base(wanted)).map(|source| source.text.to_vec())
        };
        match operator::compile(name, argument, &data) {
            Ok(operator) => Ok((negated, Ok(operator))),
            Err(OperatorError::NotDone(reason)) => Ok((negated, Err(reason))),
            Err(OperatorError::Wrong(problem)) => Err(problem),
        }
    }

    fn default_action(&mut self, text: &str) -> Result<(), String> {
        let actions = actions::parse(text)?;
        let phase = actions.phase.ok_or("a default action needs a `phase`")?;
        let disruption = actions.disruption.ok_or("a default action needs `pass`, `deny` or another of its kind")?;
        self.defaults.insert(phase, disruption);
        Ok(())
    }

    fn change_targets(&mut self, change: &str, chosen: impl Fn(&Rule) -> bool) -> Result<(), String> {
        let (added, excluded) = targets::parse(change, &[',', '|'])?;
        let extend = |list: &mut Vec<Target>, more: &[Target]| list.extend(more.iter().cloned());
        for step in &mut self.steps {
            if let Step::Rule(rule) = step
                && chosen(rule)
                && let Some(link) = rule.links.first_mut()
            {
                extend(&mut link.targets, &added);
                extend(&mut link.excluded, &excluded);
            }
        }
        Ok(())
    }

    fn remove_by_id(&mut self, ids: &[String]) -> Result<(), String> {
        let ranges =
            ids.iter().flat_map(|ids| ids.split(',')).map(actions::range).collect::<Result<Vec<_>, String>>()?;
        self.remove(|rule| ranges.iter().any(|(first, last)| (*first..=*last).contains(&rule.id)));
        Ok(())
    }

    fn remove(&mut self, chosen: impl Fn(&Rule) -> bool) {
        self.steps.retain(|step| !matches!(step, Step::Rule(rule) if chosen(rule)));
    }

    fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.steps.iter().filter_map(|step| match step {
            Step::Rule(rule) => Some(&**rule),
            Step::Marker(_) => None,
        })
    }
}

/// Why a rule that asks of nothing but what is kept between requests, and the like, is not judged.
const NOTHING_THERE: &str = "what it looks at holds nothing here; bans and rates are the policy's";

/// Whether targets are all of what holds nothing here. Their number is 0, which a rule may well ask.
fn only_absent(targets: &[Target]) -> bool {
    !targets.is_empty() && targets.iter().all(|target| target.collection == Collection::Absent && !target.counted)
}

fn set(setting: &mut usize, text: &str) -> Result<(), String> {
    *setting = text.parse().map_err(|_| format!("`{text}` is no number"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ruleset::RuleError, seclang::load};

    fn rules(text: &str) -> Result<Ruleset, RuleError> {
        load(
            &[Source { name: "test.conf", text: text.as_bytes() }],
            &[Source { name: "words.data", text: b"one\ntwo\n" }],
        )
    }

    #[test]
    fn directives_without_meaning_are_found_by_halving() {
        assert!(WITHOUT_MEANING.is_sorted());
    }

    #[test]
    fn a_chain_is_one_rule() {
        let ruleset =
            rules("SecRule ARGS a \"id:1,phase:1,chain\"\nSecRule ARGS b \"setvar:tx.x=1\"\nSecMarker END").unwrap();

        let steps = ruleset.steps(Phase::RequestHead);
        assert!(matches!(&steps[0], Step::Rule(rule) if rule.links.len() == 2));
        assert!(matches!(&steps[1], Step::Marker(name) if **name == *"END"));
        assert_eq!((ruleset.len(), ruleset.steps(Phase::Logging).len()), (1, 1));
    }

    #[test]
    fn block_means_what_the_default_action_says() {
        let ruleset = rules("SecDefaultAction phase:2,deny\nSecRule ARGS a id:1,phase:2,block").unwrap();

        let Step::Rule(rule) = &ruleset.steps(Phase::RequestBody)[0] else { panic!("no rule") };
        assert_eq!(rule.disruption, Disruption::Deny);
    }

    #[test]
    fn targets_are_changed_afterwards() {
        let text = "SecRule ARGS a id:1,phase:2\nSecRuleUpdateTargetById 1 \"!ARGS:x,REQUEST_COOKIES\"";
        let ruleset = rules(text).unwrap();

        let Step::Rule(rule) = &ruleset.steps(Phase::RequestBody)[0] else { panic!("no rule") };
        assert_eq!((rule.links[0].targets.len(), rule.links[0].excluded.len()), (2, 1));
    }

    /// `contract/vectors/rules/left-out.json`, to which the Console's reader is held as well.
    #[test]
    fn rules_that_cannot_be_judged_are_left_out_one_by_one() {
        let text = include_str!("../../../../contract/vectors/rules/left-out.json");
        let vector: serde_json::Value = serde_json::from_str(text).unwrap();
        let files = vector["files"].as_object().unwrap();
        let sources: Vec<_> =
            files.iter().map(|(name, text)| Source { name, text: text.as_str().unwrap().as_bytes() }).collect();

        let ruleset = load(&sources, &[]).unwrap();

        let told = ruleset.left_out.iter().map(
            |left| serde_json::json!({"rule": left.rule, "file": left.file, "line": left.line, "reason": left.reason}),
        );
        assert_eq!(told.collect::<Vec<_>>(), *vector["leftOut"].as_array().unwrap());
        let phases = [Phase::RequestHead, Phase::RequestBody];
        let judged = phases.into_iter().flat_map(|phase| ruleset.steps(phase)).filter_map(|step| match step {
            Step::Rule(rule) => Some(serde_json::json!(rule.id)),
            Step::Marker(_) => None,
        });
        let mut judged: Vec<_> = judged.collect();
        judged.sort_by_key(serde_json::Value::as_u64);
        assert_eq!(judged, *vector["judged"].as_array().unwrap());
    }

    /// What was removed is not told of, and a rule's mistake is one even beside what cannot be judged.
    #[test]
    fn only_rules_that_are_there_are_left_out() {
        let text = "SecRule ARGS \"@rx (?=a)\" id:1,phase:2\nSecRuleRemoveById 1";
        assert!(rules(text).unwrap().left_out.is_empty());
        assert!(rules("SecRule ARGS \"@rx (?=a)\" id:1,explode").is_err());
        assert!(rules("SecRule ARGS \"@rx [(?=a\" id:1").is_err());
    }

    #[test]
    fn what_is_wrong_is_told_with_file_and_line() {
        for (text, told) in [
            ("\nSecNothing x", "test.conf:2: `SecNothing`"),
            ("SecRule ARGS a phase:1", "test.conf:1: the rule has no `id`"),
            ("SecRule ARGS a \"id:1,chain\"", "test.conf:1: the chain of rule `1`"),
            ("SecRule ARGS \"@pmFromFile nowhere.data\" id:1", "test.conf:1:"),
            ("SecAction id:1\nSecAction id:1", "test.conf:2: there is a rule `1`"),
        ] {
            let error = rules(text).unwrap_err().to_string();
            assert!(error.starts_with(told), "{error}");
        }
        assert_eq!(rules("SecRule ARGS \"@pmFromFile words.data\" id:1").unwrap().len(), 1);
    }
}
