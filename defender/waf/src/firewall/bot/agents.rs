//! Who user agents say they are.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::class::BotClass::{
    self, ApiLibraries, Archiving, BusinessAnalytics, CareerSearch, ContentFeedClients, Educational, Financial,
    Generic, HttpLibraries, MediaSearch, News, SearchEngineCrawlers, WebAutomationTools, WebScrapers,
};

/// What a user agent's word tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Agent {
    /// The word, in lower case.
    pub(super) word: &'static str,
    pub(super) class: BotClass,
    /// Domains, one of which the confirmed reverse name of its address is in, as whoever runs it has published; none where
    /// nothing is published.
    pub(super) domains: &'static [&'static str],
}

const fn agent(word: &'static str, class: BotClass) -> Agent {
    Agent { word, class, domains: &[] }
}

const fn published(word: &'static str, class: BotClass, domains: &'static [&'static str]) -> Agent {
    Agent { word, class, domains }
}

const GOOGLE: &[&str] = &["googlebot.com", "google.com", "googleusercontent.com"];
const BING: &[&str] = &["search.msn.com"];
const YANDEX: &[&str] = &["yandex.ru", "yandex.net", "yandex.com"];

/// Known bots; the first whose word is in the user agent counts, so what is more special comes first. Sources: the pages on
/// which Google, Microsoft, Yandex, Baidu, Apple, Yahoo, Ahrefs, Semrush and others say how their crawlers are verified.
pub(super) const KNOWN: &[Agent] = &[
    published("googlebot-image", MediaSearch, GOOGLE),
    published("googlebot-video", MediaSearch, GOOGLE),
    published("googlebot-news", News, GOOGLE),
    published("feedfetcher-google", ContentFeedClients, GOOGLE),
    published("adsbot-google", BusinessAnalytics, GOOGLE),
    published("mediapartners-google", BusinessAnalytics, GOOGLE),
    published("storebot-google", BusinessAnalytics, GOOGLE),
    published("googleother", SearchEngineCrawlers, GOOGLE),
    published("googlebot", SearchEngineCrawlers, GOOGLE),
    published("bingpreview", MediaSearch, BING),
    published("adidxbot", BusinessAnalytics, BING),
    published("bingbot", SearchEngineCrawlers, BING),
    published("msnbot", SearchEngineCrawlers, BING),
    published("yandeximages", MediaSearch, YANDEX),
    published("yandexvideo", MediaSearch, YANDEX),
    published("yandexnews", News, YANDEX),
    published("yandexbot", SearchEngineCrawlers, YANDEX),
    published("baiduspider-image", MediaSearch, &["baidu.com", "baidu.jp"]),
    published("baiduspider", SearchEngineCrawlers, &["baidu.com", "baidu.jp"]),
    published("applebot", SearchEngineCrawlers, &["applebot.apple.com"]),
    published("yahoo! slurp", SearchEngineCrawlers, &["crawl.yahoo.net"]),
    published("sogou web spider", SearchEngineCrawlers, &["crawl.sogou.com"]),
    published("petalbot", SearchEngineCrawlers, &["petalsearch.com", "aspiegel.com"]),
    published("seznambot", SearchEngineCrawlers, &["seznam.cz"]),
    published("qwantbot", SearchEngineCrawlers, &["qwant.com"]),
    published("mojeekbot", SearchEngineCrawlers, &["mojeek.com"]),
    published("naver.me/spd", SearchEngineCrawlers, &["naver.com"]),
    agent("duckduckbot", SearchEngineCrawlers),
    agent("coccocbot", SearchEngineCrawlers),
    agent("yeti/", SearchEngineCrawlers),
    published("ahrefsbot", BusinessAnalytics, &["ahrefs.com", "ahrefs.net"]),
    published("ahrefssiteaudit", BusinessAnalytics, &["ahrefs.com", "ahrefs.net"]),
    published("semrushbot", BusinessAnalytics, &["semrush.com"]),
    published("dotbot", BusinessAnalytics, &["moz.com", "opensiteexplorer.org"]),
    published("rogerbot", BusinessAnalytics, &["moz.com"]),
    agent("mj12bot", BusinessAnalytics),
    agent("dataforseobot", BusinessAnalytics),
    agent("screaming frog", BusinessAnalytics),
    agent("barkrowler", BusinessAnalytics),
    agent("similarweb", BusinessAnalytics),
    agent("builtwith", BusinessAnalytics),
    agent("semanticscholarbot", Educational),
    agent("turnitinbot", Educational),
    agent("citeseerxbot", Educational),
    agent("scholarbot", Educational),
    agent("unpaywall", Educational),
    agent("crossrefeventdata", Educational),
    agent("newsnow", News),
    agent("moreover", News),
    agent("newsblur", ContentFeedClients),
    agent("ground.news", News),
    agent("bloombergbot", Financial),
    agent("trendsmapresolver", Financial),
    agent("yahoo! finance", Financial),
    agent("stockbot", Financial),
    agent("feedly", ContentFeedClients),
    agent("feedbin", ContentFeedClients),
    agent("inoreader", ContentFeedClients),
    agent("bloglovin", ContentFeedClients),
    agent("tiny tiny rss", ContentFeedClients),
    agent("freshrss", ContentFeedClients),
    agent("newsboat", ContentFeedClients),
    agent("superfeedr", ContentFeedClients),
    agent("theoldreader", ContentFeedClients),
    published("archive.org_bot", Archiving, &["archive.org"]),
    published("ia_archiver", Archiving, &["archive.org", "alexa.com"]),
    published("ccbot", Archiving, &["commoncrawl.org"]),
    agent("special_archiver", Archiving),
    agent("arquivo-web-crawler", Archiving),
    agent("nicecrawler", Archiving),
    agent("indeedbot", CareerSearch),
    agent("jooblebot", CareerSearch),
    agent("jobboersebot", CareerSearch),
    agent("careerbot", CareerSearch),
    agent("adzunabot", CareerSearch),
    published("pinterestbot", MediaSearch, &["pinterest.com"]),
    published("twitterbot", MediaSearch, &["twttr.com"]),
    published("linkedinbot", MediaSearch, &["linkedin.com"]),
    agent("facebookexternalhit", MediaSearch),
    agent("slackbot", MediaSearch),
    agent("discordbot", MediaSearch),
    agent("telegrambot", MediaSearch),
    agent("whatsapp/", MediaSearch),
    agent("flipboardproxy", MediaSearch),
];

/// Tools and libraries; the first whose word is in the user agent counts.
pub(super) const TOOLS: &[Agent] = &[
    agent("headlesschrome", WebAutomationTools),
    agent("headless", WebAutomationTools),
    agent("phantomjs", WebAutomationTools),
    agent("slimerjs", WebAutomationTools),
    agent("casperjs", WebAutomationTools),
    agent("puppeteer", WebAutomationTools),
    agent("playwright", WebAutomationTools),
    agent("selenium", WebAutomationTools),
    agent("webdriver", WebAutomationTools),
    agent("cypress/", WebAutomationTools),
    agent("htmlunit", WebAutomationTools),
    agent("splash", WebAutomationTools),
    agent("testcafe", WebAutomationTools),
    agent("scrapy", WebScrapers),
    agent("httrack", WebScrapers),
    agent("webcopier", WebScrapers),
    agent("webzip", WebScrapers),
    agent("sitesucker", WebScrapers),
    agent("teleport", WebScrapers),
    agent("offline explorer", WebScrapers),
    agent("heritrix", WebScrapers),
    agent("nutch", WebScrapers),
    agent("colly", WebScrapers),
    agent("firecrawl", WebScrapers),
    agent("crawl4ai", WebScrapers),
    agent("bytespider", WebScrapers),
    agent("gptbot", WebScrapers),
    agent("claudebot", WebScrapers),
    agent("perplexitybot", WebScrapers),
    agent("amazonbot", WebScrapers),
    agent("mechanize", WebScrapers),
    agent("postmanruntime", ApiLibraries),
    agent("insomnia", ApiLibraries),
    agent("bruno-runtime", ApiLibraries),
    agent("grpc-", ApiLibraries),
    agent("grpcurl", ApiLibraries),
    agent("swagger-codegen", ApiLibraries),
    agent("openapi-generator", ApiLibraries),
    agent("aws-sdk", ApiLibraries),
    agent("boto3", ApiLibraries),
    agent("google-api-", ApiLibraries),
    agent("apollo", ApiLibraries),
    agent("restsharp", ApiLibraries),
    agent("unirest", ApiLibraries),
    agent("zeep", ApiLibraries),
    agent("soapui", ApiLibraries),
    agent("gsoap", ApiLibraries),
    agent("apache cxf", ApiLibraries),
    agent("octokit", ApiLibraries),
    // Scanners before libraries: many of them name the library that they are made of.
    agent("sqlmap", Generic),
    agent("nikto", Generic),
    agent("nuclei", Generic),
    agent("nmap", Generic),
    agent("masscan", Generic),
    agent("zgrab", Generic),
    agent("wpscan", Generic),
    agent("acunetix", Generic),
    agent("nessus", Generic),
    agent("gobuster", Generic),
    agent("dirbuster", Generic),
    agent("feroxbuster", Generic),
    agent("fuzz faster", Generic),
    agent("wfuzz", Generic),
    agent("whatweb", Generic),
    agent("curl", HttpLibraries),
    agent("wget", HttpLibraries),
    agent("python-requests", HttpLibraries),
    agent("python-urllib", HttpLibraries),
    agent("python-httpx", HttpLibraries),
    agent("python/", HttpLibraries),
    agent("aiohttp", HttpLibraries),
    agent("go-http-client", HttpLibraries),
    agent("fasthttp", HttpLibraries),
    agent("go-resty", HttpLibraries),
    agent("okhttp", HttpLibraries),
    agent("apache-httpclient", HttpLibraries),
    agent("apache-httpasyncclient", HttpLibraries),
    agent("java-http-client", HttpLibraries),
    agent("java/", HttpLibraries),
    agent("jakarta", HttpLibraries),
    agent("reactornetty", HttpLibraries),
    agent("axios", HttpLibraries),
    agent("node-fetch", HttpLibraries),
    agent("undici", HttpLibraries),
    agent("got (", HttpLibraries),
    agent("node.js", HttpLibraries),
    agent("superagent", HttpLibraries),
    agent("deno/", HttpLibraries),
    agent("bun/", HttpLibraries),
    agent("libwww-perl", HttpLibraries),
    agent("lwp::", HttpLibraries),
    agent("http-tiny", HttpLibraries),
    agent("ruby", HttpLibraries),
    agent("faraday", HttpLibraries),
    agent("typhoeus", HttpLibraries),
    agent("guzzlehttp", HttpLibraries),
    agent("php/", HttpLibraries),
    agent("reqwest", HttpLibraries),
    agent("hyper/", HttpLibraries),
    agent("ureq/", HttpLibraries),
    agent("dart", HttpLibraries),
    agent("httpie", HttpLibraries),
    agent("winhttp", HttpLibraries),
    agent("powershell", HttpLibraries),
    agent("libcurl", HttpLibraries),
    agent("http_request", HttpLibraries),
    agent("bot/", Generic),
    agent("bot;", Generic),
    agent("+http", Generic),
    agent("crawler", Generic),
    agent("spider", Generic),
    agent("scanner", Generic),
    agent("monitor", Generic),
];

/// All words at once, known bots first; none only if the words were too many for an automaton, which the tests exclude.
static WORDS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let words = KNOWN.iter().chain(TOOLS).map(|agent| agent.word);
    AhoCorasick::builder().ascii_case_insensitive(true).build(words).ok()
});

/// What Node's `fetch` says, and nothing else.
static NODE: Agent = agent("node", HttpLibraries);

/// What a user agent says of itself: known bots, else tools.
pub(super) fn find(user_agent: &[u8]) -> Option<&'static Agent> {
    if user_agent.eq_ignore_ascii_case(NODE.word.as_bytes()) {
        return Some(&NODE);
    }
    let words = WORDS.as_ref()?;
    let first = words.find_overlapping_iter(user_agent).map(|found| found.pattern().as_usize()).min()?;
    KNOWN.iter().chain(TOOLS).nth(first)
}

/// Whether a name is a domain or within it.
pub(super) fn is_within(name: &str, domain: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    let Some(start) = name.len().checked_sub(domain.len()) else { return false };
    let (before, end) = (name.get(..start).unwrap_or(""), name.get(start..).unwrap_or(""));
    end.eq_ignore_ascii_case(domain) && (before.is_empty() || before.ends_with('.'))
}
