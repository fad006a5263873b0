//! Who may come at all: networks and countries (`networkControls`).

use std::net::IpAddr;

use super::{
    Effect, PolicyError,
    network::{Country, NetworkLists, Networks},
    reading::At,
};

/// Control of networks and countries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetworkControls {
    subnets: Control<Networks>,
    countries: Control<Vec<Country>>,
    /// Networks of which nothing at all is looked at.
    excepted: Networks,
    /// Networks that this control lets in, whatever it says of them otherwise.
    admitted: Networks,
}

/// Lists, and what is not on them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Control<L> {
    enabled: bool,
    /// True: what is not on `allow` has `fallback`. False: `prevent` and `alert` count.
    allow_mode: bool,
    allow: L,
    alert: L,
    prevent: L,
    fallback: Effect,
}

/// A client that is not welcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denial {
    /// What follows.
    pub effect: Effect,
    /// `deniedIP` or `deniedCountry`.
    pub attack: &'static str,
}

impl NetworkControls {
    pub(super) fn read(at: &At<'_>, lists: &NetworkLists) -> Result<Self, PolicyError> {
        let advanced = at.field("advancedProtectionEffect")?;
        if advanced.effect()? != Effect::Disable {
            return Err(
                advanced.wrong("needs a list of addresses; put one into `networkLists` and name it in `subnets`")
            );
        }
        let countries = |at: &At<'_>| {
            at.list(|item| {
                let text = item.text()?;
                Country::parse(text)
                    .ok_or_else(|| item.wrong(&format!("is `{text}`, which is no country such as `NL`")))
            })
        };
        Ok(Self {
            subnets: Control::read(&at.field("subnets")?, |at| Networks::read(at, lists))?,
            countries: Control::read(&at.field("countries")?, countries)?,
            excepted: Networks::read(&at.field("exceptionSubnets")?, lists)?,
            admitted: Networks::read(&at.field("networkControlsExceptionSubnets")?, lists)?,
        })
    }

    /// Whether nothing at all of a client is looked at.
    #[must_use]
    pub fn excepts(&self, address: IpAddr) -> bool {
        self.excepted.contain(address)
    }

    /// Why a client is not welcome: the strongest that networks and countries say.
    #[must_use]
    pub fn denial(&self, address: IpAddr, country: Option<Country>) -> Option<Denial> {
        if self.admitted.contain(address) {
            return None;
        }
        let by_network = self.subnets.effect(|list| list.contain(address));
        // Of whom no country is known, no list of countries speaks.
        let by_country = self.countries.effect(|list| country.is_some_and(|country| list.contains(&country)));
        let (effect, attack) =
            [(by_country, "deniedCountry"), (by_network, "deniedIP")].into_iter().max_by_key(|(effect, _)| *effect)?;
        (effect > Effect::Allow).then_some(Denial { effect, attack })
    }
}

impl<L: Default> Control<L> {
    fn read(at: &At<'_>, list: impl Fn(&At<'_>) -> Result<L, PolicyError>) -> Result<Self, PolicyError> {
        // The vendor's API says `enabled`; lists without it are meant to count.
        let enabled = at.field("enabled")?;
        let is_on = if enabled.value().is_some() { enabled.flag()? } else { at.value().is_some() };
        Ok(Self {
            enabled: is_on,
            allow_mode: at.field("allowMode")?.flag()?,
            allow: list(&at.field("allow")?)?,
            alert: list(&at.field("alert")?)?,
            prevent: list(&at.field("prevent")?)?,
            fallback: at.field("fallbackEffect")?.effect()?,
        })
    }

    fn effect(&self, is_on: impl Fn(&L) -> bool) -> Effect {
        match self {
            Self { enabled: false, .. } => Effect::Disable,
            Self { allow_mode: true, allow, fallback, .. } => {
                if is_on(allow) {
                    Effect::Disable
                } else {
                    *fallback
                }
            }
            Self { prevent, .. } if is_on(prevent) => Effect::Prevent,
            Self { alert, .. } if is_on(alert) => Effect::Alert,
            _ => Effect::Disable,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn denial(controls: &Value, address: &str, country: Option<&str>) -> Option<(Effect, &'static str)> {
        let lists = NetworkLists::read(&At::root(&json!({"bad": ["203.0.113.0/24", "2001:db8::/32"]}))).unwrap();
        let controls = NetworkControls::read(&At::root(controls), &lists).unwrap();
        let country = country.and_then(Country::parse);
        controls.denial(address.parse().unwrap(), country).map(|denial| (denial.effect, denial.attack))
    }

    /// Networks are denied by list or by name, of both families; who is on no list comes in.
    #[test]
    fn networks_are_denied() {
        let controls = json!({"subnets": {"enabled": true, "prevent": ["bad"], "alert": ["198.51.100.7"]}});
        assert_eq!(denial(&controls, "203.0.113.9", None), Some((Effect::Prevent, "deniedIP")));
        assert_eq!(denial(&controls, "::ffff:203.0.113.9", None), Some((Effect::Prevent, "deniedIP")));
        assert_eq!(denial(&controls, "2001:db8::5", None), Some((Effect::Prevent, "deniedIP")));
        assert_eq!(denial(&controls, "198.51.100.7", None), Some((Effect::Alert, "deniedIP")));
        assert_eq!(denial(&controls, "192.0.2.1", None), None);
    }

    /// In allow mode who is not on the list has the fallback's effect, also when no country is known.
    #[test]
    fn others_are_denied_in_allow_mode() {
        let controls =
            json!({"countries": {"enabled": true, "allowMode": true, "allow": ["NL"], "fallbackEffect": "prevent"}});
        assert_eq!(denial(&controls, "192.0.2.1", Some("nl")), None);
        assert_eq!(denial(&controls, "192.0.2.1", Some("DE")), Some((Effect::Prevent, "deniedCountry")));
        assert_eq!(denial(&controls, "192.0.2.1", None), Some((Effect::Prevent, "deniedCountry")));
    }

    /// Excepted networks are let in, and what is off denies nobody.
    #[test]
    fn networks_are_excepted() {
        let controls = json!({"subnets": {"enabled": true, "prevent": ["bad"]},
            "networkControlsExceptionSubnets": ["203.0.113.7"], "exceptionSubnets": ["203.0.113.8"]});
        assert_eq!(denial(&controls, "203.0.113.7", None), None);
        let controls = NetworkControls::read(&At::root(&controls), &NetworkLists::default());
        assert_eq!(controls.unwrap_err().to_string().split(',').next(), Some("`subnets.prevent[0]` is `bad`"));
        assert_eq!(denial(&json!({"subnets": {"enabled": false, "prevent": ["bad"]}}), "203.0.113.9", None), None);
        let feed = json!({"advancedProtectionEffect": "prevent"});
        assert!(NetworkControls::read(&At::root(&feed), &NetworkLists::default()).is_err());
    }
}
