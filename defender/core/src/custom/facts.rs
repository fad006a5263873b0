//! What is known of an event, asked field by field.
use std::{cell::OnceCell, net::IpAddr};

use super::tree::{Field, Test, Tree, Value};
use crate::{
    ConnectionEvent, Context, Event, FileOperation, ProcessEvent, address::effective, glob, policy::base_name,
};

/// An event and what is known beyond it.
pub(super) struct Facts<'a> {
    event: &'a Event,
    process: Option<&'a ProcessEvent>,
    names: &'a [String],
    /// Made when the first condition asks for it.
    command_line: OnceCell<String>,
}

/// The texts that a field holds; none when it is unknown.
pub(super) enum Texts<'a> {
    Unknown,
    One(&'a str),
    Two(&'a str, &'a str),
    Many(&'a [String]),
}

impl Texts<'_> {
    /// Whether something holds for one of them.
    pub(super) fn any(&self, mut holds: impl FnMut(&str) -> bool) -> Option<bool> {
        match self {
            Self::Unknown => None,
            Self::One(text) => Some(holds(text)),
            Self::Two(one, other) => Some(holds(one) || holds(other)),
            Self::Many(texts) => Some(texts.iter().any(|text| holds(text))),
        }
    }
}

impl<'a> Facts<'a> {
    pub(super) fn new(event: &'a Event, context: Context<'a>) -> Self {
        let (process, names) = match event {
            Event::Process(process) => (Some(process), &[] as &[_]),
            Event::Lookup(lookup) => (context.process, std::slice::from_ref(&lookup.name)),
            _ => (context.process, context.names),
        };
        Self { event, process, names, command_line: OnceCell::new() }
    }

    /// Whether a condition holds; none when that cannot be known.
    pub(super) fn hold(&self, condition: &Tree) -> Option<bool> {
        match condition {
            Tree::Any(parts) => self.decided(parts, true),
            Tree::All(parts) => self.decided(parts, false),
            Tree::Not(part) => self.hold(part).map(|holds| !holds),
            Tree::Term(field, test) => self.passes(*field, test),
        }
    }

    /// One part that is `deciding` decides; otherwise it is the contrary when all are known.
    fn decided(&self, parts: &[Tree], deciding: bool) -> Option<bool> {
        let mut known = true;
        for part in parts {
            match self.hold(part) {
                Some(holds) if holds == deciding => return Some(deciding),
                Some(_) => {}
                None => known = false,
            }
        }
        known.then_some(!deciding)
    }

    fn passes(&self, field: Field, test: &Test) -> Option<bool> {
        match field {
            Field::PrivateSubnet => self.address().map(is_private),
            Field::Address => self.address().and_then(|address| compare_address(address, test)),
            Field::Port => self.connection().and_then(|connection| compare(u32::from(connection.port), test)),
            Field::User => self.user().and_then(|user| compare(user, test)),
            Field::Arguments => self.texts(field).any(|text| fits(text, test, |text, value| text == value)),
            Field::Ancestors => self.texts(field).any(|text| fits_program(text, test)),
            _ => match test {
                Test::Unequal(value) => self.texts(field).any(|text| is(text, value)).map(|equal| !equal),
                test => self.texts(field).any(|text| fits(text, test, |text, value| text.contains(value))),
            },
        }
    }

