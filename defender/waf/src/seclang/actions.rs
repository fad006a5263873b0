//! The last word of a rule: its actions.

use std::sync::Arc;

use super::targets;
use crate::{
    operator,
    rule::{Change, Chosen, Control, Disruption, EngineMode, Phase, SetVariable, Template},
    transformation::Transformation,
};

/// What the actions of one `SecRule`, `SecAction` or `SecDefaultAction` say.
#[derive(Debug, Clone, Default)]
pub(super) struct Actions {
    pub id: Option<u32>,
    pub phase: Option<Phase>,
    pub disruption: Option<Disruption>,
    pub status: Option<u16>,
    pub transformations: Vec<Transformation>,
    pub multi_match: bool,
    pub capture: bool,
    pub chain: bool,
    pub logged: Option<bool>,
    pub message: Template,
    pub log_data: Template,
    pub severity: Option<u8>,
    pub tags: Vec<Arc<str>>,
    pub version: Option<Arc<str>>,
    pub skip_after: Option<Arc<str>>,
    pub skip: u32,
    pub variables: Vec<SetVariable>,
    pub controls: Vec<Control>,
}

/// Reads `id:1,phase:2,t:none,setvar:'tx.a=1'`.
///
/// # Errors
/// In words, for an action that is not known or an argument that it cannot have.
pub(super) fn parse(text: &str) -> Result<Actions, String> {
    let mut actions = Actions::default();
    for part in split(text) {
        let (name, argument) = part.split_once(':').map_or((part.as_str(), ""), |(name, argument)| (name, argument));
        let argument = unquoted(argument.trim());
        actions.take(&name.trim().to_ascii_lowercase(), argument)?;
    }
    Ok(actions)
}

impl Actions {
    fn take(&mut self, name: &str, argument: &str) -> Result<(), String> {
        if let Some(disruption) = disruption(name, argument) {
            self.disruption = Some(disruption);
            return Ok(());
        }
        match name {
            "id" => self.id = Some(number(name, argument)?),
            "phase" => self.phase = Some(phase(argument)?),
            "status" => self.status = Some(number(name, argument)?),
            "t" if argument.eq_ignore_ascii_case("none") => self.transformations.clear(),
            "t" => self.transformations.push(
                Transformation::named(argument)
                    .ok_or_else(|| format!("`t:{argument}` is no transformation that we know"))?,
            ),
            "multimatch" => self.multi_match = true,
            "capture" => self.capture = true,
            "chain" => self.chain = true,
            "log" => self.logged = Some(true),
            "nolog" => self.logged = Some(false),
            "msg" => self.message = Template::parse(argument)?,
            "logdata" => self.log_data = Template::parse(argument)?,
            "severity" => self.severity = Some(severity(argument)?),
            "tag" => self.tags.push(argument.into()),
            "ver" => self.version = Some(argument.into()),
            "skipafter" => self.skip_after = Some(argument.into()),
            "skip" => self.skip = number(name, argument)?,
            "setvar" => self.variables.push(set_variable(argument)?),
            "ctl" => self.controls.push(control(argument)?),
            // What ModSecurity logs where, and collections that outlive a request: neither exists here.
            "auditlog"
            | "noauditlog"
            | "rev"
            | "maturity"
            | "accuracy"
            | "initcol"
            | "deprecatevar"
            | "expirevar"
            | "setsid"
            | "setuid"
            | "setrsc"
            | "sanitisearg"
            | "sanitisematched"
            | "sanitiserequestheader"
            | "sanitiseresponseheader" => {}
            _ => return Err(format!("`{name}` is no action that we know")),
        }
        Ok(())
    }
}

fn disruption(name: &str, argument: &str) -> Option<Disruption> {
    Some(match (name, argument) {
        ("pass", _) => Disruption::Pass,
        ("block", _) => Disruption::Block,
        ("deny" | "drop" | "redirect", _) => Disruption::Deny,
        ("allow", "phase") => Disruption::AllowPhase,
        ("allow", "request") => Disruption::AllowRequest,
        ("allow", _) => Disruption::Allow,
        _ => return None,
    })
}

fn number<N: std::str::FromStr>(name: &str, argument: &str) -> Result<N, String> {
    argument.parse().map_err(|_| format!("`{name}:{argument}` is no number that fits"))
}

fn phase(argument: &str) -> Result<Phase, String> {
    Ok(match argument.to_ascii_lowercase().as_str() {
        "1" => Phase::RequestHead,
        "2" | "request" => Phase::RequestBody,
        "3" => Phase::ResponseHead,
        "4" | "response" => Phase::ResponseBody,
        "5" | "logging" => Phase::Logging,
        _ => return Err(format!("`phase:{argument}` is none of 1 to 5")),
    })
}

fn severity(argument: &str) -> Result<u8, String> {
    const NAMES: [&str; 8] = ["EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"];
    let named = NAMES.iter().position(|name| name.eq_ignore_ascii_case(argument)).map(|index| index as u8);
    named
        .or_else(|| argument.parse().ok().filter(|level| *level < 8))
        .ok_or_else(|| format!("`severity:{argument}` is none of {}", NAMES.join(", ")))
}

