//! Many changes at once: all arrive, as few updates.

use ringlane::control::etcd::{Kind, load_snapshot};
use serde_json::json;

use super::{Etcd, Follower, follower::with_snapshot};
use crate::harness::eventually;

#[test]
fn a_thousand_changes_are_few_updates_and_the_last_value_wins() {
    let Some(etcd) = Etcd::start() else { return };
    let path = etcd.file("snapshot.json");
    let mut follower = Follower::start(with_snapshot(&etcd.endpoint(), path.clone())).connected();
    // A hundred keys, ten times each; every tenth key is deleted in the end.
    let pair = |index: usize| {
        let value = format!("{{\"round\": {}}}", index / 100);
        (format!("/ringlane/routes/r{:02}", index % 100), value.into_bytes())
    };
    etcd.put_all((0..1000).map(pair));
    for index in (0..100).step_by(10) {
        etcd.delete(&format!("/ringlane/routes/r{index:02}"));
    }
    // Nothing has been received so far. That all is known shows in the snapshot.
    let revision = etcd.revision();
    eventually("all is in the snapshot", || {
        load_snapshot(&path).unwrap().is_some_and(|it| it.revision == revision)
    });
    assert_eq!((follower.view.changes, follower.view.objects.len()), (0, 0));
    follower.until(|view| view.revision == revision);
    assert_eq!(follower.view.objects.len(), 90);
    for ((_, name), value) in &follower.view.objects {
        assert_eq!(value, &json!({"name": name, "round": 9}));
        assert!(!name.ends_with('0'), "{name} was deleted");
    }
    // One was on its way when the receiver stopped, and the rest had to wait together.
    assert!(follower.view.changes <= 2, "{} updates", follower.view.changes);
    assert_eq!(follower.view.lists, 1);
    follower.close();
}

#[test]
fn a_transaction_is_one_update() {
    let Some(etcd) = Etcd::start() else { return };
    let path = etcd.file("snapshot.json");
    let mut follower = Follower::start(with_snapshot(&etcd.endpoint(), path)).connected();
    super::server::runtime().block_on(async {
        let mut client = etcd_client::Client::connect([etcd.endpoint()], None).await.unwrap();
        let put = |index| etcd_client::TxnOp::put(format!("/ringlane/routes/r{index}"), "{}", None);
        let operations: Vec<_> = (0..100).map(put).collect();
        client.txn(etcd_client::Txn::new().and_then(operations)).await.unwrap();
    });
    follower.until(|view| view.changes == 1);
    assert_eq!(follower.view.names(Kind::Route).len(), 100);
    follower.close();
}
