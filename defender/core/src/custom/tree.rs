//! Conditions as trees, and the one form in which they are printed.
use std::{
    fmt::{self, Display, Formatter},
    net::IpAddr,
};

use crate::CustomKind;

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tree {
    /// At least two, one of which must hold.
    Any(Vec<Tree>),
    /// At least two, all of which must hold.
    All(Vec<Tree>),
    /// What must not hold.
    Not(Box<Tree>),
    /// A test of one field.
    Term(Field, Test),
}

/// What is asked of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    /// A flag is set.
    Holds,
    Equal(Value),
    Unequal(Value),
    Less(Value),
    Greater(Value),
    AtMost(Value),
    AtLeast(Value),
    Contains(Value),
    StartsWith(Value),
    EndsWith(Value),
    /// A glob.
    Matches(Value),
    In(Vec<Value>),
}

/// What a field is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(u32),
    /// A range of addresses as it was written, with its ends.
    Addresses(String, IpAddr, IpAddr),
}

/// What a condition may speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Field {
    Name,
    ParentName,
    Path,
    ParentPath,
    User,
    CommandLine,
    Arguments,
    Sha256,
    Ancestors,
    File,
    Folder,
    Operation,
    Port,
    Address,
    PrivateSubnet,
    Domain,
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// One of a few words.
    Word(&'static [&'static str]),
    /// A SHA-256.
    Digest,
    /// Texts; of programs those without `/` are compared with names.
    List,
    Number,
    Addresses,
    Flag,
}

/// Operations on files, as they travel.
pub(super) const OPERATIONS: [&str; 5] = ["create", "write", "rename", "remove", "attributes"];

impl Field {
    pub(super) const ALL: [(&'static str, Self); 16] = [
        ("proc.name", Self::Name),
        ("proc.pname", Self::ParentName),
        ("proc.path", Self::Path),
        ("proc.ppath", Self::ParentPath),
        ("proc.user", Self::User),
        ("proc.cmdline", Self::CommandLine),
        ("proc.args", Self::Arguments),
        ("proc.sha256", Self::Sha256),
        ("proc.ancestors", Self::Ancestors),
        ("file.path", Self::File),
        ("file.dir", Self::Folder),
        ("file.operation", Self::Operation),
        ("net.outgoing_port", Self::Port),
        ("net.outgoing_ip", Self::Address),
        ("net.private_subnet", Self::PrivateSubnet),
        ("net.domain", Self::Domain),
    ];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|&(_, field)| field)
    }

    pub(super) fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, field)| *field == self).map_or("", |&(name, _)| name)
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::User | Self::Port => Kind::Number,
            Self::Arguments | Self::Ancestors => Kind::List,
            Self::Sha256 => Kind::Digest,
            Self::Operation => Kind::Word(&OPERATIONS),
            Self::Address => Kind::Addresses,
            Self::PrivateSubnet => Kind::Flag,
            _ => Kind::Text,
        }
    }

    /// True when rules of a kind may speak of it.
    pub(super) fn fits(self, kind: CustomKind) -> bool {
        match self {
            // Contents are hashed when a program starts, not when it writes or connects.
            Self::Sha256 => kind == CustomKind::Processes,
            Self::File | Self::Folder | Self::Operation => kind == CustomKind::Filesystem,
            Self::Port | Self::Address | Self::PrivateSubnet | Self::Domain => kind == CustomKind::NetworkOutgoing,
            _ => true,
        }
    }

    /// True for fields that tell many rules apart when they are equal to one text.
    pub(super) fn is_guard(self) -> bool {
        use Field::{Domain, File, Folder, Name, ParentName, ParentPath, Path};
        matches!(self, Name | ParentName | Path | ParentPath | File | Folder | Domain)
    }
}

impl Tree {
    /// Printed as a part of something that binds as `All` does or closer.
    fn closed(&self) -> impl Display {
        let parted = matches!(self, Self::Any(_) | Self::All(_));
        fmt::from_fn(move |out| if parted { write!(out, "({self})") } else { write!(out, "{self}") })
    }
}

impl Display for Tree {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any(parts) => join(out, parts, " or ", |part| match part {
                Self::All(_) => part.to_string(),
                _ => part.closed().to_string(),
            }),
            Self::All(parts) => join(out, parts, " and ", |part| part.closed().to_string()),
            Self::Not(part) => write!(out, "not {}", part.closed()),
            Self::Term(field, test) => write!(out, "{}{test}", field.name()),
        }
    }
}

impl Display for Test {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (operator, value) = match self {
            Self::Holds => return Ok(()),
            Self::Equal(value) => ("=", value),
            Self::Unequal(value) => ("!=", value),
            Self::Less(value) => ("<", value),
            Self::Greater(value) => (">", value),
            Self::AtMost(value) => ("<=", value),
            Self::AtLeast(value) => (">=", value),
            Self::Contains(value) => ("contains", value),
            Self::StartsWith(value) => ("startswith", value),
            Self::EndsWith(value) => ("endswith", value),
            Self::Matches(value) => ("matches", value),
            Self::In(values) => {
                write!(out, " in (")?;
                join(out, values, ", ", Value::to_string)?;
                return write!(out, ")");
            }
        };
        write!(out, " {operator} {value}")
    }
}

impl Display for Value {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Number(number) => return write!(out, "{number}"),
            Self::Text(text) | Self::Addresses(text, ..) => text,
        };
        let escaped = |letter| match letter {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\n' => "\\n".to_owned(),
            '\t' => "\\t".to_owned(),
            letter => String::from(letter),
        };
        write!(out, "\"{}\"", text.chars().map(escaped).collect::<String>())
    }
}

fn join<T>(out: &mut Formatter<'_>, parts: &[T], between: &str, print: impl Fn(&T) -> String) -> fmt::Result {
    out.write_str(&parts.iter().map(print).collect::<Vec<_>>().join(between))
}