/// `tx.name=value`, `tx.name=+1`, `tx.name=-1`, `!tx.name`, `tx.name` (which is 1).
fn set_variable(argument: &str) -> Result<SetVariable, String> {
    let (removed, argument) = argument.strip_prefix('!').map_or((false, argument), |rest| (true, rest));
    let (name, value) = argument.split_once('=').map_or((argument, None), |(name, value)| (name, Some(value)));
    let (collection, key) = name.trim().split_once(['.', ':']).unwrap_or(("tx", name));
    if !collection.eq_ignore_ascii_case("tx") {
        // Collections that outlive a request are off in the Core Rule Set; what is set there is never read.
        return Ok(SetVariable { name: Template::default(), change: Change::Remove, slot: None });
    }
    let change = match (removed, value) {
        (true, _) => Change::Remove,
        (false, None) => Change::Set(Template::parse("1")?),
        (false, Some(value)) => match value.split_at_checked(1) {
            Some(("+", rest)) => Change::Add(Template::parse(rest)?),
            Some(("-", rest)) => Change::Subtract(Template::parse(rest)?),
            _ => Change::Set(Template::parse(value)?),
        },
    };
    Ok(SetVariable { name: Template::parse(key)?, change, slot: None })
}

/// `ctl:name=value`.
fn control(argument: &str) -> Result<Control, String> {
    let (name, value) = argument.split_once('=').ok_or_else(|| format!("`ctl:{argument}` has no `=`"))?;
    Ok(match name.trim().to_ascii_lowercase().as_str() {
        "ruleremovebyid" => {
            let (first, last) = range(value)?;
            Control::Remove(Chosen::Ids(first, last))
        }
        "ruleremovebytag" => Control::Remove(Chosen::Tag(Box::new(operator::pattern(value)?))),
        "ruleremovetargetbyid" => {
            let (ids, target) = aimed(value)?;
            let (first, last) = range(ids)?;
            Control::RemoveTarget(Chosen::Ids(first, last), targets::target(target)?)
        }
        "ruleremovetargetbytag" => {
            let (tag, target) = aimed(value)?;
            Control::RemoveTarget(Chosen::Tag(Box::new(operator::pattern(tag)?)), targets::target(target)?)
        }
        "forcerequestbodyvariable" => Control::ForceRequestBody(value.eq_ignore_ascii_case("on")),
        "requestbodyprocessor" => Control::BodyProcessor(value.to_ascii_uppercase().into()),
        "ruleengine" => Control::Engine(engine_mode(value)?),
        "auditengine" | "auditlogparts" | "debugloglevel" | "requestbodyaccess" | "responsebodyaccess" => {
            Control::Ignored
        }
        _ => return Err(format!("`ctl:{name}` is no control that we know")),
    })
}

fn aimed(value: &str) -> Result<(&str, &str), String> {
    value.split_once(';').ok_or_else(|| format!("`{value}` has no `;` between rule and target"))
}

/// `n` or `n-m`.
///
/// # Errors
/// In words, for anything else.
pub(super) fn range(text: &str) -> Result<(u32, u32), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Ok((number("id", first.trim())?, number("id", last.trim())?))
}

/// `On`, `Off`, `DetectionOnly`.
///
/// # Errors
/// In words, for anything else.
pub(super) fn engine_mode(text: &str) -> Result<EngineMode, String> {
    Ok(match text.to_ascii_lowercase().as_str() {
        "on" => EngineMode::On,
        "off" => EngineMode::Off,
        "detectiononly" => EngineMode::DetectionOnly,
        _ => return Err(format!("`{text}` is none of On, Off, DetectionOnly")),
    })
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).unwrap_or(text)
}

/// Splits at commas outside single quotes; `\'` is no quote.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut before) = (false, ' ');
    for character in text.chars() {
        if character == '\'' && before != '\\' {
            quoted = !quoted;
        }
        if character == ',' && !quoted {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(character);
        }
        before = character;
    }
    parts.iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_quotes_keep_their_commas() {
        let actions = parse("id:1,phase:2,block,msg:'a, b',tag:'x',tag:'y',severity:'CRITICAL',nolog").unwrap();

        assert_eq!((actions.id, actions.severity, actions.logged), (Some(1), Some(2), Some(false)));
        assert_eq!(actions.message, Template::parse("a, b").unwrap());
        assert_eq!(actions.tags.len(), 2);
        assert_eq!(actions.disruption, Some(Disruption::Block));
    }

    #[test]
    fn variables_are_set_added_to_and_removed() {
        let actions = parse("setvar:'tx.a=%{tx.0}',setvar:tx.score=+%{tx.critical},setvar:!tx.b,setvar:tx.c").unwrap();

        let changes: Vec<_> = actions.variables.iter().map(|set| std::mem::discriminant(&set.change)).collect();
        let expected = [Change::Set(Template::default()), Change::Add(Template::default()), Change::Remove];
        assert_eq!(changes[..3], expected.each_ref().map(std::mem::discriminant));
        assert_eq!(actions.variables[3].change, Change::Set(Template::parse("1").unwrap()));
    }

    #[test]
    fn what_is_not_known_is_named() {
        assert!(parse("id:1,explode").unwrap_err().contains("`explode`"));
        assert!(parse("id:x").unwrap_err().contains("`id:x`"));
        assert!(parse("t:rot13").unwrap_err().contains("rot13"));
    }
}
