//! What is said about a config that is wrong, outside of routes.

use super::{AROUND, check, errors_of};
use crate::control::config::{load, parse_str};

/// A listener whose other lines are `lines`.
fn listener(lines: &str) -> String {
    format!("[[listeners]]\nname = \"web\"\n{lines}\n[[routes]]\nname = \"r\"\nrespond = {{}}\n")
}

/// An upstream whose other lines are `lines`, after a good listener, on line 6.
fn upstream(lines: &str) -> String {
    format!(
        "listeners = [{{ name = \"web\", address = \"127.0.0.1:80\" }}]\n\
         runtime = {{ workers = 4 }}\n\
         routes = [{{ name = \"r\", upstream = \"app\" }}]\n\
         [[upstreams]]\nname = \"app\"\n{lines}\n"
    )
}

#[test]
fn keys_that_are_unknown_or_missing() {
    check("", &["1:1 listeners: there are no listeners | add a table [[listeners]]"]);
    check(&format!("{AROUND}[[listener]]\n"), &["12:3 listener: unknown key | did you mean `listeners`?"]);
    check(
        &format!("colour = \"red\"\n{AROUND}"),
        &[
            "1:1 colour: unknown key | the keys here are runtime, admin, etcd, log, access_log, shutdown, control, overload, include, listeners, upstreams, routes, rules",
        ],
    );
    check(
        &listener("adress = \"127.0.0.1:80\""),
        &["3:1 listeners[0].adress: unknown key | did you mean `address`?"],
    );
    check(
        &listener("listen = \"127.0.0.1:80\""),
        &["3:1 listeners[0].listen: unknown key | did you mean `address`?"],
    );
    check(
        &listener(""),
        &[
            "1:1 listeners[0].address: missing key | `\"0.0.0.0:8080\"`, `\"[::]:8080\"` (IPv6 and IPv4) or `\"unix:/PATH\"`.",
        ],
    );
    check(
        &listener("address = \"127.0.0.1:80\"\nkeep_alive = \"5s\""),
        &["4:1 listeners[0].keep_alive: unknown key | put it into [listeners.timeouts]"],
    );
    check(
        &listener("address = \"127.0.0.1:80\"\nkeepalive = \"5s\""),
        &["4:1 listeners[0].keepalive: unknown key | did you mean `keep_alive` in [listeners.timeouts]?"],
    );
    check(
        &upstream("endpoints = [\"127.0.0.1:1\"]\npool.max_conn = 5"),
        &["7:6 upstreams[0].pool.max_conn: unknown key | did you mean `max_connections`?"],
    );
}

#[test]
fn values_of_another_kind() {
    check(&format!("runtime = 3\n{AROUND}"), &["1:11 runtime: expected a table, found an integer"]);
    check(
        &format!("{AROUND}[runtime]\nworkers = \"2\"\npin_cores = \"on\"\ndriver = 1\n"),
        &[
            "13:11 runtime.workers: expected an integer, found a string | leave out the quotes: 2",
            "14:13 runtime.pin_cores: expected a boolean (true or false), found a string | write true",
            "15:10 runtime.driver: expected a string, one of \"auto\", \"io_uring\", \"epoll\", found an integer | quote it: \"1\"",
        ],
    );
    check(
        "[listeners]\nname = \"a\"\n",
        &[
            "1:2 listeners: expected a list of tables, found one table | write [[listeners]] with two brackets, once for each of the listeners",
        ],
    );
    check(
        &format!("[[admin]]\naddress = \"127.0.0.1:1\"\n{AROUND}"),
        &["1:3 admin: expected one table, found a list | write [admin] with one bracket"],
    );
    check(
        &upstream("endpoints = \"127.0.0.1:9000\""),
        &[
            "6:13 upstreams[0].endpoints: expected a list, found a string | put it in brackets: [\"127.0.0.1:9000\"]",
        ],
    );
    check(
        &format!("{AROUND}[log]\nlevel = \"verbose\"\nformat = \"jsn\"\n"),
        &[
            "13:9 log.level: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", found \"verbose\"",
            "14:10 log.format: expected \"text\" or \"json\", found \"jsn\" | did you mean \"json\"?",
        ],
    );
}