    /// The texts of a field; of a program all the names that it surely has.
    pub(super) fn texts(&self, field: Field) -> Texts<'_> {
        match field {
            Field::Name => self.program_names(),
            Field::Path => known(self.program()),
            Field::ParentName => known(self.parent().map(base_name)),
            Field::ParentPath => known(self.parent()),
            Field::CommandLine => known(self.process.map(|process| self.joined(process))),
            Field::Arguments => self.process.map_or(Texts::Unknown, |process| Texts::Many(&process.arguments)),
            Field::Sha256 => known(self.process.and_then(|process| process.sha256.as_deref())),
            Field::Ancestors => match self.process {
                Some(process) if !process.facts.ancestors.is_empty() => Texts::Many(&process.facts.ancestors),
                _ => Texts::Unknown,
            },
            Field::File => known(self.file()),
            Field::Folder => known(
                self.file()
                    .map(|path| path.rsplit_once('/').map_or("", |(folder, _)| folder))
                    .map(|folder| if folder.is_empty() { "/" } else { folder }),
            ),
            Field::Operation => known(self.operation()),
            Field::Domain if self.names.is_empty() => Texts::Unknown,
            Field::Domain => Texts::Many(self.names),
            Field::User | Field::Port | Field::Address | Field::PrivateSubnet => Texts::Unknown,
        }
    }

    fn program(&self) -> Option<&'a str> {
        let path = match (self.process, self.event) {
            (Some(process), _) => process.program(),
            (None, Event::File(file)) => &file.path,
            (None, Event::Connection(connection)) => &connection.path,
            (None, Event::Lookup(lookup)) => &lookup.path,
            (None, _) => "",
        };
        Some(path).filter(|path| !path.is_empty())
    }

    /// The name of the file that runs, and the one that it was called by where that is a link to it.
    fn program_names(&self) -> Texts<'a> {
        match (self.program().map(base_name), self.process) {
            (Some(name), Some(process)) if process.invoked_is_exe => Texts::Two(name, base_name(&process.invoked)),
            (name, _) => known(name),
        }
    }

    fn parent(&self) -> Option<&'a str> {
        self.process.map(|process| process.parent_path.as_str()).filter(|path| !path.is_empty())
    }

    fn joined(&self, process: &ProcessEvent) -> &str {
        self.command_line.get_or_init(|| process.arguments.join(" "))
    }

    fn user(&self) -> Option<u32> {
        match (self.process, self.event) {
            (_, Event::File(file)) => Some(file.user),
            (process, _) => process.map(|process| process.user),
        }
    }

    fn file(&self) -> Option<&'a str> {
        if let Event::File(file) = self.event { Some(&file.file) } else { None }
    }

    fn operation(&self) -> Option<&'static str> {
        let Event::File(file) = self.event else { return None };
        Some(match file.operation {
            FileOperation::Create => "create",
            FileOperation::Write => "write",
            FileOperation::Rename => "rename",
            FileOperation::Remove => "remove",
            FileOperation::Attributes => "attributes",
        })
    }

    fn connection(&self) -> Option<&'a ConnectionEvent> {
        if let Event::Connection(connection) = self.event { Some(connection) } else { None }
    }

    fn address(&self) -> Option<IpAddr> {
        self.connection().map(|connection| effective(connection.address))
    }
}

fn known(text: Option<&str>) -> Texts<'_> {
    text.map_or(Texts::Unknown, Texts::One)
}

fn is(text: &str, value: &Value) -> bool {
    matches!(value, Value::Text(value) if value == text)
}

/// Whether a text passes a test; what `contains` means depends on the field.
fn fits(held: &str, test: &Test, contains: impl Fn(&str, &str) -> bool) -> bool {
    let with = |value: &Value, passes: &dyn Fn(&str) -> bool| matches!(value, Value::Text(value) if passes(value));
    match test {
        Test::Equal(value) => is(held, value),
        Test::In(values) => values.iter().any(|value| is(held, value)),
        Test::Contains(value) => with(value, &|value| contains(held, value)),
        Test::StartsWith(value) => with(value, &|value| held.starts_with(value)),
        Test::EndsWith(value) => with(value, &|value| held.ends_with(value)),
        Test::Matches(value) => with(value, &|value| glob::matches(value, held)),
        _ => false,
    }
}

/// A program is compared by its path where the value has a `/`, otherwise by its name.
fn fits_program(path: &str, test: &Test) -> bool {
    let same = |path: &str, value: &str| if value.contains('/') { path == value } else { base_name(path) == value };
    match test {
        Test::In(values) => values.iter().any(|value| matches!(value, Value::Text(value) if same(path, value))),
        Test::Matches(Value::Text(value)) if !value.contains('/') => glob::matches(value, base_name(path)),
        Test::StartsWith(Value::Text(value)) if !value.contains('/') => base_name(path).starts_with(value.as_str()),
        test => fits(path, test, same),
    }
}

fn compare(number: u32, test: &Test) -> Option<bool> {
    let with = |value: &Value| if let Value::Number(value) = value { Some(number.cmp(value)) } else { None };
    match test {
        Test::Equal(value) => with(value).map(std::cmp::Ordering::is_eq),
        Test::Unequal(value) => with(value).map(std::cmp::Ordering::is_ne),
        Test::Less(value) => with(value).map(std::cmp::Ordering::is_lt),
        Test::Greater(value) => with(value).map(std::cmp::Ordering::is_gt),
        Test::AtMost(value) => with(value).map(std::cmp::Ordering::is_le),
        Test::AtLeast(value) => with(value).map(std::cmp::Ordering::is_ge),
        Test::In(values) => Some(values.iter().any(|value| with(value).is_some_and(std::cmp::Ordering::is_eq))),
        _ => None,
    }
}

fn compare_address(address: IpAddr, test: &Test) -> Option<bool> {
    let within =
        |value: &Value| matches!(value, Value::Addresses(_, first, last) if (*first..=*last).contains(&address));
    match test {
        Test::Equal(value) => Some(within(value)),
        Test::Unequal(value) => Some(!within(value)),
        Test::In(values) => Some(values.iter().any(within)),
        _ => None,
    }
}

/// Addresses that no network outside routes: RFC 1918, RFC 6598 (shared), loopback, link-local, RFC 4193.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let shared = matches!(address.octets(), [100, 64..=127, ..]);
            address.is_private() || shared || address.is_loopback() || address.is_link_local()
        }
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}
