//! schemathesis: thousands of requests made from the API's own description, good and bad, alone and in sequences. It
//! holds that no answer is a server error, that each is as described, that bad requests are refused and good ones are
//! not, that what was deleted is gone, and that nobody gets in without the token.

use std::{fs, time::Duration};

use crate::harness::{Client, Confine, Dir, Driver, Origin, Proxy, Setup, Tool, replies::ok};

const TOKEN: &str = "a-token-of-thirty-two-bytes-0123";
/// How long it may take: far longer than it does.
const PATIENCE: Duration = Duration::from_secs(400);

/// What the schema can't say: that routes name upstreams, that names are taken and tags old (409, 412, 422), and what a
/// URL is. And an old tag may be found before what else is wrong. What DELETE takes from an endpoint of the files is the weight
/// that was put over it: the endpoint stays. (All checks are on unless said otherwise; naming them on the command line would
/// outrank what is said here.)
const SETTINGS: &str = "\
[checks.positive_data_acceptance]
expected-statuses = [\"2xx\", \"304\", \"401\", \"403\", \"404\", \"409\", \"412\", \"422\"]

[checks.negative_data_rejection]
expected-statuses = [\"400\", \"401\", \"403\", \"404\", \"405\", \"412\", \"413\", \"415\", \"422\"]

[[operations]]
include-path = \"/explain\"
[operations.checks.positive_data_acceptance]
expected-statuses = [\"200\", \"400\"]

[[operations]]
include-path = \"/upstreams/{name}/endpoints/{address}\"
[operations.checks.use_after_free]
enabled = false
";

#[test]
fn schemathesis_finds_nothing() {
    let dir = Dir::new();
    let origin = Origin::replies(&[ok("through")]);
    fs::write(dir.file("token"), TOKEN).unwrap();
    let hooks = dir.file("hooks.py");
    fs::write(&hooks, include_str!("fuzz.py")).unwrap();
    let settings = format!("hooks = {:?}\n\n{SETTINGS}", hooks.display().to_string());
    fs::write(dir.file("schemathesis.toml"), settings).unwrap();
    // Endpoints that it makes up are names, for which nobody out there is to be asked.
    let mut launch = Proxy::launch(Driver::Epoll);
    if Confine::NoNameServers.is_possible() {
        launch = launch.confined(Confine::NoNameServers);
    }
    let web = dir.unix("web.sock");
    let toml = Setup::to(&origin).route("match = { path_prefix = \"/through\" }").toml();
    let toml = launch.config(&toml.replacen("\"127.0.0.1:0\"", &format!("{web:?}"), 1));
    let admin = format!("[admin]\ntoken_file = {:?}\n", dir.file("token"));
    let proxy = launch.start_whole(&toml.replacen("[admin]\n", &admin, 1));

    let url = format!("http://{}/openapi.json", proxy.admin_address());
    let token = format!("Authorization: Bearer {TOKEN}");
    let arguments = [
        "run",
        &url,
        "--header",
        &token,
        "--mode",
        "all",
        "--max-examples",
        "15",
        "--phases",
        "examples,coverage,fuzzing,stateful",
        "--seed",
        "1",
        "--generation-database",
        "none",
        "--no-color",
        "--continue-on-failure",
    ];
    let Some(tool) = Tool::start_in(Some(dir.path()), "schemathesis", &arguments) else { return };
    let ran = tool.finish_within(PATIENCE);
    let said = format!("{}\n{}", ran.stdout, ran.stderr);
    assert!(ran.status.success(), "{said}");
    assert!(said.contains("Tested: 27"), "{said}");

    // It got as far as the config: most of what it asks for is wrong, or is not there, but not all of it.
    let fields = format!("{token}\r\n");
    let metrics = super::ask(&proxy.admin_address(), "GET", "/metrics", &fields, "").expect(200).text();
    let count = |result: &str| {
        let series = format!("ringlane_config_changes_total{{result={result:?}}} ");
        metrics.lines().find_map(|line| line.strip_prefix(&series)?.parse::<u32>().ok()).unwrap()
    };
    assert!(count("accepted") >= 5 && count("refused") >= 100, "{metrics}");
    // Whatever it has done to the config, the files are there, and the proxy serves.
    super::ask(&proxy.admin_address(), "POST", "/config/reload", &fields, "").expect(200);
    let mut client = Client::connect(&web);
    client.send("GET /through HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read_response().expect(200).text(), "through");
}