#[test]
fn durations_and_sizes() {
    check(
        &listener(
            "address = \"127.0.0.1:80\"\n\
             timeouts = { request_head = 10, keep_alive = \"1 minute\", tunnel_idle = \"0s\", response_write = \"off\" }\n\
             limits = { request_head_bytes = \"64KiB\", headers = 97, request_body_bytes = false }",
        ),
        &[
            "4:29 listeners[0].timeouts.request_head: 10 has no unit | write \"10s\" or \"10ms\"",
            "4:46 listeners[0].timeouts.keep_alive: \"1 minute\" is not a duration | write \"1m\"",
            "4:72 listeners[0].timeouts.tunnel_idle: \"0s\" is out of range | from 1ms to 30d",
            "4:95 listeners[0].timeouts.response_write: \"off\" is not a duration | a number and one of ms, s, m, h, d, as \"1.5s\" or \"1m30s\"",
            "5:33 listeners[0].limits.request_head_bytes: \"64KiB\" is out of range | from 512 to 60KiB",
            "5:52 listeners[0].limits.headers: 97 is out of range | from 1 to 96",
            "5:77 listeners[0].limits.request_body_bytes: expected a limit or \"off\", found a boolean | write \"off\"",
        ],
    );
}

#[test]
fn addresses_to_listen_on() {
    for (address, hint) in [
        (":8080", "write \"0.0.0.0:8080\" for IPv4, \"[::]:8080\" for IPv6 as well"),
        ("8080", "write \"0.0.0.0:8080\" for IPv4, \"[::]:8080\" for IPv6 as well"),
        ("*:8080", "write \"0.0.0.0:8080\" for IPv4, \"[::]:8080\" for IPv6 as well"),
        ("localhost:8080", "names are not looked up here; write \"127.0.0.1:8080\""),
        ("example.com:80", "names are not looked up here; write the machine's own address"),
        ("127.0.0.1", "add a port: \"127.0.0.1:8080\""),
        ("127.0.0.1:99999", "\"99999\" is not a port, 1 to 65535"),
        ("256.0.0.1:80", "\"256.0.0.1\" is neither a name nor an address"),
        ("::1", "IPv6 addresses go in brackets, with a port: \"[::1]:8080\""),
        ("[::1]", "IPv6 addresses go in brackets, with a port: \"[::1]:8080\""),
        ("http://0.0.0.0:8080", "without scheme and path: \"0.0.0.0:8080\""),
        ("/run/x.sock", "for a unix socket write \"unix:/run/x.sock\""),
        ("", "add a port: \"127.0.0.1:8080\""),
    ] {
        let expected =
            format!("3:11 listeners[0].address: {address:?} is not an address to listen on | {hint}");
        check(&listener(&format!("address = {address:?}")), &[&expected]);
    }
    check(
        &listener("address = \"unix:run/x.sock\""),
        &[
            "3:11 listeners[0].address: \"unix:run/x.sock\" is not an absolute path | write \"unix:/run/run/x.sock\"",
        ],
    );
    let long = format!("unix:/{}", "x".repeat(107));
    check(
        &listener(&format!("address = {long:?}")),
        &["3:11 listeners[0].address: the path of the unix socket is too long | at most 107 bytes"],
    );
}

#[test]
fn endpoints() {
    for (endpoint, hint) in [
        ("app", "add a port: \"app:8080\""),
        ("http://app/x", "without scheme and path: \"app:80\""),
        ("http://app:81/x", "without scheme and path: \"app:81\""),
        ("https://app", "TLS to upstreams is not offered yet; give the host and the port of plain HTTP"),
        ("app:http", "\"http\" is not a port, 1 to 65535"),
        ("a b:80", "\"a b\" is neither a name nor an address"),
        ("::1:90", "IPv6 addresses go in brackets: \"[::1]:90\""),
    ] {
        let expected = format!("6:14 upstreams[0].endpoints[0]: {endpoint:?} is not \"HOST:PORT\" | {hint}");
        check(&upstream(&format!("endpoints = [{endpoint:?}]")), &[&expected]);
    }
    check(
        &upstream("endpoints = [\"127.0.0.1:0\", 3, { weight = 1001 }]"),
        &[
            "6:14 upstreams[0].endpoints[0]: port 0 can't be connected to | from 1 to 65535",
            "6:29 upstreams[0].endpoints[1]: expected a string (\"HOST:PORT\") or a table { address, weight, backup }, found an integer | quote it: \"3\"",
            "6:32 upstreams[0].endpoints[2].address: missing key | \"HOST:PORT\", \"ADDRESS:PORT\" or \"unix:/PATH\". Each address of a name is an endpoint of its own.",
            "6:43 upstreams[0].endpoints[2].weight: 1001 is out of range | from 0 to 1000",
        ],
    );
    check(
        &upstream("endpoints = []"),
        &["6:13 upstreams[0].endpoints: there are no endpoints | list at least one, as \"127.0.0.1:9000\""],
    );
    check(
        &upstream("endpoints = [{ address = \"a:1\", weight = 0 }, { address = \"b:1\", weight = 0 }]"),
        &[
            "6:13 upstreams[0].endpoints: every endpoint has weight 0 | give at least one a weight above 0; nothing would be sent to this upstream",
        ],
    );
    check(
        &upstream("endpoints = [\"App:1\",\n\"app:1\"]"),
        &[
            "7:1 upstreams[0].endpoints[1]: the endpoint app:1 is listed twice | for a larger share write { address = \"...\", weight = 2 } (the other is on line 6)",
        ],
    );
}

