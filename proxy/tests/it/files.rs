//! Files that change under a running proxy: those that are included, and how they are saved.

use std::{fs, os::unix::fs::symlink, path::Path};

use crate::harness::{Client, Driver, Proxy, Tool, eventually, replies::get};

/// A route that answers by itself.
fn answers(name: &str, body: &str) -> String {
    format!(
        "[[routes]]\nname = {name:?}\nmatch = {{ path = \"/{name}\" }}\nrespond = {{ body = {body:?} }}\n"
    )
}

const LISTENER: &str = "[[listeners]]\nname = \"web\"\naddress = \"127.0.0.1:0\"\n";

/// Where the files of a proxy that is not started yet are, with `routes.d` in it.
fn start(driver: Driver, routes: &[(&str, String)]) -> Proxy {
    let launch = Proxy::launch(driver).watching();
    let text = format!("include = [\"routes.d/*.toml\"]\n{}", launch.config(LISTENER));
    launch.start_in(&text, |dir| {
        fs::create_dir(dir.join("routes.d")).unwrap();
        for (name, text) in routes {
            fs::write(dir.join("routes.d").join(name), text).unwrap();
        }
    })
}

fn status(client: &mut Client, path: &str) -> (u16, String) {
    client.send(get(path));
    let response = client.read_response();
    (response.status, response.text())
}

/// Waits until `path` is answered with `body`, on one connection that must not be closed.
#[track_caller]
fn becomes(proxy: &Proxy, path: &str, body: &str) {
    let mut client = proxy.connect();
    eventually(&format!("{path} is answered {body:?}"), || status(&mut client, path).1 == body);
}

/// Waits until there is no route for `path`.
#[track_caller]
fn goes(proxy: &Proxy, path: &str) {
    let mut client = proxy.connect();
    eventually(&format!("{path} is gone"), || status(&mut client, path).0 == 404);
}

/// Replaces a file as editors do that are careful: by renaming another one over it.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(new, path).unwrap();
}

