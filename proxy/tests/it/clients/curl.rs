//! curl: one request after the other in many shapes, checked by what it says of each.

use super::mirror;
use crate::harness::{Dir, Origin, Proxy, Setup, Tool, Wire};

/// Runs curl on `path` of the proxy. Gives the body it printed, then status, version and connections made.
fn curl(proxy: &Proxy, path: &str, arguments: &[&str]) -> Option<String> {
    let url = format!("http://{}{path}", proxy.address());
    let all = [
        &["--silent", "--show-error", "--fail", "--max-time", "20", "--noproxy", "*"],
        arguments,
        &["--write-out", "[%{http_code} %{http_version} %{num_connects}]", &url],
    ]
    .concat();
    Some(Tool::run("curl", &all)?.expect_success())
}

both_drivers! {
    fn requests_of_many_shapes(driver) {
        let origin = mirror();
        let proxy = Setup::to(&origin).start(driver);
        let cases: &[(&str, &[&str], &str)] = &[
            ("/a?b=c", &[], "GET /a?b=c\n[200 1.1 1]"),
            ("/a", &["--http1.0"], "GET /a\n[200 1.1 1]"),
            ("/a/../b//c;d", &["--path-as-is"], "GET /a/../b//c;d\n[200 1.1 1]"),
            ("/", &["--data", "hello"], "POST /\nhello[200 1.1 1]"),
            (
                "/",
                &["--request", "PUT", "--data", "hello", "--header", "Transfer-Encoding: chunked"],
                "PUT /\nhello[200 1.1 1]",
            ),
            ("/", &["--request", "DELETE"], "DELETE /\n[200 1.1 1]"),
            ("/", &["--request", "OPTIONS", "--request-target", "*"], "OPTIONS *\n[200 1.1 1]"),
            ("/", &["--data", "hello", "--header", "Expect: 100-continue"], "POST /\nhello[200 1.1 1]"),
            ("/", &["--header", "Connection: close"], "GET /\n[200 1.1 1]"),
            ("/", &["--tr-encoding"], "GET /\n[200 1.1 1]"),
        ];
        for (path, arguments, wanted) in cases {
            let Some(said) = curl(&proxy, path, arguments) else { return };
            assert_eq!(said, *wanted, "{arguments:?}");
        }
        let Some(said) = curl(&proxy, "/a", &["--head"]) else { return };
        assert!(said.starts_with("HTTP/1.1 200 OK") && said.ends_with("[200 1.1 1]"), "{said}");
    }

    fn one_connection_for_many_requests(driver) {
        let origin = mirror();
        let proxy = Setup::to(&origin).start(driver);
        let url = |n: u32| format!("http://{}/{n}", proxy.address());
        let urls: Vec<_> = (1..6).map(url).collect();
        let mut arguments = vec![
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--noproxy",
            "*",
            "--write-out",
            "%{num_connects} ",
        ];
        arguments.extend(urls.iter().map(String::as_str));
        let Some(ran) = Tool::run("curl", &arguments) else { return };
        assert_eq!(ran.expect_success().replace('\n', ""), "GET /11 GET /20 GET /30 GET /40 GET /50");
        assert_eq!((proxy.metric("ringlane_connections_accepted_total", ""), origin.connections()), (1, 1));
    }

    /// curl asks before it sends a body over a megabyte.
    fn a_large_upload_and_download(driver) {
        let origin = mirror();
        let proxy = Setup::to(&origin).start(driver);
        let dir = Dir::new();
        let (up, down) = (dir.file("up"), dir.file("down"));
        let bytes: Vec<u8> = (0..5_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        std::fs::write(&up, &bytes).unwrap();
        for extra in [&[][..], &["--header", "Transfer-Encoding: chunked"]] {
            let files = ["--upload-file", up.to_str().unwrap(), "--output", down.to_str().unwrap()];
            let Some(said) = curl(&proxy, "/", &[&files, extra].concat()) else { return };
            assert_eq!(said, "[200 1.1 1]");
            assert!(std::fs::read(&down).unwrap() == [b"PUT /up\n", &bytes[..]].concat());
        }
    }

    fn a_cut_download_is_an_error(driver) {
        for reply in [
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ] {
            let reply = reply.to_owned();
            let origin = Origin::serve(move |mut wire: Wire| {
                wire.read_request();
                wire.send(&reply);
            });
            let proxy = Setup::to(&origin).start(driver);
            for version in ["--http1.1", "--http1.0"] {
                let url = format!("http://{}/", proxy.address());
                let Some(ran) =
                    Tool::run("curl", &["--silent", "--max-time", "20", "--noproxy", "*", version, &url])
                else {
                    return;
                };
                // 18: ended early; 56: reset.
                assert!(matches!(ran.status.code(), Some(18 | 56)), "{version}: {}", ran.status);
            }
        }
    }
}
