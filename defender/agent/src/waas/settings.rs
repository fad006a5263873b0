//! What of a policy concerns the proxy itself: where it listens, and what it tells the application.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use rustls::ServerConfig;
use serde::Deserialize;

use super::tls::{self, Served, Source, Spoken};

/// The proxy's part of a policy.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Where applications are reached; a port that is named twice counts once.
    pub places: Vec<Place>,
    /// For how long clients are waited for.
    pub read_timeout: Option<u64>,
    /// How TLS is spoken, by port.
    pub tls: HashMap<u16, Arc<ServerConfig>>,
    /// `Strict-Transport-Security`, by port.
    pub strict: HashMap<u16, String>,
}

/// One port and where it leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where clients connect.
    pub exposed: u16,
    /// Where the application listens, on loopback.
    pub internal: u16,
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
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Application {
    #[serde(rename = "appID")]
    app_id: String,
    endpoints: Vec<Endpoint>,
    api_spec: Option<ApiSpec>,
    certificate: Option<Source>,
    tls_config: Option<Spoken>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ApiSpec {
    endpoints: Vec<Endpoint>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Endpoint {
    host: String,
    exposed_port: u16,
    internal_port: u16,
    tls: bool,
    http2: bool,
    grpc: bool,
}

impl Application {
    fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        let api = self.api_spec.iter().flat_map(|api| &api.endpoints);
        self.endpoints.iter().chain(api).filter(|endpoint| endpoint.exposed_port != 0)
    }
}

impl Settings {
    /// Reads a policy's JSON; `variables` are certificates that it may name.
    ///
    /// # Errors
    /// What of it cannot be read or used, for people.
    pub fn parse(text: &[u8], variables: &BTreeMap<String, String>) -> Result<Self, String> {
        let document: Document =
            serde_json::from_slice(text).map_err(|cause| format!("the WAAS policy cannot be read: {cause}"))?;
        let (tls, strict) = secured(&document.applications, variables)?;
        let read_timeout = document.read_timeout_seconds;
        Ok(Self { places: places(&document.applications), read_timeout, tls, strict })
    }

    /// Whether the application behind a port speaks HTTP/2 without TLS.
    #[must_use]
    pub fn speaks_http2(&self, exposed: u16) -> bool {
        self.places.iter().any(|place| place.exposed == exposed && place.http2)
    }
}

fn places(applications: &[Application]) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for endpoint in applications.iter().flat_map(Application::endpoints) {
        let (exposed, internal, http2) = (endpoint.exposed_port, endpoint.internal_port, endpoint.grpc);
        match places.iter_mut().find(|place| place.exposed == exposed) {
            Some(place) => place.http2 |= http2,
            None => places.push(Place { exposed, internal, http2 }),
        }
    }
    places
}

type Secured = (HashMap<u16, Arc<ServerConfig>>, HashMap<u16, String>);

fn secured(applications: &[Application], variables: &BTreeMap<String, String>) -> Result<Secured, String> {
    let (none, plain) = (Source::default(), Spoken::default());
    let mut ports: BTreeMap<u16, Vec<Served<'_>>> = BTreeMap::new();
    for application in applications {
        for endpoint in application.endpoints().filter(|endpoint| endpoint.tls) {
            ports.entry(endpoint.exposed_port).or_default().push(Served {
                application: &application.app_id,
                hosts: vec![if endpoint.host.is_empty() { "*".into() } else { endpoint.host.clone() }],
                source: application.certificate.as_ref().unwrap_or(&none),
                spoken: application.tls_config.as_ref().unwrap_or(&plain),
                http2: endpoint.http2 || endpoint.grpc,
            });
        }
    }
    let (mut configs, mut strict) = Secured::default();
    for (port, served) in ports {
        strict.extend(served.iter().find_map(|one| one.spoken.strict.value()).map(|value| (port, value)));
        configs.insert(port, tls::config(&served, variables)?);
    }
    Ok((configs, strict))
}
