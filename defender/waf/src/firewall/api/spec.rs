//! The vendor's `apiSpec`, as policies carry it. Source: the vendor's `waas.APISpec`, `waas.Path`, `waas.Method`, `waas.Param`.

use serde::Deserialize;
use serde_json::Value;

use crate::firewall::Effect;

/// What an application's interface is, and what follows when a request is outside it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ApiSpec {
    /// Where the application is reached; of each the base path, before the paths below.
    pub endpoints: Vec<BasePath>,
    /// What there is.
    pub paths: Vec<PathSpec>,
    /// When a parameter or a body is not as it is said here.
    pub effect: Effect,
    /// When the path, or the method on it, is not here.
    pub fallback_effect: Effect,
    /// When a query parameter is not here.
    pub query_param_fallback_effect: Effect,
}

/// The part of an endpoint that paths are below.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BasePath {
    /// `/api/*` or `*`; one without `*` at its end is the base all the same.
    pub base_path: String,
}

impl Default for BasePath {
    fn default() -> Self {
        Self { base_path: "*".to_owned() }
    }
}

/// A path, `{name}` for what differs.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PathSpec {
    /// `/users/{id}`.
    pub path: String,
    /// What can be done there.
    pub methods: Vec<MethodSpec>,
}

/// A method on a path.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MethodSpec {
    /// `GET`.
    pub method: String,
    /// What it takes.
    pub parameters: Vec<ParameterSpec>,
}

/// A parameter.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ParameterSpec {
    /// Its name; in JSON and XML a path such as `/user/name`, or the name of something at the top.
    pub name: String,
    /// Where it is.
    pub location: Location,
    /// What its value, or each value of an array, is.
    #[serde(rename = "type")]
    pub kind: ValueType,
    /// How the values of an array are written.
    pub style: Style,
    /// The least number.
    pub min: Option<f64>,
    /// The largest number.
    pub max: Option<f64>,
    /// Whether it must be there.
    pub required: bool,
    /// Whether it has many values.
    pub array: bool,
    /// Whether each value of an array is written as a parameter of its own.
    pub explode: bool,
    /// Whether it may be empty.
    pub allow_empty_value: bool,
    /// Ours, beside the vendor's: what its value is, as a JSON Schema; of `body` the whole body.
    pub schema: Option<Value>,
}

/// Where a parameter is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // as the vendor names them
pub enum Location {
    Path,
    #[default]
    Query,
    Cookie,
    Header,
    Body,
    Json,
    Xml,
    FormData,
    Multipart,
}

/// What a value is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // as JSON Schema names them
pub enum ValueType {
    Integer,
    Number,
    Boolean,
    Object,
    Array,
    /// Also what is not known, such as Swagger 2's `file`.
    #[default]
    #[serde(other)]
    String,
}

/// How an array is written. Source: OpenAPI 3.0.3, "Style Values".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // as OpenAPI names them
pub enum Style {
    #[default]
    #[serde(alias = "")]
    Form,
    Simple,
    SpaceDelimited,
    TabDelimited,
    PipeDelimited,
    Matrix,
    Label,
    DeepObject,
}

impl Location {
    /// As the vendor names it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Cookie => "cookie",
            Self::Header => "header",
            Self::Body => "body",
            Self::Json => "json",
            Self::Xml => "xml",
            Self::FormData => "formData",
            Self::Multipart => "multipart",
        }
    }

    /// True for what is in the body.
    pub(super) fn is_body(self) -> bool {
        self >= Self::Body
    }
}

impl Style {
    /// What parts the values of an array that is written as one.
    pub(super) fn separator(self) -> u8 {
        match self {
            Self::SpaceDelimited => b' ',
            Self::TabDelimited => b'\t',
            Self::PipeDelimited => b'|',
            Self::Form | Self::Simple | Self::Matrix | Self::Label | Self::DeepObject => b',',
        }
    }
}
