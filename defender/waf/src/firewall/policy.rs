//! A policy as the Console resolves it for one workload: `contract/waas-policy.schema.json`.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;
use thiserror::Error;

use super::{
    access::NetworkControls,
    client::Trust,
    dos::Dos,
    endpoint::Endpoint,
    groups::Groups,
    header::HeaderSpec,
    network::{Countries, NetworkLists},
    page::BlockPage,
    reading::At,
    response::ResponseChanges,
    rules::OwnRules,
    scrub::Scrubber,
    session::Sessions,
    upload::Uploads,
};
pub use crate::inspection::Profile;

/// What follows from a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Nothing is looked at.
    #[default]
    #[serde(alias = "")]
    Disable,
    /// It goes on, and nothing else is looked at.
    Allow,
    /// It goes on and is told of.
    Alert,
    /// It is refused.
    Prevent,
    /// It is refused, and so is whatever comes from the same client for a while.
    Ban,
}

/// The policy of one workload.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Policy {
    /// Counts up with each change.
    pub revision: u64,
    /// The Console's rule that matched this workload; none when no rule did.
    pub rule: Option<String>,
    /// Which rules judge.
    pub profile: Profile,
    /// Whether endpoints are not learnt (`skipAPILearning`).
    pub skip_learning: bool,
    /// How long a client may take for a request's head, in seconds.
    pub read_timeout_seconds: u64,
    /// The first that a request matches judges it.
    pub applications: Vec<Application>,
    /// What is hidden in what is told of requests (`sensitiveDataRules`).
    pub scrubber: Scrubber,
    /// Whom to believe about a client's address (`trustedProxies`, `forwardedFor`).
    pub trust: Trust,
    /// The countries of addresses (`countryTable`).
    pub countries: Countries,
}

/// One application of a rule: where it listens, and how it is protected.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Application {
    /// Its name within the rule.
    pub app_id: String,
    /// Where it is reached.
    pub endpoints: Vec<Endpoint>,
    /// Certificates and private key in PEM.
    pub certificate: Option<String>,
    /// What follows from the findings of each group of rules.
    pub groups: Groups,
    /// How long a ban lasts, in milliseconds.
    pub ban_milliseconds: u64,
    /// What the firewall answers with instead of the application.
    pub page: BlockPage,
    /// How bodies are looked at.
    pub body: BodyInspection,
    /// The oldest version of TLS that is spoken (`tlsConfig.minTLSVersion`).
    pub min_tls: TlsVersion,
    /// Who may come at all.
    pub access: NetworkControls,
    /// Header fields that have to be there, or not to be.
    pub headers: Vec<HeaderSpec>,
    /// Which files may be sent.
    pub uploads: Uploads,
    /// Limits of rates.
    pub dos: Dos,
    /// How clients behind one address are told apart.
    pub sessions: Sessions,
    /// What is changed in responses.
    pub response: ResponseChanges,
    /// Rules of one's own, API and bots.
    pub rules: OwnRules,
    /// Stands for the application among clients' standings: the same over changes of the policy.
    pub key: u64,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum TlsVersion {
    /// 1.0; what is spoken is no older than 1.2 all the same (RFC 8996).
    Tls10,
    /// 1.1; as 1.0.
    Tls11,
    /// 1.2.
    #[default]
    Tls12,
    /// 1.3.
    Tls13,
}

/// The names of versions in a policy.
const TLS_VERSIONS: [(&str, TlsVersion); 4] =
    [("1.0", TlsVersion::Tls10), ("1.1", TlsVersion::Tls11), ("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)];

/// How bodies are looked at (`body`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BodyInspection {
    /// Not at all.
    pub skip: bool,
    /// So many bytes at once; none for as many as the rules say.
    pub inspection_size: Option<usize>,
    /// What follows from a body that is longer.
    pub limit_effect: Effect,
}

/// Why a policy cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct PolicyError(pub String);

/// `readTimeoutSeconds` of the vendor.
const READ_TIMEOUT_SECONDS: u64 = 5;
/// `banDurationMinutes` of the vendor.
const BAN_MINUTES: u64 = 5;

impl Effect {
    /// As policies and audits spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Alert => "alert",
            Self::Prevent => "prevent",
            Self::Ban => "ban",
        }
    }
}