both_drivers! {
    fn included_files_come_and_go(driver) {
        let proxy = start(driver, &[("a.toml", answers("a", "1")), ("b.toml", answers("b", "1"))]);
        becomes(&proxy, "/a", "1");
        let dir = proxy.dir().join("routes.d");
        replace(&dir.join("a.toml"), &answers("a", "2"));
        becomes(&proxy, "/a", "2");
        fs::write(dir.join("c.toml"), answers("c", "1")).unwrap();
        becomes(&proxy, "/c", "1");
        fs::remove_file(dir.join("b.toml")).unwrap();
        goes(&proxy, "/b");
        becomes(&proxy, "/a", "2");
        // What the pattern does not name does not count.
        fs::write(dir.join("d.toml~"), "this is no TOML").unwrap();
        fs::write(dir.join("e.toml"), answers("e", "1")).unwrap();
        becomes(&proxy, "/e", "1");
        assert_eq!(proxy.metric("ringlane_config_reloads_total", "result=\"failed\""), 0);
    }

    fn a_bad_included_file_takes_nothing_down(driver) {
        let proxy = start(driver, &[("a.toml", answers("a", "1")), ("b.toml", answers("b", "1"))]);
        let dir = proxy.dir().join("routes.d");
        replace(&dir.join("a.toml"), "[[routes]]\nname = \"a\"\nmatch = { paht = \"/a\" }\n");
        proxy.await_log("a.toml:3:11: routes[0].match.paht: unknown key");
        proxy.await_log("a.toml; what was in force of it stays");
        becomes(&proxy, "/a", "1");
        // The others can change meanwhile.
        replace(&dir.join("b.toml"), &answers("b", "2"));
        becomes(&proxy, "/b", "2");
        becomes(&proxy, "/a", "1");
        // A name that another file has is the later file's fault; one that is new and bad has no say.
        replace(&dir.join("z.toml"), &answers("b", "3"));
        proxy.await_log("z.toml:2:8: routes[0].name: the route name `b` is given twice");
        becomes(&proxy, "/b", "2");
        replace(&dir.join("a.toml"), &answers("a", "4"));
        becomes(&proxy, "/a", "4");
    }

    fn a_bad_main_file_changes_nothing(driver) {
        let proxy = start(driver, &[("a.toml", answers("a", "1"))]);
        let main = proxy.dir().join("ringlane.toml");
        let good = fs::read_to_string(&main).unwrap();
        replace(&main, &good.replace("[[listeners]]", "[[listenrs]]"));
        proxy.await_metric("ringlane_config_reloads_total", "result=\"failed\"", 1);
        becomes(&proxy, "/a", "1");
        replace(&main, &(good + &answers("m", "1")));
        becomes(&proxy, "/m", "1");
    }

    /// As Kubernetes mounts a ConfigMap: files are links into `..data`, and that is a link that is swapped.
    fn a_link_to_a_folder_is_swapped(driver) {
        let launch = Proxy::launch(driver).watching();
        let text = |body: &str| format!("{}{}", launch.config(LISTENER), answers("a", body));
        let proxy = launch.start_in(&text("1"), |dir| {
            fs::create_dir(dir.join("..one")).unwrap();
            fs::rename(dir.join("ringlane.toml"), dir.join("..one/ringlane.toml")).unwrap();
            symlink("..one", dir.join("..data")).unwrap();
            symlink("..data/ringlane.toml", dir.join("ringlane.toml")).unwrap();
        });
        becomes(&proxy, "/a", "1");
        for (round, name) in ["..two", "..three"].into_iter().enumerate() {
            let dir = proxy.dir();
            fs::create_dir(dir.join(name)).unwrap();
            let body = format!("{}", round + 2);
            fs::write(dir.join(name).join("ringlane.toml"), text(&body)).unwrap();
            symlink(name, dir.join("..data_tmp")).unwrap();
            fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
            becomes(&proxy, "/a", &body);
        }
    }

    fn real_editors_save(driver) {
        let proxy = start(driver, &[("a.toml", answers("a", "1"))]);
        let path = proxy.dir().join("routes.d/a.toml");
        let to = |body: &str| format!("s/body = \"[0-9]*\"/body = \"{body}\"/");
        let path_text = path.to_str().unwrap();
        if let Some(sed) = Tool::run("sed", &["-i", &to("10"), path_text]) {
            sed.expect_success();
            becomes(&proxy, "/a", "10");
        }
        let vi = ["-es", "-c", &format!("%{}", to("11")), "-c", "wq", path_text];
        if let Some(vi) = Tool::run("vi", &vi) {
            vi.expect_success();
            becomes(&proxy, "/a", "11");
        }
        if let Some(mut ed) = Tool::start("ed", &["-s", path_text]) {
            [&format!(",{}", to("12")), "w", "q"].into_iter().for_each(|line| ed.say(line));
            ed.finish().expect_success();
            becomes(&proxy, "/a", "12");
        }
    }

    /// Nor is reading the files a reason to read them again.
    fn a_file_that_does_not_count_gives_no_work(driver) {
        let proxy = start(driver, &[("a.toml", answers("a", "1"))]);
        fs::write(proxy.dir().join("unrelated"), "x").unwrap();
        fs::write(proxy.dir().join("routes.d/unrelated"), "x").unwrap();
        let io = format!("/proc/{}/io", proxy.pid());
        let read = || fs::read_to_string(&io).unwrap().lines().next().map(str::to_owned);
        let (mut last, mut same) = (None, 0);
        eventually("nothing is read any more", || {
            let now = read();
            same = if now == last { same + 1 } else { 0 };
            last = now;
            same == 150
        });
    }

    fn without_a_watch_only_hup_counts(driver) {
        let launch = Proxy::launch(driver);
        let text = |body: &str| format!("{}{LISTENER}{}", launch.config(""), answers("a", body));
        let proxy = launch.start_whole(&text("1"));
        let path = proxy.dir().join("ringlane.toml");
        replace(&path, &text("2"));
        // By the time that a second change has been taken in by HUP, the first would have been seen.
        replace(&path, &text("3"));
        proxy.signal(libc::SIGHUP);
        becomes(&proxy, "/a", "3");
        assert_eq!(proxy.metric("ringlane_config_reloads_total", "result=\"ok\""), 1);
    }
}

#[test]
fn what_is_included_must_be_there_at_a_start() {
    let launch = Proxy::launch(Driver::Epoll);
    let text = format!("include = [\"missing.toml\"]\n{}", launch.config(LISTENER));
    let mut proxy = launch.spawn_whole(&text);
    assert_eq!(proxy.wait_exit().code(), Some(1));
    let log = proxy.logs().join("\n");
    assert!(log.contains("ringlane.toml:1:12: include: there is no such file"), "{log}");
}
