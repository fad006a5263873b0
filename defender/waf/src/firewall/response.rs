//! What is changed in a response's head: what tells attackers of the software is taken away, what protects browsers is added.

use super::{PolicyError, ResponseHead, reading::At};

/// Fields that tell which software answers, and the beginnings of further ones.
const FINGERPRINTS: [&str; 9] = [
    "server",
    "x-powered-by",
    "x-runtime",
    "x-version",
    "x-generator",
    "x-drupal-",
    "x-aspnet",
    "x-powered-cms",
    "microsoftsharepointteamservices",
];

/// What is changed in a response's head.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseChanges {
    /// `csrfEnabled`: cookies do not come from other sites.
    csrf: bool,
    /// `clickjackingEnabled`: other sites do not frame it.
    clickjacking: bool,
    /// `intelGathering.removeFingerprintsEnabled`.
    fingerprints: bool,
    added: Vec<Addition>,
    /// `tlsConfig.HSTSConfig`: the whole value of `Strict-Transport-Security`.
    transport_security: Option<String>,
}

/// A header field that is added or set (`responseHeaderSpecs`).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Addition {
    name: String,
    values: Vec<String>,
    replaces: bool,
}

impl ResponseChanges {
    pub(super) fn read(at: &At<'_>) -> Result<Self, PolicyError> {
        let intelligence = at.field("intelGathering")?;
        let tls = at.field("tlsConfig")?;
        Ok(Self {
            csrf: at.field("csrfEnabled")?.flag()?,
            clickjacking: at.field("clickjackingEnabled")?.flag()?,
            fingerprints: intelligence.field("removeFingerprintsEnabled")?.flag()?,
            added: at.field("responseHeaderSpecs")?.list(|item| Addition::read(&item))?,
            transport_security: transport_security(&tls.field("HSTSConfig")?)?,
        })
    }

    /// Changes a response's head. `secure`: over TLS, where alone a browser believes `Strict-Transport-Security`
    /// (RFC 6797, section 7.2).
    pub fn apply(&self, head: &mut ResponseHead, secure: bool) {
        if self.fingerprints {
            head.headers.retain(|(name, _)| !is_fingerprint(name));
        }
        if self.csrf {
            for (_, value) in head.headers.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case(b"set-cookie")) {
                *value = same_site_strict(value);
            }
        }
        if self.clickjacking {
            // What the application says is kept where it is stricter.
            let denies = head.headers.iter().any(|(name, value)| {
                name.eq_ignore_ascii_case(b"x-frame-options") && value.trim_ascii().eq_ignore_ascii_case(b"deny")
            });
            set(head, "X-Frame-Options", if denies { "DENY" } else { "SAMEORIGIN" });
        }
        if let Some(value) = self.transport_security.as_ref().filter(|_| secure) {
            set(head, "Strict-Transport-Security", value);
        }
        for addition in &self.added {
            if addition.replaces {
                head.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(addition.name.as_bytes()));
            }
            let fields = addition.values.iter().map(|value| (addition.name.clone().into(), value.clone().into()));
            head.headers.extend(fields);
        }
    }
}

impl Addition {
    fn read(at: &At<'_>) -> Result<Self, PolicyError> {
        let name = at.field("name")?;
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.text()?.is_empty() || !name.text()?.bytes().all(is_token) {
            return Err(name.wrong("is no name of a header field"));
        }
        let framing = ["content-length", "transfer-encoding", "connection", "upgrade"];
        if framing.contains(&name.text()?.to_ascii_lowercase().as_str()) {
            return Err(name.wrong("says where a response ends, which only who sends it can"));
        }
        let values = at.field("values")?.list(|item| {
            let text = item.text()?;
            if text.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f) {
                return Err(item.wrong("has a control character"));
            }
            Ok(text.to_owned())
        })?;
        Ok(Self { name: name.text()?.to_owned(), values, replaces: at.field("override")?.flag()? })
    }
}

/// The value of `Strict-Transport-Security`. Source: RFC 6797, section 6.1.
fn transport_security(at: &At<'_>) -> Result<Option<String>, PolicyError> {
    if !at.field("enabled")?.flag()? {
        return Ok(None);
    }
    let age = at.field("maxAgeSeconds")?.number(1 << 40)?.unwrap_or(31_536_000);
    let domains = if at.field("includeSubdomains")?.flag()? { "; includeSubDomains" } else { "" };
    let preload = if at.field("preload")?.flag()? { "; preload" } else { "" };
    Ok(Some(format!("max-age={age}{domains}{preload}")))
}

