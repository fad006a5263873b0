//! What applications' endpoints are, as far as requests have told, on its way to the Console.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use defender_waf::firewall::{
    Exchange,
    discovery::{Discovery, Endpoint, Learnt},
};
use serde_json::{Value, json};

/// Bytes of one report; what does not fit goes with the next.
const MOST_BYTES: usize = 60 << 10;
/// Bytes that paths which values follow may have of it.
const MOST_OF_WIDE: usize = 8 << 10;
/// Applications that are learnt of.
const MOST_APPLICATIONS: usize = 64;

/// The endpoints of applications, each by itself.
#[derive(Debug, Default)]
pub struct Discoveries(Mutex<BTreeMap<String, Known>>);

#[derive(Debug, Default)]
struct Known {
    discovery: Discovery,
    /// Learnt and not yet reported.
    waiting: VecDeque<Endpoint>,
    /// Paths that values follow; they go with each report.
    wide: Vec<String>,
    dropped: u64,
}

impl Discoveries {
    /// Learns from an exchange that has ended.
    pub fn observe(&self, exchange: &Exchange<'_>) {
        let Some((application, observation)) = exchange.observation() else { return };
        let mut all = self.all();
        if let Some(known) = all.get_mut(application) {
            return known.discovery.observe(&observation);
        }
        if all.len() < MOST_APPLICATIONS {
            all.entry(application.to_owned()).or_default().discovery.observe(&observation);
        }
    }

    /// Lets go of applications that the policy does not have any more.
    pub fn keep<'a>(&self, names: impl Iterator<Item = &'a str>) {
        let names: Vec<&str> = names.collect();
        self.all().retain(|name, _| names.contains(&name.as_str()));
    }

    /// What was learnt since this was last called, as much as one report holds; none when that is nothing.
    pub fn take(&self) -> Option<Value> {
        let (mut room, mut reports) = (MOST_BYTES, Vec::new());
        let mut all = self.all();
        // Only then: no application's flood may keep the others from being told of.
        if all.values().all(|known| known.waiting.is_empty()) {
            all.values_mut().for_each(Known::take);
        }
        for (name, known) in all.iter_mut() {
            reports.extend(known.report(name, &mut room));
        }
        (!reports.is_empty()).then_some(Value::Array(reports))
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        // Nothing above can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn take(&mut self) {
        let Learnt { endpoints, wide, dropped } = self.discovery.take();
        self.waiting.extend(endpoints);
        self.wide = wide;
        self.dropped += dropped;
    }

    fn report(&mut self, name: &str, room: &mut usize) -> Option<Value> {
        if self.waiting.is_empty() && self.dropped == 0 {
            return None;
        }
        let (mut endpoints, mut wide) = (Vec::new(), Vec::new());
        let fits = |size: usize, room: &mut usize| room.checked_sub(size).map(|left| *room = left).is_some();
        if !fits(2 * name.len() + 128, room) {
            return None;
        }
        let mut for_wide = MOST_OF_WIDE.min(*room);
        for path in &self.wide {
            let size = 2 * path.len() + 4;
            if fits(size, &mut for_wide) && fits(size, room) {
                wide.push(path);
            }
        }
        while let Some(endpoint) = self.waiting.front() {
            let shown = shown(endpoint);
            if !fits(shown.to_string().len() + 1, room) {
                break;
            }
            endpoints.push(shown);
            self.waiting.pop_front();
        }
        let dropped = std::mem::take(&mut self.dropped);
        let nothing = endpoints.is_empty() && dropped == 0;
        (!nothing).then(|| json!({"application": name, "endpoints": endpoints, "wide": wide, "dropped": dropped}))
    }
}

