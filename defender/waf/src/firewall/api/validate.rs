//! A value held against a schema.

use std::collections::HashSet;

use super::{
    json::Json,
    schema::{Part, Schema, Span},
};

/// Why a value is not as its schema has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mismatch {
    /// Where in the value, as a JSON pointer; empty for the whole.
    pub(crate) place: String,
    /// What is wrong.
    pub(crate) problem: String,
}

/// How many parts of a schema are held against parts of a value before it is given up: schemas can ask for the same in so
/// many ways that nobody could afford to look.
const STEPS: u32 = 1_000_000;
/// How deep one may lead to the next; deeper than JSON is read, so only references that lead back to themselves get there.
const DEEPEST: usize = 512;

impl Schema {
    /// Holds a value against the schema. Costs at most [`STEPS`] parts.
    ///
    /// # Errors
    /// The first [`Mismatch`], or that it would cost too much to know.
    pub(crate) fn check(&self, value: &Json) -> Result<(), Mismatch> {
        Checker { schema: self, steps: STEPS, place: Vec::new() }.check(0, value, 0)
    }
}

struct Checker<'s> {
    schema: &'s Schema,
    steps: u32,
    place: Vec<String>,
}

impl Checker<'_> {
    fn check(&mut self, at: usize, value: &Json, depth: usize) -> Result<(), Mismatch> {
        let schema = self.schema;
        let Some(part) = schema.parts.get(at).filter(|part| !part.never) else {
            return Err(self.wrong("nothing is allowed here"));
        };
        self.steps = self.steps.saturating_sub(1);
        if self.steps == 0 || depth > DEEPEST {
            return Err(self.wrong("it cannot be held against the schema within reasonable time"));
        }
        self.kind(part, value)?;
        match value {
            Json::Text(text) => self.text(part, text)?,
            Json::Integer(_) | Json::Number(_) => self.number(part, value.number().unwrap_or_default())?,
            Json::Array(items) => self.array(part, items, depth)?,
            Json::Object(members) => self.object(part, members, depth)?,
            Json::Null | Json::Bool(_) => {}
        }
        self.combined(part, value, depth)
    }

    fn kind(&self, part: &Part, value: &Json) -> Result<(), Mismatch> {
        let kind = value.kind();
        let fits = |wanted: &String| wanted == kind || (wanted == "number" && kind == "integer");
        if !part.kinds.is_empty() && !part.kinds.iter().any(fits) {
            return Err(self.wrong(&format!("it is of type {kind}, not {}", part.kinds.join(" or "))));
        }
        match &part.one_of_values {
            Some(values) if !values.iter().any(|wanted| wanted.is(value)) => {
                Err(self.wrong("it is none of the values that are allowed"))
            }
            _ => Ok(()),
        }
    }

    fn text(&self, part: &Part, text: &str) -> Result<(), Mismatch> {
        if part.length.least.is_some() || part.length.most.is_some() {
            self.span(part.length, text.chars().count(), "characters")?;
        }
        if let Some((source, regex)) = &part.pattern
            && !regex.is_match(text.as_bytes())
        {
            return Err(self.wrong(&format!("it does not match `{source}`")));
        }
        match part.format {
            Some(format) if !format.holds(text) => Err(self.wrong(&format!("it is no {}", format.name()))),
            _ => Ok(()),
        }
    }

    fn number(&self, part: &Part, number: f64) -> Result<(), Mismatch> {
        let beyond = |limit: Option<f64>, is: fn(f64, f64) -> bool| limit.filter(|limit| is(number, *limit));
        if let Some(limit) = beyond(part.least, |number, limit| number < limit) {
            return Err(self.wrong(&format!("it is less than {limit}")));
        }
        if let Some(limit) = beyond(part.most, |number, limit| number > limit) {
            return Err(self.wrong(&format!("it is more than {limit}")));
        }
        if let Some(limit) = beyond(part.above, |number, limit| number <= limit) {
            return Err(self.wrong(&format!("it is not more than {limit}")));
        }
        if let Some(limit) = beyond(part.below, |number, limit| number >= limit) {
            return Err(self.wrong(&format!("it is not less than {limit}")));
        }
        // Doubles that write decimals are seldom exact multiples of one another.
        let off = |step: f64| ((number / step) - (number / step).round()).abs() > 1e-9;
        match part.step.filter(|step| off(*step)) {
            Some(step) => Err(self.wrong(&format!("it is no multiple of {step}"))),
            None => Ok(()),
        }
    }

    fn array(&mut self, part: &Part, items: &[Json], depth: usize) -> Result<(), Mismatch> {
        self.span(part.items_span, items.len(), "items")?;
        if part.unique {
            let mut seen = HashSet::new();
            if !items.iter().all(|item| seen.insert(canonical(item))) {
                return Err(self.wrong("two of its items are equal"));
            }
        }
        let Some(schema) = part.items else { return Ok(()) };
        for (index, item) in items.iter().enumerate() {
            self.place.push(index.to_string());
            self.check(schema, item, depth + 1)?;
            self.place.pop();
        }
        Ok(())
    }

    fn object(&mut self, part: &Part, members: &[(String, Json)], depth: usize) -> Result<(), Mismatch> {
        self.span(part.members_span, members.len(), "members")?;
        if !part.required.is_empty() {
            let names: HashSet<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
            if let Some(name) = part.required.iter().find(|name| !names.contains(name.as_str())) {
                return Err(self.wrong(&format!("`{name}` is missing")));
            }
        }
        for (name, value) in members {
            let Some(schema) = part.members.get(name).copied().or(part.other_members) else { continue };
            self.place.push(name.clone());
            if self.schema.parts[schema].never {
                return Err(self.wrong("there must be no such member"));
            }
            self.check(schema, value, depth + 1)?;
            self.place.pop();
        }
        Ok(())
    }

    /// What is asked by further schemas of the same value.
    fn combined(&mut self, part: &Part, value: &Json, depth: usize) -> Result<(), Mismatch> {
        for schema in &part.all {
            self.check(*schema, value, depth + 1)?;
        }
        if !part.any.is_empty() && self.fitting(&part.any, value, depth, 1) == 0 {
            return Err(self.wrong("it is as none of the schemas of `anyOf` has it"));
        }
        if !part.one.is_empty() {
            match self.fitting(&part.one, value, depth, 2) {
                1 => {}
                0 => return Err(self.wrong("it is as none of the schemas of `oneOf` has it")),
                _ => return Err(self.wrong("it is as more than one of the schemas of `oneOf` has it")),
            }
        }
        match part.not {
            Some(schema) if self.fitting(&[schema], value, depth, 1) == 1 => {
                Err(self.wrong("it is as the schema of `not` has it"))
            }
            // What was given up on fits nothing, and must not pass for that.
            _ if self.steps == 0 => Err(self.wrong("it cannot be held against the schema within reasonable time")),
            _ => Ok(()),
        }
    }

    /// How many of the schemas a value is as, counted up to `enough`.
    fn fitting(&mut self, schemas: &[usize], value: &Json, depth: usize, enough: usize) -> usize {
        let place = self.place.len();
        let mut found = 0;
        for schema in schemas {
            found += usize::from(self.check(*schema, value, depth + 1).is_ok());
            self.place.truncate(place);
            if found == enough {
                break;
            }
        }
        found
    }

    fn span(&self, span: Span, count: usize, what: &str) -> Result<(), Mismatch> {
        let count = count as u64;
        if let Some(least) = span.least.filter(|least| count < *least) {
            return Err(self.wrong(&format!("it has {count} {what}, fewer than {least}")));
        }
        match span.most.filter(|most| count > *most) {
            Some(most) => Err(self.wrong(&format!("it has {count} {what}, more than {most}"))),
            None => Ok(()),
        }
    }

    fn wrong(&self, problem: &str) -> Mismatch {
        let escaped = |name: &String| format!("/{}", name.replace('~', "~0").replace('/', "~1"));
        Mismatch { place: self.place.iter().map(escaped).collect(), problem: problem.to_owned() }
    }
}

/// A text that equal values have in common.
fn canonical(value: &Json) -> String {
    match value {
        Json::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Json::Object(members) => {
            let mut members: Vec<_> =
                members.iter().map(|(name, value)| format!("{name:?}:{}", canonical(value))).collect();
            members.sort_unstable();
            format!("{{{}}}", members.join(","))
        }
        Json::Text(text) => format!("{text:?}"),
        Json::Integer(_) | Json::Number(_) => format!("{}", value.number().unwrap_or_default()),
        Json::Null => "null".to_owned(),
        Json::Bool(value) => value.to_string(),
    }
}
