//! The reverse proxy at the link: its policy in, its state and what it learnt out.

use super::*;

/// The proxy's policy comes over the channel, its state goes with the status, and what it stops is told of as any audit is.
#[tokio::test]
async fn the_proxy_is_reached() {
    let console = FakeConsole::start().await;
    let (_desk, link) = console.link(&console.authority.pin());
    console.enrol(DAY).await;
    let mut peer = console.welcome().await;
    let port = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound").port();
    let policy = serde_json::json!({"version": 1, "rule": "shop", "applications": [{
        "appID": "web", "sqli": {"effect": "prevent"},
        "apiSpec": {"endpoints": [{"host": "*", "basePath": "*", "exposedPort": port, "internalPort": 1}]},
    }]});
    peer.send(&FromConsole::Waas { revision: 3, hash: "c".repeat(64), policy: Some(policy) }).await;

    loop {
        let ToConsole::Status { waas, .. } = peer.receive().await else { continue };
        let Some(waas) = waas.filter(|waas| waas["ports"][0]["exposed"] == port) else { continue };
        assert_eq!((&waas["hash"], waas["counters"]["requests"].as_u64()), (&"c".repeat(64).into(), Some(0)));
        break;
    }
    let mut client = TcpStream::connect(("127.0.0.1", port)).await.expect("the proxy");
    client.write_all(b"GET /?q=attack HTTP/1.1\r\nHost: a\r\n\r\n").await.expect("sent");
    loop {
        let ToConsole::Audits { audits, .. } = peer.receive().await else { continue };
        let Event::Request(event) = &audits[0].event else { panic!("{audits:?}") };
        assert_eq!((event.application.as_str(), event.attack.as_str(), event.status), ("web", "sqli", Some(403)));
        assert_eq!((audits[0].rule.as_deref(), audits[0].reason), (Some("shop"), Reason::Waas));
        break;
    }
    stop(link).await;
}

/// What was learnt of an application's endpoints goes with the next status, once.
#[tokio::test]
async fn learnt_endpoints_are_told() {
    let console = FakeConsole::start().await;
    let (_desk, link) = console.link(&console.authority.pin());
    console.enrol(DAY).await;
    let mut peer = console.welcome().await;
    let application = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let internal = application.local_addr().expect("bound").port();
    tokio::spawn(async move {
        let (mut stream, _) = application.accept().await.expect("the proxy");
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.expect("sent");
    });
    let port = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound").port();
    let policy = serde_json::json!({"version": 1, "rule": "shop", "applications": [{
        "appID": "web", "sqli": {"effect": "prevent"},
        "apiSpec": {"endpoints": [{"host": "*", "basePath": "*", "exposedPort": port, "internalPort": internal}]},
    }]});
    let armed = |digit: &str| FromConsole::Waas { revision: 3, hash: digit.repeat(64), policy: Some(policy.clone()) };
    peer.send(&armed("c")).await;
    let status =
        |waas: &serde_json::Value, digit: &str| waas["hash"] == digit.repeat(64) && waas["ports"][0]["exposed"] == port;
    while !matches!(peer.receive().await, ToConsole::Status { waas: Some(waas), .. } if status(&waas, "c")) {}
    let mut client = TcpStream::connect(("127.0.0.1", port)).await.expect("the proxy");
    // The second is answered after the first was done with.
    let requests = b"GET /orders/7 HTTP/1.1\r\nHost: a\r\n\r\nGET /?q=attack HTTP/1.1\r\nHost: a\r\n\r\n";
    client.write_all(requests).await.expect("sent");
    while !matches!(peer.receive().await, ToConsole::Audits { .. }) {}

    let mut told = Vec::new();
    for digit in ["d", "e"] {
        peer.send(&armed(digit)).await;
        loop {
            let ToConsole::Status { waas: Some(waas), .. } = peer.receive().await else { continue };
            told.extend(waas.get("discovery").cloned());
            if status(&waas, digit) {
                break;
            }
        }
    }

    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        (&told[0][0]["application"], &told[0][0]["endpoints"][0]["path"]),
        (&"web".into(), &"/orders/{id}".into())
    );
    stop(link).await;
}
