//! What is written can be read, and nothing else can.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A path of its own for one test.
fn path(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("ringlane-snapshot-{}-{name}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

fn contents(value: &str) -> Contents {
    let entries = [((Kind::Route, "a".to_owned()), Arc::from(value))];
    Contents { prefix: "/r".to_owned(), revision: 12, entries: Arc::new(entries.into_iter().collect()) }
}

#[test]
fn it_comes_back_as_it_was() {
    let path = path("back");
    assert_eq!(load_snapshot(&path), Ok(None));
    contents("{\"old\": true}").write(&path).unwrap();
    contents("{\n \"x\": [1, \"\u{e4}\"]}").write(&path).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
    let snapshot = load_snapshot(&path).unwrap().unwrap();
    assert_eq!((snapshot.prefix.as_str(), snapshot.revision), ("/r", 12));
    let value = serde_json::json!({"name": "a", "x": [1, "\u{e4}"]});
    let key = "/r/routes/a".to_owned();
    assert_eq!(snapshot.objects, [Object { kind: Kind::Route, name: "a".to_owned(), key, value }]);
    fs::remove_file(&path).unwrap();
}

#[test]
fn one_that_was_cut_or_changed_is_refused() {
    let path = path("cut");
    contents("{\"x\": 1}").write(&path).unwrap();
    let whole = fs::read(&path).unwrap();
    let end = whole.len() - 1; // the line end can be missing
    for length in 0..end {
        fs::write(&path, &whole[..length]).unwrap();
        let error = load_snapshot(&path).unwrap_err();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
    }
    for (from, to) in [("routes", "rouxes"), ("\"a\"", "\"a b\""), ("12", "-1"), ("{\"x\": 1}", "[]")] {
        let changed = String::from_utf8(whole.clone()).unwrap().replacen(from, to, 1);
        fs::write(&path, changed).unwrap();
        assert!(load_snapshot(&path).unwrap_err().contains("not a snapshot"), "{from}");
    }
    fs::remove_file(&path).unwrap();
}

#[test]
fn what_a_write_left_behind_is_no_hindrance() {
    let path = path("left");
    let left = PathBuf::from(format!("{}.new", path.display()));
    fs::write(&left, "half").unwrap();
    contents("{}").write(&path).unwrap();
    assert!(load_snapshot(&path).unwrap().is_some() && !left.exists());
    fs::remove_file(&path).unwrap();
}
