//! Python: http.client of its standard library, and the WebSocket package `websockets`, as client and as server.

use super::mirror;
use crate::harness::{Driver, Setup, Tool, driver::skip};

fn websocket(driver: Driver) {
    let Some(found) = Tool::run("python3", &["-c", "import websockets.asyncio.server"]) else { return };
    if !found.status.success() {
        return skip("python3 has no package `websockets` (13 or later)");
    }
    let Some(mut tool) = Tool::start("python3", &["-u", "-c", include_str!("websocket.py")]) else { return };
    let Some(port) = tool.hear("port ") else { panic!("{}", tool.finish().stderr) };
    let proxy = Setup::to_endpoints(&[&format!("127.0.0.1:{port}")]).start(driver);
    tool.say(&proxy.address());
    let said = tool.finish().expect_success();
    assert!(said.ends_with("good"), "{said}");
    proxy.await_metric("ringlane_tunnels_opened_total", "", 22);
    proxy.await_metric("ringlane_tunnels_active", "", 0);
}

both_drivers! {
    fn http_client(driver) {
        let origin = mirror();
        let proxy = Setup::to(&origin).start(driver);
        let script = include_str!("http_client.py");
        let Some(ran) = Tool::run("python3", &["-c", script, &proxy.address()]) else { return };
        assert_eq!(ran.expect_success(), "good");
        assert_eq!((proxy.metric("ringlane_connections_accepted_total", ""), origin.connections()), (1, 1));
    }

    fn websockets(driver) {
        websocket(driver);
    }
}