#[test]
fn limits_that_are_divided_over_workers() {
    check(
        &upstream("endpoints = [\"a:1\"]\npool = { max_connections = 3 }"),
        &[
            "7:28 upstreams[0].pool.max_connections: 3 connections can't be divided over 4 workers | at least 4, one for each worker, or fewer runtime.workers",
        ],
    );
    check(
        &format!("runtime.workers = 2\n{}", listener("address = \"127.0.0.1:80\"\nmax_connections = 1")),
        &[
            "5:19 listeners[0].max_connections: 1 connections can't be divided over 2 workers | at least 2, or fewer runtime.workers",
        ],
    );
}

#[test]
fn others_reach_the_admin_api_with_a_token_alone() {
    for address in ["0.0.0.0:9901", "[::]:9901", "10.0.0.1:9901", "[::ffff:10.0.0.1]:9901"] {
        let wanted = "1:17 admin.address: whoever reaches this address could change everything | set \
                      admin.token_file, or listen on 127.0.0.1, [::1] or unix:/PATH";
        check(&format!("admin.address = \"{address}\"\n{AROUND}"), &[wanted]);
        check(&format!("admin.address = \"{address}\"\nadmin.token_file = \"token\"\n{AROUND}"), &[]);
    }
    for address in ["127.0.0.1:9901", "127.1.2.3:9901", "[::1]:9901", "[::ffff:127.0.0.1]:9901", "unix:/a"] {
        check(&format!("admin.address = \"{address}\"\n{AROUND}"), &[]);
    }
    let empty = "1:20 admin.token_file: the path is empty | name a file, or leave the key out";
    check(&format!("admin.token_file = \"\"\nadmin.address = \"127.0.0.1:1\"\n{AROUND}"), &[empty]);
}

#[test]
fn names_and_addresses_are_given_once() {
    check(
        &format!("{AROUND}[[listeners]]\nname = \"web\"\naddress = \"0.0.0.0:8080\"\n"),
        &[
            "13:8 listeners[1].name: the listener name `web` is given twice | logs and metrics tell them apart by name: give it another (the other is on line 2)",
            "14:11 listeners[1].address: this address overlaps with another | each listener needs an address of its own; 0.0.0.0 takes all of IPv4, [::] all of IPv6 (the other is on line 3)",
        ],
    );
    check(
        &format!("admin.address = \"127.0.0.1:8080\"\n{AROUND}"),
        &[
            "1:17 admin.address: this address is in use twice | each listener needs an address of its own; 0.0.0.0 takes all of IPv4, [::] all of IPv6 (the other is on line 4)",
        ],
    );
    check(
        &format!("{AROUND}[[upstreams]]\nname = \"app\"\nendpoints = [\"a:1\"]\n"),
        &[
            "13:8 upstreams[1].name: the upstream name `app` is given twice | logs and metrics tell them apart by name: give it another (the other is on line 6)",
        ],
    );
    check(
        &format!("{AROUND}[[routes]]\nname = \"my app\"\nmatch = {{ path = \"/x\" }}\nrespond = {{}}\n"),
        &[
            "13:8 routes[1].name: ' ' can't be in a name | letters, digits and . _ : / - (names are labels of metrics)",
        ],
    );
}

#[test]
fn wildcards_take_all_of_their_family() {
    for (one, other) in [
        ("127.0.0.1", "0.0.0.0"),
        ("0.0.0.0", "127.0.0.1"),
        ("[::1]", "[::]"),
        ("[::]", "[::1]"),
        ("0.0.0.0", "[::ffff:127.0.0.1]"),
        ("127.0.0.1", "[::ffff:127.0.0.1]"),
    ] {
        let around = AROUND.replace("127.0.0.1:8080", &format!("{one}:8080"));
        let text = format!("{around}[[listeners]]\nname = \"other\"\naddress = \"{other}:8080\"\n");
        let found = errors_of(&text);
        assert!(found.len() == 1 && found[0].contains("overlaps with another"), "{one} {other}: {found:?}");
    }
}

