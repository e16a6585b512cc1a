//! The command line as a person uses it: what it prints where, and how it exits.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output},
};

fn ringlane(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringlane"));
    command.args(arguments).env_remove("NO_COLOR").env("TERM", "xterm");
    command.output().unwrap_or_else(|error| panic!("ringlane {arguments:?}: {error}"))
}

fn config(name: &str) -> String {
    format!("{}/../configs/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Exit code, standard output, standard error. Neither is a terminal, so neither has colours.
#[track_caller]
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = ringlane(arguments);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(!out.contains('\u{1b}') && !err.contains('\u{1b}'), "colours without a terminal:\n{out}{err}");
    (output.status.code(), out, err)
}

/// A config file that is there for as long as this is.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> File {
        let path = std::env::temp_dir().join(format!("ringlane-cli-{}-{name}.toml", std::process::id()));
        fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        File(path)
    }

    fn name(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn check_sums_up_a_good_config() {
    let file = File::new(
        "good",
        "runtime.workers = 2\nlisteners = [{ name = \"web\", address = \"127.0.0.1:8080\" }]\n\
         [[upstreams]]\nname = \"app\"\nendpoints = [\"127.0.0.1:9000\", { address = \"b.test:1\", weight = 2 }]\n\
         pool.max_connections = 5\n\
         [[routes]]\nname = \"rest\"\nrespond = { status = 404 }\n\
         [[routes]]\nname = \"api\"\nmatch = { path_prefix = \"/api\" }\nupstream = \"app\"\n",
    );
    let (code, out, err) = run(&["check", "--config", &file.name()]);
    let expected = format!(
        "\
ok {}

workers     2, each on its core, io_uring where the kernel allows it, else epoll
admin       none
access log  off
drain       at most 30s

LISTENER  ADDRESS         CONNECTIONS
web       127.0.0.1:8080  100000 (50000 per worker)

UPSTREAM  CONNECTIONS            IDLE                   PENDING                ENDPOINTS
app       5 (2 to 3 per worker)  1024 (512 per worker)  1024 (512 per worker)  127.0.0.1:9000, b.test:1 weight 2 (looked up)

ROUTE  DOES                   MATCHES
api    -> app                 prefix /api
rest   respond 404 Not Found  any request
(the more exact first; `ringlane route` explains a request)
",
        file.name()
    );
    assert_eq!((code, out, err), (Some(0), expected, String::new()));
}

#[test]
fn check_shows_every_error_and_counts_them() {
    let file = File::new(
        "bad",
        "[[listeners]]\nname = \"web\"\nadress = \"127.0.0.1:80\"\n\n[log]\nlevel = \"inof\"\n",
    );
    let name = file.name();
    let (code, out, err) = run(&["check", "--config", &name]);
    let expected = format!(
        "\
{name}:3:1: listeners[0].adress: unknown key
    3 | adress = \"127.0.0.1:80\"
      | ^^^^^^
  hint: did you mean `address`?
{name}:6:9: log.level: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", found \"inof\"
    6 | level = \"inof\"
      |         ^^^^^^
  hint: did you mean \"info\"?

2 errors in {name}
"
    );
    assert_eq!((code, out, err), (Some(1), String::new(), expected));
}

#[test]
fn warnings_do_not_fail() {
    let file = File::new("warned", "listeners = [{ name = \"web\", address = \"127.0.0.1:80\" }]\n");
    let (code, out, err) = run(&["check", "-c", &file.name()]);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("ok "), "{out}");
    assert!(err.contains(":1:1: warning: routes: there are no routes"), "{err}");
}

#[test]
fn route_explains_the_choice() {
    let (code, out, err) = run(&[
        "route",
        "--config",
        &config("api-gateway.toml"),
        "POST",
        "http://api.example.com/v1/orders/7?x=1",
    ]);
    let expected = "\
POST /v1/orders/7?x=1 (api.example.com)

orders-v1  -> orders
  endpoints      10.0.0.10:8000, 10.0.0.11:8000 (orders)
  sent as        /orders/7?x=1
  sent to host   orders.internal

ROUTE              OUTCOME                            MATCHES
reports            path does not match /reports/{id}  api.example.com; path /reports/{id}; GET or HEAD
orders-v1          won                                api.example.com; prefix /v1/orders
reports-read-only  path is not below /reports         api.example.com; prefix /reports
users              path is not below /users           api.example.com; prefix /users
unknown            would do, but another comes first  any request
";
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), expected, ""));
}

