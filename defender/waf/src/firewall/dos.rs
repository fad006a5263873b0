//! Too many requests of one client: means over 5 and over 120 seconds (`dosConfig`).

use super::{
    Effect, PolicyError,
    network::{NetworkLists, Networks},
    reading::At,
    standing::{AVERAGE_SECONDS, BURST_SECONDS, Counted},
};

/// Limits of rates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dos {
    enabled: bool,
    alert: Limits,
    ban: Limits,
    /// Only requests that one of these fits are counted; all when there is none.
    conditions: Vec<Condition>,
    excluded: Networks,
    /// Whether sessions are counted, where there is one, and not addresses.
    pub track_session: bool,
}

/// Requests in a second, none for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Limits {
    burst: Option<u64>,
    average: Option<u64>,
}

/// All that is given has to fit.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    methods: Vec<Vec<u8>>,
    /// Endings of the path, with their dot.
    endings: Vec<Vec<u8>>,
    statuses: Vec<(u16, u16)>,
}

/// A limit that was passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excess {
    /// What follows: alert or ban.
    pub effect: Effect,
    /// Over how many seconds.
    pub seconds: u64,
    /// Requests in a second that are allowed.
    pub limit: u64,
}

impl Dos {
    pub(super) fn read(at: &At<'_>, lists: &NetworkLists) -> Result<Self, PolicyError> {
        Ok(Self {
            enabled: at.field("enabled")?.flag()?,
            alert: Limits::read(&at.field("alert")?)?,
            ban: Limits::read(&at.field("ban")?)?,
            conditions: at.field("matchConditions")?.list(|condition| Condition::read(&condition))?,
            excluded: Networks::read(&at.field("excludedNetworkLists")?, lists)?,
            track_session: at.field("trackSession")?.flag()?,
        })
    }

    /// Whether a client is counted at all.
    #[must_use]
    pub fn counts(&self, address: std::net::IpAddr) -> bool {
        self.enabled && !self.excluded.contain(address)
    }

    /// Whether a request counts, by its method and path and, once there is one, its status.
    #[must_use]
    pub fn fits(&self, method: &[u8], path: &[u8], status: Option<u16>) -> bool {
        let fits = |condition: &Condition| condition.fits(method, path, status);
        match status {
            None if self.conditions.is_empty() => true,
            None => self.conditions.iter().filter(|condition| condition.statuses.is_empty()).any(fits),
            // What counts without its status was counted before.
            Some(_) => {
                !self.fits(method, path, None)
                    && self.conditions.iter().filter(|condition| !condition.statuses.is_empty()).any(fits)
            }
        }
    }

    /// The strongest limit that a client's requests passed.
    #[must_use]
    pub fn excess(&self, counted: Counted) -> Option<Excess> {
        [(Effect::Ban, self.ban), (Effect::Alert, self.alert)].into_iter().find_map(|(effect, limits)| {
            let passed = |limit: Option<u64>, seconds, count| {
                limit.filter(|limit| u64::from(count) > limit.saturating_mul(seconds)).map(|limit| (seconds, limit))
            };
            let (seconds, limit) = passed(limits.burst, BURST_SECONDS, counted.burst)
                .or_else(|| passed(limits.average, AVERAGE_SECONDS, counted.average))?;
            Some(Excess { effect, seconds, limit })
        })
    }
}

impl Limits {
    fn read(at: &At<'_>) -> Result<Self, PolicyError> {
        // The vendor's API writes 0 where nothing is set.
        let limit = |name| at.field(name)?.number(1 << 30).map(|limit| limit.filter(|limit| *limit > 0));
        Ok(Self { burst: limit("burst")?, average: limit("average")? })
    }
}

impl Condition {
    fn read(at: &At<'_>) -> Result<Self, PolicyError> {
        let ending = |text: String| {
            let text = text.to_ascii_lowercase();
            if text.starts_with('.') { text.into_bytes() } else { format!(".{text}").into_bytes() }
        };
        let condition = Self {
            methods: at.field("methods")?.texts()?.into_iter().map(String::into_bytes).collect(),
            endings: at.field("fileTypes")?.texts()?.into_iter().map(ending).collect(),
            statuses: at.field("responseCodeRanges")?.list(|range| {
                let status = |name| range.field(name)?.number(999).map(|status| status.unwrap_or_default() as u16);
                let (start, end) = (status("start")?, status("end")?);
                let end = if end == 0 { start } else { end };
                if start == 0 || end < start {
                    return Err(range.wrong("has to have a `start` and an `end` that is not before it"));
                }
                Ok((start, end))
            })?,
        };
        if condition.methods.is_empty() && condition.endings.is_empty() && condition.statuses.is_empty() {
            return Err(at.wrong("has neither `methods` nor `fileTypes` nor `responseCodeRanges`"));
        }
        Ok(condition)
    }

    fn fits(&self, method: &[u8], path: &[u8], status: Option<u16>) -> bool {
        let ends = |ending: &Vec<u8>| {
            path.len() >= ending.len() && path[path.len() - ending.len()..].eq_ignore_ascii_case(ending)
        };
        (self.methods.is_empty() || self.methods.iter().any(|known| known.eq_ignore_ascii_case(method)))
            && (self.endings.is_empty() || self.endings.iter().any(ends))
            && (self.statuses.is_empty()
                || status
                    .is_some_and(|status| self.statuses.iter().any(|(start, end)| (*start..=*end).contains(&status))))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn dos(value: &serde_json::Value) -> Dos {
        Dos::read(&At::root(value), &NetworkLists::default()).unwrap()
    }

    /// A mean above a limit is an excess; the ban goes before the alert.
    #[test]
    fn means_are_compared_with_limits() {
        let dos =
            dos(&json!({"enabled": true, "alert": {"burst": 2, "average": 0}, "ban": {"burst": 4, "average": 1}}));
        let excess =
            |burst, average| dos.excess(Counted { burst, average }).map(|excess| (excess.effect, excess.seconds));
        assert_eq!(excess(10, 10), None);
        assert_eq!(excess(11, 11), Some((Effect::Alert, 5)));
        assert_eq!(excess(21, 21), Some((Effect::Ban, 5)));
        assert_eq!(excess(1, 120), None);
        assert_eq!(excess(1, 121), Some((Effect::Ban, 120)));
    }

    /// Within a condition all has to fit, of the conditions one; a request counts once.
    #[test]
    fn conditions_choose_requests() {
        let dos = dos(&json!({"enabled": true, "matchConditions": [
            {"methods": ["POST"], "fileTypes": ["php"]}, {"responseCodeRanges": [{"start": 400, "end": 499}]}]}));
        assert!(dos.fits(b"POST", b"/a.PHP", None) && !dos.fits(b"GET", b"/a.php", None));
        assert!(dos.fits(b"GET", b"/", Some(404)) && !dos.fits(b"GET", b"/", Some(200)));
        assert!(!dos.fits(b"POST", b"/a.php", Some(404)), "it was counted when it came");
    }

    /// Excluded networks are not counted, and nothing is while it is off.
    #[test]
    fn networks_are_excluded() {
        let some = dos(&json!({"enabled": true, "excludedNetworkLists": ["192.0.2.0/24"]}));
        assert!(!some.counts("192.0.2.9".parse().unwrap()) && some.counts("198.51.100.1".parse().unwrap()));
        assert!(!dos(&json!({})).counts("198.51.100.1".parse().unwrap()));
    }
}
