//! API protection: requests held against what an application's interface is said to be (`docs/reference/waas-api-protection.md`).
//!
//! An [`ApiSpec`] is compiled once into an [`Api`]. A request's head is held against it with [`Api::judge_head`], which finds
//! the operation, and a whole body with [`Api::judge_body`].

mod body;
pub(crate) mod json;
mod parameter;
mod router;
pub(crate) mod schema;
mod spec;
pub(crate) mod validate;

#[cfg(test)]
mod tests;

pub use self::spec::{ApiSpec, BasePath, Location, MethodSpec, ParameterSpec, PathSpec, Style, ValueType};
use self::{
    parameter::Parameter,
    router::{Named, Router},
};
use super::{Effect, Field};
use crate::{Collection, Request};

/// An application's interface, compiled.
#[derive(Debug, Clone)]
pub struct Api {
    router: Router<Vec<Operation>>,
    effect: Effect,
    fallback: Effect,
    query_fallback: Effect,
    unenforced: Vec<String>,
}

/// What can be done at a path with one method.
#[derive(Debug, Clone)]
pub struct Operation {
    method: String,
    parameters: Vec<Parameter>,
}

/// How a request is outside the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ViolationKind {
    /// There is no such path.
    UnknownPath,
    /// There is no such method on the path.
    UnknownMethod,
    /// There is no such query parameter.
    UnknownQueryParameter,
    /// A parameter of path, query, header or cookies is not as it is said.
    Parameter,
    /// The body is not.
    Body,
}

/// That a request is outside the interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// How.
    pub kind: ViolationKind,
    /// What the specification wants then; never [`Effect::Disable`] or [`Effect::Allow`].
    pub effect: Effect,
    /// For a human. Quotes names of the specification and of the request, no values.
    pub message: String,
    /// Where; the value is neither scrubbed nor shortened.
    pub field: Field,
}

/// Why a specification cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the API specification cannot be used: {0}")]
pub struct ApiError(String);

/// How many violations of one request are told.
const MOST_TOLD: usize = 16;

impl Api {
    /// Compiles a specification.
    ///
    /// # Errors
    /// The first path or schema that means nothing.
    pub fn compile(spec: &ApiSpec) -> Result<Self, ApiError> {
        let mut router = Router::<Vec<Operation>>::default();
        let mut unenforced = Vec::new();
        let default = [BasePath::default()];
        let bases = if spec.endpoints.is_empty() { &default[..] } else { &spec.endpoints };
        for path in &spec.paths {
            let operations = path.methods.iter().map(|method| {
                let compiled = method.parameters.iter().map(|one| Parameter::compile(one, &mut unenforced));
                let parameters = compiled.collect::<Result<_, _>>().map_err(|error| in_path(&path.path, &error))?;
                Ok(Operation { method: method.method.to_ascii_uppercase(), parameters })
            });
            let operations: Vec<Operation> = operations.collect::<Result<_, _>>()?;
            for base in bases {
                let whole = format!("{}/{}", base.prefix(), path.path.trim_start_matches('/'));
                let entry = router.entry(&whole).map_err(|error| in_path(&path.path, &error))?;
                for operation in &operations {
                    if !entry.iter().any(|known| known.method == operation.method) {
                        entry.push(operation.clone());
                    }
                }
            }
        }
        let [effect, fallback, query_fallback] = [spec.effect, spec.fallback_effect, spec.query_param_fallback_effect];
        Ok(Self { router, effect, fallback, query_fallback, unenforced })
    }

    /// Schema keywords that might refuse something and are not looked at, with their places.
    #[must_use]
    pub fn unenforced(&self) -> &[String] {
        &self.unenforced
    }

    /// True when bodies are to be shown to [`Api::judge_body`].
    #[must_use]
    pub fn wants_body(&self, operation: &Operation) -> bool {
        is_on(self.effect) && operation.parameters.iter().any(|parameter| parameter.spec.location.is_body())
    }

    /// Holds a request's head against the interface: the operation that it is, and how it is outside.
    #[must_use]
    pub fn judge_head(&self, request: &Request) -> (Option<&Operation>, Vec<Violation>) {
        let uri = request.first(Collection::RequestUri, b"").unwrap_or_default();
        let path = uri.split(|byte| *byte == b'?').next().unwrap_or_default();
        let method = request.first(Collection::RequestMethod, b"").unwrap_or_default();
        let Some((operations, named)) = self.router.find(path) else {
            return (None, self.outside(ViolationKind::UnknownPath, "the path is not part of the API", "path", path));
        };
        let Some(operation) = operations.iter().find(|operation| operation.method.as_bytes() == method) else {
            let known: Vec<_> = operations.iter().map(|operation| operation.method.as_str()).collect();
            let message = format!("the path takes {}, no other method", known.join(", "));
            return (None, self.outside(ViolationKind::UnknownMethod, &message, "method", method));
        };
        let mut violations = Vec::new();
        if is_on(self.effect) {
            violations.extend(operation.judge(request, &named).map(|violation| violation.with(self.effect)));
        }
        if is_on(self.query_fallback) {
            violations.extend(operation.unknown(request).map(|violation| violation.with(self.query_fallback)));
        }
        violations.truncate(MOST_TOLD);
        (Some(operation), violations)
    }

