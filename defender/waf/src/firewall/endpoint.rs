//! Where an application is reached, and whether a request came there.

use super::{Client, PolicyError, pattern::Wildcard, reading::At};
use crate::http::{Head, percent_decoded};

/// Where an application is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The host that is asked for, `*` for any part; with or without a port.
    pub host: String,
    /// The path, `*` for any part.
    pub base_path: String,
    /// The port on which the firewall accepts connections; 0 for whichever.
    pub exposed_port: u16,
    /// The port on which the application does.
    pub internal_port: u16,
    /// Whether clients speak TLS.
    pub tls: bool,
    /// Whether clients may speak HTTP/2.
    pub http2: bool,
    /// Whether clients speak gRPC.
    pub grpc: bool,
    host_pattern: Wildcard,
    path_pattern: Wildcard,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self::new("*", "*")
    }
}

impl Endpoint {
    /// An endpoint of any port.
    #[must_use]
    pub fn new(host: &str, base_path: &str) -> Self {
        let or_any = |text: &str| if text.is_empty() { "*".to_owned() } else { text.to_owned() };
        let (host, base_path) = (or_any(host), or_any(base_path));
        let (host_pattern, path_pattern) = (Wildcard::new(&host), Wildcard::new(&base_path));
        let (exposed_port, internal_port, tls, http2, grpc) = Default::default();
        Self { host, base_path, exposed_port, internal_port, tls, http2, grpc, host_pattern, path_pattern }
    }

    /// `apiSpec.endpoints` of an application.
    pub(super) fn read_all(application: &At<'_>) -> Result<Vec<Self>, PolicyError> {
        let specification = application.field("apiSpec")?;
        specification.field("endpoints")?.list(|at| {
            let base_path = at.field("basePath")?;
            if !base_path.text()?.is_empty() && !base_path.text()?.starts_with(['/', '*']) {
                return Err(base_path.wrong("has to begin with `/` or `*`"));
            }
            Ok(Self {
                exposed_port: at.field("exposedPort")?.port()?,
                internal_port: at.field("internalPort")?.port()?,
                tls: at.field("tls")?.flag()?,
                http2: at.field("http2")?.flag()?,
                grpc: at.field("grpc")?.flag()?,
                ..Self::new(at.field("host")?.text()?, base_path.text()?)
            })
        })
    }

    /// Whether a request comes to this endpoint. `path` is [`normal_path`].
    #[must_use]
    pub fn takes(&self, client: &Client, host: &[u8], path: &[u8]) -> bool {
        (self.exposed_port == 0 || self.exposed_port == client.port)
            && (self.host_pattern.matches(host) || self.host_pattern.matches(without_port(host)))
            && self.path_pattern.matches(path)
    }
}

/// The host that a request asks for: of the target when that has one (RFC 9112, section 3.2.2), else of `Host`.
#[must_use]
pub fn host(head: &Head) -> &[u8] {
    let target = head.target();
    let Some(scheme) = scheme(target) else { return head.header("host").unwrap_or_default() };
    let authority = &target[scheme + 3..];
    let end = authority.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(authority.len());
    &authority[..end]
}

/// The path of a target without its query: decoded once, without empty and dot segments, so that no spelling of a path leads
/// around its application.
#[must_use]
pub fn normal_path(target: &[u8]) -> Vec<u8> {
    let (path, _) = split_target(target);
    if is_normal(path) { path.to_vec() } else { normalised(path) }
}