/// An endpoint as it travels: without shapes, where these alone take more than half a report.
fn shown(endpoint: &Endpoint) -> Value {
    // What has no number that is none, and no key that is no text, can be written.
    let mut shown = serde_json::to_value(endpoint).unwrap_or_default();
    for shape in ["body", "query"] {
        if shown.to_string().len() > MOST_BYTES / 2
            && let Some(fields) = shown.as_object_mut()
        {
            fields.remove(shape);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use defender_waf::{
        Ruleset,
        firewall::{Client, Firewall, Policy, ResponseHead, Standing},
        http::read_head,
    };

    use super::*;

    /// A request with its answer; `names` of query parameters make its shape large.
    fn visit(discoveries: &Discoveries, application: &str, path: &str, names: usize) {
        let policy = format!(r#"{{"version":1,"rule":"r","applications":[{{"appID":"{application}"}}]}}"#);
        let firewall = Firewall::new(Policy::parse(policy.as_bytes()).unwrap(), Arc::new(Ruleset::default())).unwrap();
        let query: Vec<String> = (0..names).map(|number| format!("{}{number}=1", "n".repeat(40))).collect();
        let text = format!("GET {path}?{} HTTP/1.1\r\nHost: a\r\n\r\n", query.join("&"));
        let (head, _) = read_head(text.as_bytes()).unwrap().unwrap();
        let client = Client { peer: "192.0.2.1".parse().unwrap(), port: 80, secure: false };
        let standing = Standing::default();
        let mut exchange = firewall.open(&head, client, &standing, 0, "1");
        exchange.request_head();
        exchange.request_end();
        exchange.response_head(&mut ResponseHead { status: 200, headers: Vec::new() });
        discoveries.observe(&exchange);
    }

    /// However much was learnt, a report has its size, and nothing is lost or told twice.
    #[test]
    fn reports_are_bounded() {
        let discoveries = Discoveries::default();
        let word =
            |number: usize| format!("/{}/{}", char::from(b'a' + (number % 26) as u8), "xy".repeat(1 + number / 26));
        for number in 0..300 {
            visit(&discoveries, if number % 2 == 0 { "one" } else { "other" }, &word(number), 8);
        }
        let mut told = Vec::new();
        while let Some(report) = discoveries.take() {
            assert!(report.to_string().len() <= 64 << 10, "{}", report.to_string().len());
            for of_application in report.as_array().unwrap() {
                let endpoints = of_application["endpoints"].as_array().unwrap();
                let name = of_application["application"].as_str().unwrap();
                told.extend(endpoints.iter().map(|one| format!("{name} {}", one["path"])));
            }
        }
        let all = told.len();
        told.sort();
        told.dedup();

        assert_eq!((told.len(), all), (300, 300));
    }

    /// An endpoint whose shape alone is too large is told of without it.
    #[test]
    fn large_shapes_are_left_out() {
        let discoveries = Discoveries::default();
        visit(&discoveries, "a", "/large", 800);

        let report = discoveries.take().unwrap();

        assert_eq!(
            (report[0]["endpoints"][0]["path"].as_str(), report[0]["endpoints"][0].get("query")),
            (Some("/large"), None)
        );
    }

    /// Paths that values follow go with every report, and are no report of their own.
    #[test]
    fn wide_paths_go_with_every_report() {
        let discoveries = Discoveries::default();
        let name = |number: usize| char::from(b'a' + (number % 26) as u8).to_string().repeat(1 + number / 26);
        for number in 0..52 {
            visit(&discoveries, "a", &format!("/shop/{}", name(number)), 0);
        }
        let report = discoveries.take().unwrap();
        assert_eq!((&report[0]["wide"], &report[0]["endpoints"][0]["path"]), (&json!(["/shop"]), &json!("/shop/{id}")));
        assert_eq!(discoveries.take(), None);

        visit(&discoveries, "a", "/other", 0);
        assert_eq!(discoveries.take().unwrap()[0]["wide"], json!(["/shop"]));
    }

    /// What belongs to an application that is no more is not told of.
    #[test]
    fn gone_applications_are_forgotten() {
        let discoveries = Discoveries::default();
        visit(&discoveries, "a", "/x", 0);
        discoveries.keep(["b"].into_iter());

        assert_eq!(discoveries.take(), None);
    }
}
