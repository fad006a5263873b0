//! How one event lies in the ring: a tag for its kind, numbers in groups of seven bits (LEB128), texts behind their length.
use std::net::IpAddr;

use serde::{Deserialize, Serialize, de::IntoDeserializer};

use super::{Judged, Recorded};
use crate::{
    ConnectionEvent, DefenderEvent, Event, FileEvent, FileOperation, ListenEvent, LookupEvent, ProcessEvent,
    ProcessFacts, Protocol,
};

/// Bytes of one text, and of all arguments together.
const LONGEST_TEXT: usize = 1024;
const OPERATIONS: [FileOperation; 5] = [
    FileOperation::Create,
    FileOperation::Write,
    FileOperation::Rename,
    FileOperation::Remove,
    FileOperation::Attributes,
];

pub(super) struct Writer<'a>(pub(super) &'a mut Vec<u8>);

impl Writer<'_> {
    fn number(&mut self, number: u64) {
        let mut rest = number;
        while rest >= 0x80 {
            self.0.push((rest as u8) | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }

    fn text(&mut self, text: &str) {
        let text = &text[..text.floor_char_boundary(LONGEST_TEXT)];
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    pub(super) fn recorded(&mut self, time: u64, event: &Event, judged: Option<Judged>) {
        self.number(time);
        match judged {
            None => self.text(""),
            Some(Judged { effect, reason }) => {
                self.text(&name(&reason));
                self.text(&name(&effect));
            }
        }
        match event {
            Event::Process(event) => self.process(event),
            Event::Lookup(event) => {
                self.0.push(b'l');
                self.text(&event.name);
                self.text(&event.record_type);
                self.actor(event.pid, &event.path);
            }
            Event::Connection(event) => {
                self.0.push(b'c');
                self.end(event.protocol, event.address, event.port);
                self.0.push(u8::from(event.resolver));
                self.actor(event.pid, &event.path);
                self.text(event.domain.as_deref().unwrap_or_default());
            }
            Event::Listen(event) => {
                self.0.push(b'b');
                self.end(event.protocol, event.address, event.port);
                self.actor(event.pid, &event.path);
            }
            Event::File(event) => {
                self.0.push(b'f');
                self.0.push(event.operation as u8);
                self.text(&event.file);
                self.number(event.user.into());
                self.actor(event.pid, &event.path);
            }
            Event::Request(event) => {
                self.0.push(b'r');
                self.text(&serde_json::to_string(event).unwrap_or_default());
            }
            Event::Defender(event) => {
                self.0.push(b'd');
                self.text(&name(&event.notice));
                self.text(&event.detail);
                self.number(event.count);
            }
        }
    }

    fn process(&mut self, event: &ProcessEvent) {
        self.0.push(b'p');
        let flags = [event.main, event.interpreted, event.invoked_is_exe, event.invoked == event.path];
        self.0.push(flags.iter().enumerate().map(|(bit, set)| u8::from(*set) << bit).sum());
        if event.invoked != event.path {
            self.text(&event.invoked);
        }
        self.text(event.sha256.as_deref().unwrap_or_default());
        self.number(event.parent_pid.into());
        self.text(&event.parent_path);
        self.number(event.user.into());
        let mut room = LONGEST_TEXT;
        let fit = event.arguments.iter().take_while(|argument| {
            let fits = room > 0;
            room = room.saturating_sub(argument.len() + 1);
            fits
        });
        let fit = fit.count();
        self.number(fit as u64);
        event.arguments.iter().take(fit).for_each(|argument| self.text(argument));
        self.actor(event.pid, &event.path);
    }

    fn end(&mut self, protocol: Protocol, address: IpAddr, port: u16) {
        let protocol = match protocol {
            Protocol::Tcp => 0,
            Protocol::Udp => 1,
            Protocol::Raw => 2,
        };
        self.0.push(protocol | u8::from(address.is_ipv6()) << 2);
        match address {
            IpAddr::V4(address) => self.0.extend(address.octets()),
            IpAddr::V6(address) => self.0.extend(address.octets()),
        }
        self.number(port.into());
    }

    fn actor(&mut self, pid: u32, path: &str) {
        self.number(pid.into());
        self.text(path);
    }
}

pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn number<T: TryFrom<u64>>(&mut self) -> Option<T> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return T::try_from(number).ok();
            }
        }
        None
    }

    fn text(&mut self) -> Option<String> {
        let length: usize = self.number()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    fn named<T: for<'de> Deserialize<'de>>(&mut self) -> Option<T> {
        named(&self.text()?)
    }

    pub(super) fn recorded(&mut self) -> Option<Recorded> {
        let time = self.number()?;
        let reason = self.text()?;
        let judged =
            if reason.is_empty() { None } else { Some(Judged { reason: named(&reason)?, effect: self.named()? }) };
        let event = match self.byte()? {
            b'p' => Event::Process(self.process()?),
            b'l' => {
                let (name, record_type) = (self.text()?, self.text()?);
                Event::Lookup(LookupEvent { name, record_type, pid: self.number()?, path: self.text()? })
            }
            b'c' => {
                let (protocol, address, port) = self.end()?;
                let resolver = self.byte()? != 0;
                let (pid, path) = (self.number()?, self.text()?);
                let domain = Some(self.text()?).filter(|domain| !domain.is_empty());
                Event::Connection(ConnectionEvent { protocol, address, port, pid, path, resolver, domain })
            }
            b'b' => {
                let (protocol, address, port) = self.end()?;
                Event::Listen(ListenEvent { protocol, address, port, pid: self.number()?, path: self.text()? })
            }
            b'f' => {
                let (operation, file, user) = (self.operation()?, self.text()?, self.number()?);
                Event::File(FileEvent { operation, file, user, pid: self.number()?, path: self.text()? })
            }
            b'r' => Event::Request(serde_json::from_str(&self.text()?).ok()?),
            b'd' => {
                Event::Defender(DefenderEvent { notice: self.named()?, detail: self.text()?, count: self.number()? })
            }
            _ => return None,
        };
        Some(Recorded { time, event, judged })
    }

    fn end(&mut self) -> Option<(Protocol, IpAddr, u16)> {
        let flags = self.byte()?;
        let protocol = match flags & 3 {
            0 => Protocol::Tcp,
            1 => Protocol::Udp,
            _ => Protocol::Raw,
        };
        let address = if flags & 4 == 0 { self.octets::<4>()?.into() } else { self.octets::<16>()?.into() };
        Some((protocol, address, self.number()?))
    }

    fn octets<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (octets, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*octets)
    }

    fn operation(&mut self) -> Option<FileOperation> {
        OPERATIONS.get(usize::from(self.byte()?)).copied()
    }

    fn process(&mut self) -> Option<ProcessEvent> {
        let flags = self.byte()?;
        let is = |bit: u8| flags >> bit & 1 == 1;
        let invoked = if is(3) { None } else { Some(self.text()?) };
        let sha256 = Some(self.text()?).filter(|hash| !hash.is_empty());
        let (parent_pid, parent_path, user) = (self.number()?, self.text()?, self.number()?);
        let count: usize = self.number()?;
        let arguments = (0..count).map(|_| self.text()).collect::<Option<Vec<_>>>()?;
        let (pid, path) = (self.number()?, self.text()?);
        Some(ProcessEvent {
            invoked: invoked.unwrap_or_else(|| path.clone()),
            path,
            arguments,
            pid,
            parent_pid,
            parent_path,
            user,
            main: is(0),
            interpreted: is(1),
            invoked_is_exe: is(2),
            sha256,
            facts: ProcessFacts::default(),
        })
    }
}

/// The contract's word for a value of an enumeration.
fn name(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn named<T: for<'de> Deserialize<'de>>(word: &str) -> Option<T> {
    let from: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = word.into_deserializer();
    T::deserialize(from).ok()
}