fn is_fingerprint(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    FINGERPRINTS.iter().any(|known| {
        if known.ends_with('-') || *known == "x-aspnet" {
            name.starts_with(known.as_bytes())
        } else {
            name == known.as_bytes()
        }
    })
}

/// A cookie that browsers send to its own site only, whatever it said before. Source: RFC 6265bis, section 4.1.2.7.
fn same_site_strict(cookie: &[u8]) -> Vec<u8> {
    let is_same_site = |part: &[u8]| {
        let name = part.split(|byte| *byte == b'=').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"samesite")
    };
    let mut parts = cookie.split(|byte| *byte == b';');
    let mut kept = vec![parts.next().unwrap_or_default()];
    kept.extend(parts.filter(|part| !is_same_site(part)));
    kept.push(b" SameSite=Strict");
    kept.join(&b';')
}

fn set(head: &mut ResponseHead, name: &str, value: &str) {
    head.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name.as_bytes()));
    head.headers.push((name.into(), value.into()));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn changed(changes: &Value, secure: bool, fields: &[(&str, &str)]) -> Vec<String> {
        let changes = ResponseChanges::read(&At::root(changes)).unwrap();
        let headers = fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let mut head = ResponseHead { status: 200, headers };
        changes.apply(&mut head, secure);
        let line = |(name, value): &(Vec<u8>, Vec<u8>)| {
            format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value))
        };
        head.headers.iter().map(line).collect()
    }

    /// No field that names the software leaves.
    #[test]
    fn fingerprints_are_removed() {
        let changes = json!({"intelGathering": {"removeFingerprintsEnabled": true}});
        let fields =
            [("SERVER", "nginx/1.2"), ("X-Powered-By", "PHP"), ("X-AspNetMvc-Version", "5"), ("Server-Timing", "x")];
        assert_eq!(changed(&changes, false, &fields), ["Server-Timing: x"]);
    }

    /// Every cookie is for its own site only, also one that asked for more.
    #[test]
    fn cookies_stay_on_their_site() {
        let fields = [("Set-Cookie", "a=SameSite; Path=/; samesite = None; Secure"), ("set-cookie", "b=1")];
        assert_eq!(
            changed(&json!({"csrfEnabled": true}), false, &fields),
            ["Set-Cookie: a=SameSite; Path=/; Secure; SameSite=Strict", "set-cookie: b=1; SameSite=Strict"]
        );
    }

    /// Frames of other sites are refused; what is stricter stays.
    #[test]
    fn frames_are_refused() {
        let changes = json!({"clickjackingEnabled": true});
        assert_eq!(changed(&changes, false, &[("x-frame-options", "ALLOWALL")]), ["X-Frame-Options: SAMEORIGIN"]);
        assert_eq!(changed(&changes, false, &[("x-frame-options", "Deny")]), ["X-Frame-Options: DENY"]);
    }

    /// Fields are added or set; transport security is promised over TLS only.
    #[test]
    fn fields_are_added() {
        let changes = json!({"responseHeaderSpecs": [
            {"name": "X-A", "values": ["1", "2"], "override": true}, {"name": "X-B", "values": ["3"]}],
            "tlsConfig": {"HSTSConfig": {"enabled": true, "maxAgeSeconds": 60, "includeSubdomains": true, "preload": true}}});
        let fields = [("x-a", "0"), ("x-b", "0")];
        assert_eq!(changed(&changes, false, &fields), ["x-b: 0", "X-A: 1", "X-A: 2", "X-B: 3"]);
        let secure = changed(&changes, true, &[]);
        assert_eq!(secure[0], "Strict-Transport-Security: max-age=60; includeSubDomains; preload");
    }

    /// A field that would split or cut the response is refused.
    #[test]
    fn fields_cannot_split_the_response() {
        let error = |value: Value| ResponseChanges::read(&At::root(&value)).unwrap_err().to_string();
        let splitting = json!({"responseHeaderSpecs": [{"name": "X-A", "values": ["1\r\nSet-Cookie: a=b"]}]});
        assert_eq!(error(splitting), "`responseHeaderSpecs[0].values[0]` has a control character");
        assert!(error(json!({"responseHeaderSpecs": [{"name": "Content-Length", "values": ["0"]}]})).contains("ends"));
        assert!(error(json!({"responseHeaderSpecs": [{"name": "a b"}]})).contains("no name"));
    }
}