#[test]
fn route_takes_fields_and_short_urls() {
    let canary = config("static-split.toml");
    for (arguments, winner) in [
        (vec!["GET", "/"], "split  -> stable 95%, next 5%"),
        (vec!["GET", "example.com", "-H", "x-canary: 1"], "testers  -> next"),
        (vec!["GET", "http://a/b?c#d", "-H", "X-Canary:", "-H", "host: b"], "testers  -> next"),
    ] {
        let (code, out, err) = run(&[vec!["route", "-c", &canary], arguments].concat());
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        assert!(out.contains(&format!("\n\n{winner}\n")), "{out}");
    }
    let (code, out, _) = run(&["route", "-c", &config("many-hosts.toml"), "GET", "http://[::1]:80/"]);
    assert!(code == Some(0) && out.contains("\nunknown-host  respond 421"), "{out}");
    let (_, out, _) = run(&["route", "-c", &config("websocket.toml"), "GET", "/", "-H", "host: a"]);
    assert!(out.starts_with("GET / (a)\n\napp  -> app\n"), "{out}");
}

#[test]
fn route_says_what_rules_do() {
    let rules = config("rules.toml");
    let office = ["GET", "http://office.example.com/x"];
    for (arguments, begins) in [
        (vec!["--client", "10.1.2.3", office[0], office[1]], "no rule matches\n\napp  -> app\n"),
        (
            vec!["--client", "192.0.2.1", office[0], office[1]],
            "denied  by rule back-office: 403 Forbidden\n\n\
             RULE         DOES                MATCHES\n\
             back-office  deny 403 Forbidden  host office.example.com and not (client 10.0.0.0/8 or 2001:db8::/32 or path /help)\n\n\
             without that rule:\n\napp  -> app\n",
        ),
        (vec!["GET", "/.git/config"], "dropped  by rule scanners: no answer\n\n"),
        (
            vec!["GET", "/health", "-H", "user-agent: Robot"],
            "RULE      DOES                                   MATCHES\n\
             probes    log 1%                                 path /health and GET or HEAD\n\
             crawlers  tag crawler, log 100% with user-agent  header user-agent ~ (?i)bot|crawler|spider\n\n\
             (some rules ask for the client's address: give it by --client)\n\napp  -> app\n",
        ),
    ] {
        let (code, out, err) = run(&[vec!["route", "-c", &rules], arguments].concat());
        assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
        let (_, rest) = out.split_once("\n\n").unwrap();
        assert!(rest.starts_with(begins), "{out}");
    }
    let (code, out, _) = run(&["check", "-c", &rules]);
    assert_eq!(code, Some(0));
    let said = "(5 rules, asked in this order: the first that denies or drops is the last)\n";
    assert!(out.contains("scanners     drop") && out.contains(said), "{out}");
    let (code, _, err) = run(&["route", "-c", &rules, "--client", "nobody", "GET", "/"]);
    assert!(code == Some(2) && err.contains("invalid IP address"), "{err}");
}

#[test]
fn bad_usage_is_2() {
    let file = config("quickstart.toml");
    for (arguments, said) in [
        (vec![], "Usage: ringlane"),
        (vec!["check"], "--config <FILE>"),
        (vec!["chekc"], "check"),
        (vec!["route", "-c", &file, "get", "/"], "methods are upper case: GET"),
        (vec!["route", "-c", &file, "GET", "http://a b/"], "invalid uri character"),
        (vec!["route", "-c", &file, "GET", "/", "-H", "x"], "a colon is missing"),
        (vec!["completions", "klingon"], "bash"),
    ] {
        let (code, out, err) = run(&arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert!(err.contains(said), "{arguments:?}: {err}");
    }
}

#[test]
fn a_file_that_is_not_there_is_1() {
    for arguments in [
        vec!["check", "-c", "/nonexistent.toml"],
        vec!["--config", "/nonexistent.toml"],
        vec!["run", "-c", "/nonexistent.toml"],
    ] {
        let (code, out, err) = run(&arguments);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains("/nonexistent.toml:1:1: the file can't be read: No such file"), "{err}");
    }
}

#[test]
fn schema_is_json_and_completions_are_scripts() {
    let (code, out, _) = run(&["schema"]);
    let schema: serde_json::Value = serde_json::from_str(&out).unwrap_or_default();
    assert_eq!((code, &schema["title"]), (Some(0), &"ringlane.toml".into()));
    for shell in ["bash", "zsh", "fish"] {
        let (code, out, _) = run(&["completions", shell]);
        assert!(code == Some(0) && out.contains("ringlane") && out.contains("doctor"), "{shell}: {out}");
    }
    let (code, out, _) = run(&["--version"]);
    assert_eq!((code, out.trim()), (Some(0), concat!("ringlane ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn doctor_says_one_thing_a_line() {
    let (code, out, err) = run(&["doctor"]);
    assert!(matches!(code, Some(0 | 1)) && err.is_empty(), "{err}");
    let words: Vec<&str> = out.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(words.iter().all(|it| ["ok", "warn", "fail", "", "ringlane"].contains(it)), "{out}");
    for what in ["kernel", "io_uring", "open files", "cores", "somaxconn"] {
        assert!(out.contains(&format!("  {what} ")), "{what}:\n{out}");
    }
}