#[test]
fn addresses_that_do_not_overlap() {
    let another =
        |address: &str| format!("{AROUND}[[listeners]]\nname = \"other\"\naddress = \"{address}\"\n");
    for address in ["127.0.0.2:8080", "127.0.0.1:8081", "[::1]:8080", "[::]:8080", "unix:/x"] {
        check(&another(address), &[]);
    }
    check("[[listeners]]\nname='a'\naddress='0.0.0.0:80'\n[[listeners]]\nname='b'\naddress='[::]:80'\n", &[]);
    check(
        "[[listeners]]\nname='a'\naddress='127.0.0.1:0'\n[[listeners]]\nname='b'\naddress='127.0.0.1:0'\n",
        &[],
    );
}

#[test]
fn text_that_is_not_toml() {
    for (text, expected) in [
        ("[[listeners]\nname = 1\n", "1:13 : not TOML: unclosed array table | expected `]`"),
        ("name = web\n", "1:8 : not TOML: string values must be quoted | write \"web\""),
        ("timeout = 5s\n", "1:11 : not TOML: string values must be quoted | write \"5s\""),
        ("name = \"web\na = 1\n", "1:12 : not TOML: invalid basic string | expected `\"`"),
        ("a = [\"1\" \"2\"]\n", "1:10 : not TOML: missing comma between array elements | expected `,`"),
        ("a = 08\n", "1:5 : not TOML: unexpected leading zero"),
        (
            "{ \"a\": 1 }\n",
            "1:1 : not TOML: invalid key-value pair | the config is TOML: `key = value` and [tables]",
        ),
    ] {
        check(text, &[expected]);
    }
    let twice =
        "the key is given twice | leave one out; for one more of a list write [[...]] with two brackets";
    check("a = 1\na = 2\n[b]\n[b]\n", &[&format!("2:1 : {twice}"), &format!("4:2 : {twice}")]);
    let yaml = errors_of("listeners:\n  - name: web\n");
    assert!(yaml[0].ends_with("the config is TOML: `key = value` and [tables]"), "{yaml:?}");
}

#[test]
fn files_that_can_not_be_read() -> std::io::Result<()> {
    let missing = load("/nonexistent/ringlane.toml".as_ref()).map_err(|it| it[0].to_string());
    let expected =
        "/nonexistent/ringlane.toml:1:1: the file can't be read: No such file or directory (os error 2)";
    assert_eq!(missing.err().as_deref(), Some(expected));

    let path = std::env::temp_dir().join(format!("ringlane-latin1-{}.toml", std::process::id()));
    std::fs::write(&path, b"# fine\nname = \"caf\xe9\"\n")?;
    let latin1 = load(&path).map_err(|it| format!("{}:{}: {}", it[0].line, it[0].column, it[0].message));
    std::fs::remove_file(&path)?;
    assert_eq!(latin1.err().as_deref(), Some("2:12: the file is not UTF-8"));
    Ok(())
}

#[test]
fn an_error_is_shown_with_its_line() {
    let text = "[[listeners]]\nname = \"web\"\n\tadress = \"0.0.0.0:8080\"\n";
    let errors = parse_str("ringlane.toml", text);
    let line = errors.as_ref().map_err(|it| it[0].one_line()).err();
    let expected = "ringlane.toml:3:2: listeners[0].adress: unknown key (did you mean `address`?)";
    assert_eq!(line.as_deref(), Some(expected));
    let errors = errors.map_err(|it| it[0].to_string());
    let expected = "\
ringlane.toml:3:2: listeners[0].adress: unknown key
    3 |  adress = \"0.0.0.0:8080\"
      |  ^^^^^^
  hint: did you mean `address`?";
    assert_eq!(errors.err().as_deref(), Some(expected));
}

#[test]
fn a_long_line_is_cut_around_the_error() {
    let many: Vec<String> = (1..60).map(|it| format!("\"10.0.0.{it}:80\"")).collect();
    let text = format!("upstreams = [{{ name = \"a\", endpoints = [{}, 7] }}]", many.join(", "));
    let errors = parse_str("x.toml", &text).map_err(|it| it[1].to_string());
    let shown = errors.err().unwrap_or_default();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[1].starts_with("    1 | ..."), "{shown}");
    assert!(lines.iter().all(|it| it.len() < 200), "{shown}");
    let caret = lines[2].find('^').unwrap_or(0);
    assert_eq!(lines[1].get(caret..caret + 1), Some("7"), "{shown}");
}

#[test]
fn all_errors_come_at_once_in_order() {
    let found = errors_of("colour = 1\n[[listeners]]\naddress = 1\n[[upstreams]]\n[[routes]]\n");
    let places: Vec<&str> = found.iter().filter_map(|it| it.split(' ').next()).collect();
    assert_eq!(places, ["1:1", "2:1", "3:11", "4:1", "4:1", "5:1", "5:1"], "{found:#?}");
}