impl Policy {
    /// Reads a policy's JSON.
    ///
    /// # Errors
    /// The first thing in it that means nothing, and where it stands.
    pub fn parse(text: &[u8]) -> Result<Self, PolicyError> {
        let value: Value = serde_json::from_slice(text)
            .map_err(|cause| PolicyError(format!("the WAAS policy is no JSON: {cause}")))?;
        Self::read(&value).map_err(|PolicyError(problem)| PolicyError(format!("the WAAS policy is refused: {problem}")))
    }

    fn read(value: &Value) -> Result<Self, PolicyError> {
        let root = At::root(value);
        root.object()?;
        let version = root.field("version")?;
        if version.number(u64::MAX)?.is_some_and(|number| number != 1) {
            return Err(version.wrong("has to be 1; this Defender knows no other"));
        }
        let rule = root.field("rule")?;
        let lists = NetworkLists::read(&root.field("networkLists")?)?;
        let table = root.field("countryTable")?;
        let policy = Self {
            revision: root.field("revision")?.number(i64::MAX as u64)?.unwrap_or_default(),
            rule: rule.value().map(|_| rule.text().map(str::to_owned)).transpose()?,
            profile: root
                .field("profile")?
                .choice(&[("balanced", Profile::Balanced), ("crsStrict", Profile::CrsStrict)], Profile::Balanced)?,
            skip_learning: root.field("skipAPILearning")?.flag()?,
            read_timeout_seconds: root.field("readTimeoutSeconds")?.number(86_400)?.unwrap_or(READ_TIMEOUT_SECONDS),
            applications: root.field("applications")?.list(|application| Application::read(&application, &lists))?,
            scrubber: Scrubber::read(&root.field("sensitiveDataRules")?)?,
            trust: Trust::read(&root, &lists)?,
            countries: Countries::parse(table.text()?).map_err(|PolicyError(problem)| table.wrong(&problem))?,
        };
        policy.check()?;
        Ok(policy)
    }

    /// Looks at what a type cannot say.
    ///
    /// # Errors
    /// The first thing that means nothing.
    pub fn check(&self) -> Result<(), PolicyError> {
        for (index, application) in self.applications.iter().enumerate() {
            let same = |other: &Application| other.app_id == application.app_id;
            if application.app_id.is_empty() {
                return Err(PolicyError(format!("`applications[{index}].appID` is missing")));
            }
            if self.applications[..index].iter().any(same) {
                let name = &application.app_id;
                return Err(PolicyError(format!("`applications[{index}].appID` is `{name}`, as an earlier one is")));
            }
        }
        Ok(())
    }
}

impl Application {
    fn read(at: &At<'_>, lists: &NetworkLists) -> Result<Self, PolicyError> {
        at.object()?;
        let certificate = at.field("certificate")?;
        let certificate = certificate.field("plain")?;
        let certificate = Some(certificate.text()?).filter(|text| !text.is_empty()).map(str::to_owned);
        let name = at.field("appID")?;
        let app_id = name.text()?;
        let tls = at.field("tlsConfig")?;
        let mut hasher = DefaultHasher::new();
        app_id.hash(&mut hasher);
        let minutes = at.field("banDurationMinutes")?.number(525_600)?.filter(|minutes| *minutes > 0);
        Ok(Self {
            app_id: app_id.to_owned(),
            endpoints: Endpoint::read_all(at)?,
            certificate,
            groups: Groups::read(at)?,
            ban_milliseconds: minutes.unwrap_or(BAN_MINUTES) * 60_000,
            page: BlockPage::read(at)?,
            body: BodyInspection::read(&at.field("body")?)?,
            min_tls: tls.field("minTLSVersion")?.choice(&TLS_VERSIONS, TlsVersion::Tls12)?,
            access: NetworkControls::read(&at.field("networkControls")?, lists)?,
            headers: at.field("headerSpecs")?.list(|item| HeaderSpec::read(&item))?,
            uploads: Uploads::read(&at.field("maliciousUpload")?)?,
            dos: Dos::read(&at.field("dosConfig")?, lists)?,
            sessions: Sessions::read(at)?,
            response: ResponseChanges::read(at)?,
            rules: OwnRules::read(at, lists)?,
            key: hasher.finish(),
        })
    }
}

