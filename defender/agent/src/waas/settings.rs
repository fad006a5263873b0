//! What of a policy concerns the proxy itself: where it listens, and what it tells the application.

use serde::Deserialize;

use super::emission::Forwarded;

/// The proxy's part of a policy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where applications are reached; a port that is named twice counts once.
    pub places: Vec<Place>,
    /// What the application is told about clients.
    pub forwarded: Forwarded,
    /// For how long clients are waited for.
    pub read_timeout: Option<u64>,
}

/// One port and where it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where clients connect.
    pub exposed: u16,
    /// Where the application listens, on loopback.
    pub internal: u16,
    /// Clients speak TLS.
    pub tls: bool,
    /// The application speaks HTTP/2 without TLS.
    pub http2: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default)]
    applications: Vec<Application>,
    #[serde(default)]
    read_timeout_seconds: Option<u64>,
    #[serde(default)]
    forwarded: Told,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Told {
    #[default]
    Append,
    Replace,
    Untouched,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Application {
    #[serde(default)]
    endpoints: Vec<Endpoint>,
    #[serde(default)]
    api_spec: Option<ApiSpec>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ApiSpec {
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Endpoint {
    exposed_port: u16,
    internal_port: u16,
    tls: bool,
    http2: bool,
    grpc: bool,
}

impl Settings {
    /// Reads a policy's JSON.
    ///
    /// # Errors
    /// What of it cannot be read, for people.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let document: Document =
            serde_json::from_slice(text).map_err(|cause| format!("the WAAS policy cannot be read: {cause}"))?;
        let mut places: Vec<Place> = Vec::new();
        for application in &document.applications {
            let api = application.api_spec.iter().flat_map(|api| &api.endpoints);
            for endpoint in application.endpoints.iter().chain(api) {
                let Endpoint { exposed_port: exposed, internal_port: internal, tls, http2, grpc } = *endpoint;
                if exposed == 0 || internal == 0 {
                    continue;
                }
                match places.iter_mut().find(|place| place.exposed == exposed) {
                    Some(place) => (place.tls, place.http2) = (place.tls || tls, place.http2 || http2 || grpc),
                    None => places.push(Place { exposed, internal, tls, http2: http2 || grpc }),
                }
            }
        }
        let forwarded = match document.forwarded {
            Told::Append => Forwarded::Append,
            Told::Replace => Forwarded::Replace,
            Told::Untouched => Forwarded::Untouched,
        };
        Ok(Self { places, forwarded, read_timeout: document.read_timeout_seconds })
    }
}
