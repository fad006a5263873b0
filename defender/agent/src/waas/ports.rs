//! Which ports are listened on: those of the environment from the first moment, those of a policy when it comes.

use std::str::FromStr;

use thiserror::Error;

/// Ports that may be listened on.
const MOST_PORTS: usize = 64;

/// A port that clients reach, and the one on which the application listens on loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Port {
    /// Where clients connect.
    pub exposed: u16,
    /// Where the application listens.
    pub internal: u16,
}

/// Ports of `DEFENDER_WAAS_PORTS`: `80:8080,443:8443`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ports(pub Vec<Port>);

/// Why ports cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadPorts {
    /// Not `EXPOSED:APP`.
    #[error("`{0}` is not `EXPOSED:APP`, two port numbers from 1 to 65535")]
    Form(String),
    /// Both are the same: two programs cannot listen on one.
    #[error("port {0} cannot be the application's as well: it has to listen on another one")]
    Same(u16),
    /// Named twice.
    #[error("port {0} is named twice")]
    Twice(u16),
    /// More than 64.
    #[error("it names more than 64 ports")]
    Many,
}

impl FromStr for Ports {
    type Err = BadPorts;

    fn from_str(text: &str) -> Result<Self, BadPorts> {
        let mut ports: Vec<Port> = Vec::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let port = parse(pair).ok_or_else(|| BadPorts::Form(pair.chars().take(64).collect()))?;
            if port.exposed == port.internal {
                return Err(BadPorts::Same(port.exposed));
            }
            if ports.iter().any(|other| other.exposed == port.exposed) {
                return Err(BadPorts::Twice(port.exposed));
            }
            ports.push(port);
        }
        if ports.len() > MOST_PORTS { Err(BadPorts::Many) } else { Ok(Self(ports)) }
    }
}

fn parse(pair: &str) -> Option<Port> {
    let (exposed, internal) = pair.split_once(':')?;
    let number = |text: &str| {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|number| digits && *number > 0)
    };
    Some(Port { exposed: number(exposed.trim())?, internal: number(internal.trim())? })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs are read, and what is none says why.
    #[test]
    fn pairs_are_read() {
        let ports: Ports = "80:8080, 443:8443,".parse().unwrap();
        assert_eq!(ports.0, [Port { exposed: 80, internal: 8080 }, Port { exposed: 443, internal: 8443 }]);
        for (text, error) in [
            ("80", BadPorts::Form("80".into())),
            ("80:+81", BadPorts::Form("80:+81".into())),
            ("0:81", BadPorts::Form("0:81".into())),
            ("80:65536", BadPorts::Form("80:65536".into())),
            ("80:80", BadPorts::Same(80)),
            ("80:81,80:82", BadPorts::Twice(80)),
        ] {
            assert_eq!(text.parse::<Ports>(), Err(error), "{text}");
        }
    }
}