impl BodyInspection {
    fn read(at: &At<'_>) -> Result<Self, PolicyError> {
        let size = at.field("inspectionSizeBytes")?.number(1 << 30)?.filter(|size| *size > 0);
        Ok(Self {
            skip: at.field("skip")?.flag()?,
            inspection_size: size.map(|size| size as usize),
            limit_effect: at.field("inspectionLimitExceededEffect")?.effect()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn error(policy: &Value) -> String {
        Policy::parse(policy.to_string().as_bytes()).unwrap_err().to_string()
    }

    /// A policy with the vendor's names is read, and what it leaves out has the vendor's defaults.
    #[test]
    fn the_vendors_names_are_read() {
        let text = json!({"version": 1, "revision": 7, "rule": "shop", "profile": "crsStrict", "applications": [{
            "appID": "web", "banDurationMinutes": 2, "certificate": {"plain": "PEM"}, "tlsConfig": {"minTLSVersion": "1.3"},
            "apiSpec": {"endpoints": [{"host": "a.test", "basePath": "/*", "exposedPort": 443, "internalPort": 8443, "tls": true}]},
            "sqli": {"effect": "ban", "exceptionFields": [{"location": "query", "key": "q"}]}, "xss": {"effect": ""},
            "body": {"inspectionSizeBytes": 1000, "inspectionLimitExceededEffect": "prevent"}}, {"appID": "rest"}]});
        let policy = Policy::parse(text.to_string().as_bytes()).unwrap();
        let web = &policy.applications[0];
        assert_eq!((policy.revision, policy.rule.as_deref(), policy.profile), (7, Some("shop"), Profile::CrsStrict));
        assert_eq!((web.endpoints[0].exposed_port, web.endpoints[0].internal_port), (443, 8443));
        assert_eq!(
            (web.ban_milliseconds, web.min_tls, web.body.inspection_size),
            (120_000, TlsVersion::Tls13, Some(1000))
        );
        assert_eq!((policy.read_timeout_seconds, policy.applications[1].ban_milliseconds), (5, 300_000));
        assert_eq!(policy.applications[1].body.inspection_size, None);
    }

    /// Every error names its place in the policy.
    #[test]
    fn errors_name_their_place() {
        let application = |application: Value| json!({"applications": [application]});
        for (policy, place) in [
            (json!({"version": 2}), "`version` has to be 1"),
            (application(json!({"appID": "a", "sqli": {"effect": "bann"}})), "`applications[0].sqli.effect` is `bann`"),
            (application(json!({"appID": "a", "xss": {"effect": "allow"}})), "`applications[0].xss.effect` is `allow`"),
            (application(json!({})), "`applications[0].appID` is missing"),
            (
                application(json!({"appID": "a", "apiSpec": {"endpoints": [{"exposedPort": 65536}]}})),
                "endpoints[0].exposedPort`",
            ),
            (
                application(json!({"appID": "a", "dosConfig": {"excludedNetworkLists": ["x"]}})),
                "excludedNetworkLists[0]` is `x`",
            ),
            (
                application(
                    json!({"appID": "a", "xss": {"effect": "alert", "exceptionFields": [{"location": "JSONPath", "key": "/"}]}}),
                ),
                "`applications[0].xss.exceptionFields[0].key` is the whole document",
            ),
            (json!({"networkLists": {"a": ["10.0.0.0/40"]}}), "`networkLists.a[0]` is `10.0.0.0/40`"),
            (json!({"countryTable": "x"}), "`countryTable` line 1"),
            (json!([]), "has to be an object"),
        ] {
            assert!(error(&policy).contains(place), "{}", error(&policy));
        }
        assert!(error(&json!({"applications": [{"appID": "a"}, {"appID": "a"}]})).contains("as an earlier one is"));
        assert!(Policy::parse(b"{").unwrap_err().to_string().starts_with("the WAAS policy is no JSON"));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let names = [
            "applications",
            "appID",
            "sqli",
            "effect",
            "exceptionFields",
            "location",
            "key",
            "dosConfig",
            "networkLists",
            "apiSpec",
            "endpoints",
            "host",
            "subnets",
            "networkControls",
            "enabled",
            "version",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "(alert|ban|/|query|10.0.0.0/8|[a-z(]{0,3})".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 40, 4, move |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::vec((proptest::sample::select(names.to_vec()), inner), 0..4)
                    .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
            ]
        })
    }

    proptest! {
        /// No JSON panics, and a policy that is read says the same when it is read again.
        #[test]
        fn any_json_is_read_or_refused(value in any_json()) {
            let text = value.to_string();
            match Policy::parse(text.as_bytes()) {
                Ok(policy) => prop_assert_eq!(Policy::parse(text.as_bytes()).unwrap(), policy),
                Err(error) => prop_assert!(error.to_string().starts_with("the WAAS policy")),
            }
        }
    }
}
