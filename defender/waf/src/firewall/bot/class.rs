//! The classes of bots, as the vendor names them.

use serde::{Deserialize, Serialize};

/// A class of bots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BotClass {
    /// Defined by the user.
    UserDefinedBot,
    /// Known: index the web for search.
    SearchEngineCrawlers,
    /// Known: gather what businesses buy.
    BusinessAnalytics,
    /// Known: gather for teaching and research.
    Educational,
    /// Known: gather news.
    News,
    /// Known: gather what markets do.
    Financial,
    /// Known: fetch feeds for readers.
    ContentFeedClients,
    /// Known: keep the web for later.
    Archiving,
    /// Known: gather jobs.
    CareerSearch,
    /// Known: gather pictures, sounds and previews.
    MediaSearch,
    /// Something says of itself to be a known bot and is not.
    BotImpersonation,
    /// Browsers that are driven by programs.
    WebAutomationTools,
    /// Tools that copy web sites.
    WebScrapers,
    /// Libraries for web APIs.
    ApiLibraries,
    /// Libraries for HTTP.
    HttpLibraries,
    /// Some other bot.
    Generic,
    /// Something says of itself to be a browser and is not.
    BrowserImpersonation,
    /// What browsers do not send.
    RequestAnomalies,
}

impl BotClass {
    /// Known good bots.
    pub const KNOWN: [Self; 9] = [
        Self::SearchEngineCrawlers,
        Self::BusinessAnalytics,
        Self::Educational,
        Self::News,
        Self::Financial,
        Self::ContentFeedClients,
        Self::Archiving,
        Self::CareerSearch,
        Self::MediaSearch,
    ];

    /// As the vendor names it: in policies, and as the `type` of an event.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::UserDefinedBot => "userDefinedBot",
            Self::SearchEngineCrawlers => "searchEngineCrawlers",
            Self::BusinessAnalytics => "businessAnalytics",
            Self::Educational => "educational",
            Self::News => "news",
            Self::Financial => "financial",
            Self::ContentFeedClients => "contentFeedClients",
            Self::Archiving => "archiving",
            Self::CareerSearch => "careerSearch",
            Self::MediaSearch => "mediaSearch",
            Self::BotImpersonation => "botImpersonation",
            Self::WebAutomationTools => "webAutomationTools",
            Self::WebScrapers => "webScrapers",
            Self::ApiLibraries => "apiLibraries",
            Self::HttpLibraries => "httpLibraries",
            Self::Generic => "generic",
            Self::BrowserImpersonation => "browserImpersonation",
            Self::RequestAnomalies => "requestAnomalies",
        }
    }
}