fn normalised(path: &[u8]) -> Vec<u8> {
    let decoded = percent_decoded(&replaced_plus(path));
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in decoded.split(|byte| *byte == b'/' || *byte == b'\\') {
        match segment {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    let mut normal = Vec::with_capacity(decoded.len() + 1);
    for segment in &segments {
        normal.push(b'/');
        normal.extend_from_slice(segment);
    }
    let is_folder = decoded.last().is_none_or(|last| *last == b'/');
    if segments.is_empty() || is_folder {
        normal.push(b'/');
    }
    normal
}

/// Whether a path is spelt as [`normal_path`] would spell it: most are. A dot at a segment's beginning leaves that open.
fn is_normal(path: &[u8]) -> bool {
    let plain = |byte: &u8| !matches!(byte, b'%' | b'+' | b'\\');
    let begins = |pair: &[u8]| pair[0] == b'/' && matches!(pair[1], b'/' | b'.');
    path.first() == Some(&b'/') && path.iter().all(plain) && !path.windows(2).any(begins)
}

/// A target as its path and its query, without scheme and host.
#[must_use]
pub fn split_target(target: &[u8]) -> (&[u8], &[u8]) {
    let local = match scheme(target) {
        Some(scheme) => {
            let authority = &target[scheme + 3..];
            let end = authority.iter().position(|byte| b"/?#".contains(byte)).unwrap_or(authority.len());
            &authority[end..]
        }
        None => target,
    };
    let end = memchr::memchr(b'?', local).unwrap_or(local.len());
    (&local[..end], local.get(end + 1..).unwrap_or_default())
}

/// Where the `://` of an absolute target stands.
fn scheme(target: &[u8]) -> Option<usize> {
    if target.starts_with(b"/") { None } else { memchr::memmem::find(target, b"://") }
}

/// In a path a plus is a plus.
fn replaced_plus(path: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(path.len());
    for byte in path {
        match byte {
            b'+' => replaced.extend_from_slice(b"%2b"),
            other => replaced.push(*other),
        }
    }
    replaced
}

fn without_port(host: &[u8]) -> &[u8] {
    match memchr::memrchr(b':', host) {
        // Colons within brackets belong to the address.
        Some(colon) if !host[colon..].contains(&b']') => &host[..colon],
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn takes(endpoint: &Endpoint, port: u16, host: &str, target: &str) -> bool {
        let client = Client { peer: "203.0.113.9".parse().unwrap(), port, secure: false };
        endpoint.takes(&client, host.as_bytes(), &normal_path(target.as_bytes()))
    }

    /// Port, host and path have to fit; an endpoint without them takes all.
    #[test]
    fn an_endpoint_takes_its_port_host_and_path() {
        let shop = Endpoint { exposed_port: 80, ..Endpoint::new("*.shop.test", "/api/*") };
        assert!(takes(&shop, 80, "a.shop.test:80", "/api/x?y=/z") && takes(&shop, 80, "A.Shop.test", "/api/"));
        assert!(!takes(&shop, 81, "a.shop.test", "/api/x") && !takes(&shop, 80, "shop.test", "/api/x"));
        assert!(!takes(&shop, 80, "a.shop.test", "/other") && takes(&Endpoint::default(), 9, "", "/"));
        let with_port = Endpoint::new("shop.test:8080", "");
        assert!(takes(&with_port, 80, "shop.test:8080", "/") && !takes(&with_port, 80, "shop.test", "/"));
        assert!(
            takes(&Endpoint::new("[::1]", "/"), 80, "[::1]:80", "/") && !takes(&Endpoint::new("*", "/"), 1, "", "/a")
        );
    }

    /// No spelling of a path leads around the application that protects it.
    #[test]
    fn spellings_of_a_path_are_one_path() {
        let admin = Endpoint::new("*", "/admin/*");
        for path in
            ["/admin/x", "//admin/x", "/./admin/x", "/a/../admin/x", "/%61dmin/x", "/admin%2fx", "/a/%2e%2e/admin/x"]
        {
            assert!(takes(&admin, 1, "", path), "{path}");
        }
        assert!(!takes(&admin, 1, "", "/other?/admin/x"));
        assert_eq!(normal_path(b"http://shop.test/a+b?c"), b"/a+b");
        assert_eq!(normal_path(b"http://shop.test"), b"/");
    }

    proptest! {
        /// A normal path begins with a slash, and making it normal once more changes nothing unless it holds a `%`.
        #[test]
        fn normal_paths_stay(path in r"[/.a%2e\\]{0,12}") {
            let once = normal_path(path.as_bytes());
            prop_assert_eq!(once[0], b'/');
            if !once.contains(&b'%') {
                prop_assert_eq!(normal_path(&once), once);
            }
        }

        /// What is passed over as normal is.
        #[test]
        fn normal_paths_are_known(path in r"/[/.a%2e+\\]{0,8}") {
            if is_normal(path.as_bytes()) {
                prop_assert_eq!(normalised(path.as_bytes()), path.into_bytes());
            }
        }
    }
}