    /// Holds a whole body (without its content coding, already read into `request`) against its operation. A body of which
    /// only a part is held must not be shown.
    #[must_use]
    pub fn judge_body(&self, operation: &Operation, request: &Request, body: &[u8]) -> Option<Violation> {
        if !self.wants_body(operation) {
            return None;
        }
        body::judge(operation, request, body).map(|violation| violation.with(self.effect))
    }

    fn outside(&self, kind: ViolationKind, message: &str, place: &str, value: &[u8]) -> Vec<Violation> {
        let field = Field { place: place.to_owned(), key: String::new(), value: shown(value) };
        let violation = Violation { kind, effect: self.fallback, message: message.to_owned(), field };
        if is_on(self.fallback) { vec![violation] } else { Vec::new() }
    }
}

impl Operation {
    /// The method, in capitals.
    #[must_use]
    pub fn method(&self) -> &str {
        &self.method
    }

    /// Parameters outside the body that are not as they are said.
    fn judge<'a>(&'a self, request: &'a Request, named: &'a Named<'a>) -> impl Iterator<Item = Violation> {
        self.parameters.iter().filter_map(move |parameter| {
            let name = parameter.spec.name.as_str();
            let of = |collection| request.of(collection).filter(|value| value.name == name.as_bytes());
            let values: Vec<&[u8]> = match parameter.spec.location {
                Location::Path => {
                    named.iter().filter(|(known, _)| *known == name).map(|(_, value)| value.as_slice()).collect()
                }
                Location::Query => {
                    let arguments = request.of(Collection::ArgsGet);
                    arguments.filter(|value| parameter.is_query(value.name)).map(|value| value.value).collect()
                }
                Location::Cookie => of(Collection::RequestCookies).map(|value| value.value).collect(),
                Location::Header if is_described_elsewhere(name) => return None,
                Location::Header => {
                    let headers = request.of(Collection::RequestHeaders);
                    let fields = headers.filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes()));
                    fields.map(|field| field.value).collect()
                }
                _ => return None,
            };
            let (problem, value) = parameter.check(&values).err()?;
            Some(Violation::of_parameter(ViolationKind::Parameter, parameter, &problem, &value))
        })
    }

    /// Query parameters that the operation does not have.
    fn unknown<'a>(&'a self, request: &'a Request) -> impl Iterator<Item = Violation> {
        let open = self.parameters.iter().any(Parameter::is_scattered);
        let arguments = request.of(Collection::ArgsGet).filter(move |_| !open);
        let unknown = arguments.filter(|value| !self.parameters.iter().any(|parameter| parameter.is_query(value.name)));
        unknown.take(MOST_TOLD).map(|value| {
            let key = shown(value.name);
            Violation {
                kind: ViolationKind::UnknownQueryParameter,
                effect: Effect::Disable,
                message: format!("the query parameter `{}` is not part of the API", excerpt(&key)),
                field: Field { place: "query".to_owned(), key, value: shown(value.value) },
            }
        })
    }
}

impl Violation {
    fn of_parameter(kind: ViolationKind, parameter: &Parameter, problem: &str, value: &[u8]) -> Self {
        let (location, name) = (parameter.spec.location.name(), &parameter.spec.name);
        let field = Field { place: location.to_owned(), key: name.clone(), value: shown(value) };
        Self { kind, effect: Effect::Disable, message: format!("the {location} parameter `{name}` {problem}"), field }
    }

    fn of_body(message: &str, place: &str, value: &[u8]) -> Self {
        let field = Field { place: "body".to_owned(), key: place.to_owned(), value: shown(value) };
        Self { kind: ViolationKind::Body, effect: Effect::Disable, message: message.to_owned(), field }
    }

    fn with(self, effect: Effect) -> Self {
        Self { effect, ..self }
    }
}

impl BasePath {
    /// What stands before the paths: without the `*` and the slash at the end; a `*` within is a segment of any kind.
    fn prefix(&self) -> String {
        let path = self.base_path.trim_end_matches('*').trim_end_matches('/');
        path.replace('*', "{*}")
    }
}

fn is_on(effect: Effect) -> bool {
    !matches!(effect, Effect::Disable | Effect::Allow)
}

/// Headers that a specification describes in other ways. Source: `OpenAPI` 3.0.3, "Parameter Object", `name`.
fn is_described_elsewhere(header: &str) -> bool {
    ["accept", "content-type", "authorization"].iter().any(|known| header.eq_ignore_ascii_case(known))
}

fn shown(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// The first characters of a name that a client chose.
fn excerpt(text: &str) -> String {
    text.chars().take(64).collect()
}

fn in_path(path: &str, error: &str) -> ApiError {
    ApiError(format!("path `{path}`: {error}"))
}
