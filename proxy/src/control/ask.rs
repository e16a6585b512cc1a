//! What a source asks the control thread to change, and what it is told.

use serde_json::Value as Json;
use tokio::sync::{mpsc, oneshot};

use super::{
    desired::{Kind, Refused, Weight},
    files::Found,
};

/// Changes that wait for the control thread. Whoever comes then waits too.
pub const ASKS_MAX: usize = 1024;

/// One change.
#[derive(Debug, Clone)]
pub enum Change {
    /// A whole config, in place of the files and of what the admin API added.
    Config(Json),
    /// A route or an upstream, whole.
    Put(Kind, String, Json),
    /// Some keys of one (RFC 7396).
    Patch(Kind, String, Json),
    /// Its end.
    Delete(Kind, String),
    /// The weight of an endpoint: upstream, address, weight.
    PutEndpoint(String, String, Weight),
    /// An endpoint's end, or that of the weight that was set over it.
    DeleteEndpoint(String, String),
    /// What was in force at that revision.
    RollBack(u64),
    /// The files again, as they were found.
    Reload(Box<Found>),
}

/// What must hold for a change to be made.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Expect {
    /// Nothing.
    #[default]
    Anything,
    /// What it changes is there (`If-Match: *`).
    Present,
    /// It is not there (`If-None-Match: *`).
    Absent,
    /// It is there, with one of these tags (`If-Match`).
    OneOf(Vec<u64>),
}

/// A change, with where to answer.
#[derive(Debug)]
pub struct Ask {
    /// What.
    pub change: Change,
    /// On what condition.
    pub expect: Expect,
    /// Only say what would come of it.
    pub dry_run: bool,
    /// Where it comes from, as `PUT /routes/app`: errors begin with it.
    pub from: String,
    /// Takes the answer.
    pub reply: oneshot::Sender<Answer>,
}

/// What is answered.
pub type Answer = Result<Done, Denied>;

/// A change was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The revision that has it.
    pub revision: u64,
    /// Whether it is in force. If not, it waits for `control.rebuild_min_interval`, or it was a dry run.
    pub in_force: bool,
    /// Whether it made any difference.
    pub changed: bool,
    /// Whether what it is about was not there before.
    pub created: bool,
    /// The tag of what it is about, where that is still there.
    pub tag: Option<u64>,
}

/// A change was not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denied {
    /// What was expected does not hold; the tag that holds.
    Expectation(Option<u64>),
    /// Anything else.
    Refused(Refused),
}

impl From<Refused> for Denied {
    fn from(refused: Refused) -> Denied {
        Denied::Refused(refused)
    }
}

/// Where changes are asked for.
#[derive(Debug, Clone)]
pub struct Asks(mpsc::Sender<Ask>);

impl Asks {
    /// And where they come out.
    pub fn channel() -> (Asks, mpsc::Receiver<Ask>) {
        let (sender, receiver) = mpsc::channel(ASKS_MAX);
        (Asks(sender), receiver)
    }

    /// Asks, and waits for the answer. `None`: the process is ending.
    pub async fn ask(&self, change: Change, expect: Expect, dry_run: bool, from: &str) -> Option<Answer> {
        let (reply, answer) = oneshot::channel();
        let ask = Ask { change, expect, dry_run, from: from.to_owned(), reply };
        self.0.send(ask).await.ok()?;
        answer.await.ok()
    }
}

impl Change {
    /// What it is about, as `Live::tag` knows it.
    pub fn about(&self) -> About<'_> {
        match self {
            Change::Config(_) | Change::RollBack(_) | Change::Reload(_) => About::Config,
            Change::Put(kind, name, _) | Change::Patch(kind, name, _) | Change::Delete(kind, name) => {
                About::Object(*kind, name)
            }
            Change::PutEndpoint(upstream, target, _) | Change::DeleteEndpoint(upstream, target) => {
                About::Endpoint(upstream, target)
            }
        }
    }
}

/// What has a tag.
#[derive(Debug, Clone, Copy)]
pub enum About<'c> {
    /// The whole.
    Config,
    /// A route or an upstream.
    Object(Kind, &'c str),
    /// Upstream and address.
    Endpoint(&'c str, &'c str),
}
